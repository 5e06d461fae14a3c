"""The jail from within: imports the libraries once, then makes one job after another.

Runs inside bwrap and holds nothing a learner may not see, since a job is born as a copy of it. For every request it
forks a **warden**, which enters new namespaces and forks the **job**, the first process of its own pid namespace. The
job mounts its own /proc and small writable folders, gives up every privilege and only then meets the learner's code.
The warden stays outside that pid namespace, as the clock and the scales: it kills the job at its limits and tells how
it ended, on a descriptor that the job has closed before the learner's code begins.

    trusted process ── bwrap ── this process ── warden ── job ── whatever the learner's code starts
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import linux
from .bounds import MIB, Bounds
from .seccomp import job_filter

Serve = Callable[[int], None]

JOB_DESCRIPTOR = 3
_TROUBLE_DESCRIPTOR = 4  # to the warden, until the learner's code begins
WRITABLE = ("/tmp", "/dev/shm")
_LOOK_SECONDS = 0.05  # how often the warden looks at a job's memory
_WEIGH_SECONDS = 0.25  # how often it weighs shared pages exactly, which reads every page table of the job


@dataclass(frozen=True)
class Orders:
    """What the trusted side says first: how to make jobs.

    Args:
        tier: "zygote" (namespaces for every job), "cold" (this sandbox is for one job) or "unsafe" (no sandbox).
        imports: modules to import before the first job.
        entry: what a job runs, as "module:function", called with its end of the socket pair.
        shown: folders and files under a job's writable folders that must stay visible in them.
    """

    tier: str
    imports: tuple[str, ...]
    entry: str
    shown: tuple[str, ...]


def main(control: socket.socket) -> None:
    """Prepare, say so, and make jobs until the trusted side hangs up."""
    said = json.loads(control.recv(MIB))
    orders = Orders(said["tier"], tuple(said["imports"]), said["entry"], tuple(said["shown"]))
    started = time.perf_counter()
    serve = _prepare(orders)
    ready = {
        "pid": os.getpid(),
        "seconds": time.perf_counter() - started,
        "threads": len(os.listdir("/proc/self/task")),
    }
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # wardens need nobody to wait for them
    with suppress(BrokenPipeError):
        control.send(json.dumps(ready).encode())
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, MIB, 2)
        if not request:
            return
        if orders.tier != "zygote":  # one job for each sandbox, so there is nothing to come back for
            control.close()
            _warden(orders, serve, Bounds(**json.loads(request)), *descriptors)
        if os.fork() == 0:
            control.close()
            _warden(orders, serve, Bounds(**json.loads(request)), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def hello(descriptor: int) -> None:
    """The smallest job: say hello. For measuring, and for asking what this machine allows."""
    os.write(descriptor, b"hello")


def _prepare(orders: Orders) -> Serve:
    if "torch" in orders.imports:
        # Before any operation: a parent that has run one on several threads makes every child hang at its first.
        importlib.import_module("torch").set_num_threads(1)
    for name in orders.imports:
        _import_whole(name)
    module, function = orders.entry.split(":")
    serve: Serve = getattr(importlib.import_module(module), function)
    if orders.tier != "unsafe":
        linux.set_dumpable(False)
    gc.collect()
    gc.freeze()  # a child's collections do not touch, and so do not copy, what it only inherits
    return serve


# What a module puts off until its first use, and every job would import anew: 55 ms for NumPy's random numbers.
_LAZY = {
    "numpy": ("random",),
    "transformers": ("AutoModel", "AutoTokenizer", "AutoModelForSequenceClassification", "Trainer", "pipeline"),
}


def _import_whole(name: str) -> None:
    module = importlib.import_module(name)
    for attribute in _LAZY.get(name, ()):
        getattr(module, attribute)


# The warden


def _warden(orders: Orders, serve: Serve, bounds: Bounds, job_end: int, status_end: int) -> NoReturn:
    """Make one job, watch it, report its end, and end."""
    status = socket.socket(fileno=status_end)
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if orders.tier == "zygote":
            linux.set_dumpable(True)  # or /proc/self/uid_map would not be ours to write
            _enter_namespaces()
        trouble, trouble_end = os.pipe()
        scales = _Scales(bounds.total_memory_bytes)
        job = os.fork()
        if job == 0:
            status.close()
            _job(orders, serve, bounds, job_end, trouble_end)
        if orders.tier == "zygote":
            linux.set_dumpable(False)
        os.close(job_end)
        os.close(trouble_end)
        if problem := os.read(trouble, 4096):  # nothing, once the job has closed its end
            raise RuntimeError(problem.decode(errors="replace"))
        _watch(job, status, bounds, scales, whole_group=orders.tier == "unsafe")
    except BaseException as problem:
        with suppress(OSError):
            status.send(json.dumps({"problem": f"{type(problem).__name__}: {problem}"}).encode())
    finally:
        os._exit(0)


def _enter_namespaces() -> None:
    linux.unshare(
        linux.CLONE_NEWUSER
        | linux.CLONE_NEWNS
        | linux.CLONE_NEWPID
        | linux.CLONE_NEWNET
        | linux.CLONE_NEWIPC
        | linux.CLONE_NEWUTS
    )
    linux.keep_ids()


def _watch(job: int, status: socket.socket, bounds: Bounds, scales: _Scales, *, whole_group: bool) -> None:
    """Wait for the job's end, bring it about at a limit, and report it.

    The trusted side gets a pidfd, by which it can kill the job itself; hanging up has the same effect.
    """
    began = time.monotonic()
    handle = os.pidfd_open(job)
    socket.send_fds(status, [json.dumps({"started": True}).encode()], [handle])
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    waiting.register(status, select.POLLIN)
    limit = None
    while True:
        ready = [descriptor for descriptor, _ in waiting.poll(_LOOK_SECONDS * 1000)]
        if handle in ready:
            break
        if ready:
            limit = "stopped"
        elif time.monotonic() - began > bounds.wall_seconds:
            limit = "wall"
        elif scales.too_heavy(job):
            limit = "memory"
        if limit:
            _kill(job, whole_group=whole_group)
            break
    _, wait_status, used = os.wait4(job, 0)
    if whole_group:
        _kill(job, whole_group=True)
    code = os.waitstatus_to_exitcode(wait_status)
    ending = {
        "exit": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "limit": limit,
        "seconds": time.monotonic() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": max(used.ru_maxrss * 1024, scales.peak),
    }
    status.send(json.dumps(ending).encode())


def _kill(job: int, *, whole_group: bool) -> None:
    with suppress(ProcessLookupError):
        if whole_group:
            os.killpg(job, signal.SIGKILL)
        else:
            os.kill(job, signal.SIGKILL)


class _Scales:
    """The memory of a job, all its processes together.

    Adding up what each process has resident counts a page as often as it is shared, the zygote's among them, but
    costs next to nothing. Only when that is too much does it read the proportional sizes, which are exact.

    Made before the job, whose own /proc will cover the one in which its processes can be seen from here.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self._weighed = 0.0
        self.peak = 0

    def too_heavy(self, job: int) -> bool:
        processes = self._family(job)
        resident = sum(self._sizes(f"{process}/status", b"RssAnon:", b"RssShmem:") for process in processes)
        if resident <= self._most or time.monotonic() - self._weighed < _WEIGH_SECONDS:
            return False
        exactly = sum(self._sizes(f"{process}/smaps_rollup", b"Pss_Anon:", b"Pss_Shmem:") for process in processes)
        self._weighed = time.monotonic()
        self.peak = max(self.peak, exactly)
        return exactly > self._most

    def _family(self, process: int) -> list[int]:
        """A process and all that come from it; orphans belong to the first process of their namespace."""
        found, at = [process], 0
        while at < len(found):
            for task in self._tasks(found[at]):
                found += map(int, self._read(f"{found[at]}/task/{task}/children").split())
            at += 1
        return found

    def _tasks(self, process: int) -> list[str]:
        try:
            folder = os.open(f"{process}/task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
        except OSError:
            return []
        try:
            return os.listdir(folder)
        except OSError:
            return []
        finally:
            os.close(folder)

    def _sizes(self, path: str, *names: bytes) -> int:
        """The sum, in bytes, of these lines of a file of `Name:  123 kB` lines."""
        lines = self._read(path).splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))

    def _read(self, path: str) -> bytes:
        """A file of /proc; nothing, once its process is gone."""
        try:
            descriptor = os.open(path, os.O_RDONLY, dir_fd=self._proc)
        except OSError:
            return b""
        with open(descriptor, "rb") as file, suppress(OSError):
            return file.read()
        return b""


# The job


def _job(orders: Orders, serve: Serve, bounds: Bounds, job_end: int, trouble_end: int) -> NoReturn:
    """Give up everything, then serve. What goes wrong before is told the warden: it is the kit's failure."""
    try:
        _give_up_everything(orders, bounds, job_end, trouble_end)
    except BaseException as problem:
        for descriptor in (_TROUBLE_DESCRIPTOR, trouble_end):  # it may have been moved already
            with suppress(OSError):
                os.write(descriptor, f"{type(problem).__name__}: {problem}".encode())
        os._exit(70)
    os.close(_TROUBLE_DESCRIPTOR)
    try:
        serve(JOB_DESCRIPTOR)
    except SystemExit:
        pass
    except BaseException:
        os._exit(1)
    os._exit(0)


def _give_up_everything(orders: Orders, bounds: Bounds, job_end: int, trouble_end: int) -> None:
    jailed = orders.tier != "unsafe"
    os.setsid()  # a signal to one's process group crosses the border of a pid namespace
    linux.die_with_parent(signal.SIGKILL)
    if orders.tier == "zygote":
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    if jailed:
        _mount_writable(orders.shown, bounds)
        os.chdir("/tmp")
    _keep_only(job_end, trouble_end)
    _reseed()
    if jailed:
        linux.set_dumpable(True)
        linux.drop_capabilities()
    linux.no_new_privileges()
    _set_rlimits(bounds, count_processes=jailed)
    if jailed:
        linux.load_filter(job_filter())


def _mount_writable(shown: tuple[str, ...], bounds: Bounds) -> None:
    """Fresh, sized, counted folders to write in, with what must stay visible below them bound again."""
    kept = [(path, os.open(path, os.O_PATH)) for path in shown]
    flags = linux.MS_NOSUID | linux.MS_NODEV
    for path, size in zip(WRITABLE, (bounds.tmp_bytes, bounds.shm_bytes), strict=True):
        linux.mount("tmpfs", path, "tmpfs", flags, f"size={size},nr_inodes={bounds.tmp_inodes},mode=1777")
    for path, descriptor in kept:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            os.makedirs(path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).touch()
        linux.mount(f"/proc/self/fd/{descriptor}", path, None, linux.MS_BIND | linux.MS_REC)
        os.close(descriptor)


def _keep_only(job_end: int, trouble_end: int) -> None:
    """Close every descriptor but these two, and have nothing to read and nobody to print to."""
    nothing = os.open("/dev/null", os.O_RDWR)
    kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100) for descriptor in (nothing, job_end, trouble_end)]
    for number, descriptor in zip(
        (0, 1, 2, JOB_DESCRIPTOR, _TROUBLE_DESCRIPTOR), [kept[0]] * 3 + kept[1:], strict=True
    ):
        os.dup2(descriptor, number, inheritable=number < JOB_DESCRIPTOR)
    os.closerange(_TROUBLE_DESCRIPTOR + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _set_rlimits(bounds: Bounds, *, count_processes: bool) -> None:
    limits = {
        resource.RLIMIT_CPU: bounds.cpu_seconds,
        resource.RLIMIT_DATA: bounds.memory_bytes,
        resource.RLIMIT_FSIZE: bounds.file_bytes,
        resource.RLIMIT_NOFILE: bounds.open_files,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if count_processes:  # without a user namespace of its own it would count all that this user runs
        limits[resource.RLIMIT_NPROC] = bounds.processes
    for limit, value in limits.items():
        _, most = resource.getrlimit(limit)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (value, value))


def _reseed() -> None:
    """Give every job random numbers of its own; Python's `random` sees to itself at a fork."""
    numpy_random, torch = sys.modules.get("numpy.random"), sys.modules.get("torch")
    if numpy_random is not None:
        numpy_random.seed(None)
    if torch is not None:
        seed: Any = int.from_bytes(os.urandom(8), "little") >> 1
        torch.random.default_generator.manual_seed(seed)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
