"""Who judges the jobs: processes of this machine, or those of a Dask cluster.

An executor takes jobs and gives back what came of them, in whatever order they are done. A process that is lost
costs nothing but the time it had spent: its job is somebody else's.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

import msgspec

from deepdive.answers import DEFAULT_SECONDS
from deepdive.grading.jobs import Job
from deepdive.grading.work import Done, Ready, Setup
from deepdive.jail.bounds import GIB, bounds_of
from deepdive.threads import ONE_THREAD

TRIES = 2  # of a job, when the process that judged it is lost
_TRUSTED_BYTES = 1 * GIB  # of the process that holds the checks, with torch and Transformers imported
_CLOSING_SECONDS = 10
_READY_SECONDS = 600.0  # to import everything and to try the jails, from a cold disk beside other work
_JAILS_SECONDS = 120.0  # to start the jails of one job anew, beside other work
_LAST_WORDS_SECONDS = 2.0  # for a process that hangs to write down where
_LOGGERS = ("distributed", "distributed.client", "distributed.utils")  # whose tracebacks are sentences here
_ADDRESS = re.compile(r"(tcp|tls|ucx|wss?)://\S+:\d{1,5}")  # Dask waits for a minute for what is none
_IN_A_CHECK = re.compile(r'File ".*[/\\]checks[/\\](.+)", line (\d+) in (\w+)')


def patience_with(job: Job) -> float:
    """Seconds that judging a job does not honestly take: more than the limits of its jails and checks together."""
    return _JAILS_SECONDS + 2 * bounds_of(job.hour).wall_seconds + DEFAULT_SECONDS * len(job.checks)


class ExecutorError(RuntimeError):
    """There is nobody to judge; the message says why."""


class Executor(Protocol):
    """Judges jobs."""

    tier: str

    def run(self, jobs: Iterable[Job]) -> Generator[Done]:
        """Judge all jobs; ends early, and leaves nothing running, when the generator is closed."""


class WorkerLost(Exception):
    """The process is gone; the message says what is known of it."""


class WorkerHung(WorkerLost):
    """The process did not answer in time, and has been ended; the message says where it was."""


class Worker:
    """One working process. It begins to get ready at once; `get_ready` waits for it.

    Args:
        setup: what it is told first.
    """

    tier = ""

    def __init__(self, setup: Setup) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  it is closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deepdive.grading.work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )
        self._send(setup)

    def get_ready(self) -> None:
        """Wait until it has imported what it needs and has a jail, unless it had them before.

        Raises:
            ExecutorError: it could not get ready.
        """
        if self.tier:
            return
        try:
            ready = msgspec.json.decode(self._answer(_READY_SECONDS), type=Ready)
        except WorkerLost as error:
            raise ExecutorError(f"a working process could not start: {error}") from None
        if ready.problem:
            self.close()
            raise ExecutorError(ready.problem)
        self.tier = ready.tier

    @property
    def pid(self) -> int:
        return self._process.pid

    def judge(self, job: Job) -> Done:
        """Judge a job. Raises WorkerLost, and WorkerHung when it takes longer than anything honest can."""
        self.get_ready()
        return msgspec.json.decode(self._answer(patience_with(job), to=job), type=Done)

    def _send(self, question: msgspec.Struct) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):  # whoever waits for the answer is told why there is none
            self._process.stdin.write(msgspec.json.encode(question) + b"\n")
            self._process.stdin.flush()

    def _answer(self, seconds: float, to: msgspec.Struct | None = None) -> bytes:
        """The next line that it says, asked something or not; what is asked may be more than fits into a pipe."""
        assert self._process.stdout is not None
        line = b""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.send_signal(signal.SIGUSR1)  # it writes down where it is
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_WORDS_SECONDS)
            self._process.kill()

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            if to is not None:
                self._send(to)
            with suppress(ValueError):
                line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            return line
        last = self._last_words()
        if late.is_set():
            raise WorkerHung(f"no answer within {seconds:,.0f} s{self._where()}")
        raise WorkerLost(last)

    def _last_words(self) -> str:
        self.kill()
        said = self._said().strip().splitlines()
        return f"exit code {self._process.returncode}" + (f", {said[-1][:200]}" if said else "")

    def _where(self) -> str:
        """In which check it was, if that is known."""
        found = _IN_A_CHECK.search(self._said())
        return f", in {found[3]} ({found[1]}, line {found[2]})" if found else ""

    def _said(self) -> str:
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 20_000))
        return self._errors.read().decode("utf-8", "replace")

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self._process.stdin.close()
        try:
            self._process.wait(_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it now; its jail ends with it."""
        self._process.kill()
        self._process.wait()


class Local:
    """Processes of this machine.

    Args:
        setup: what they are told.
        workers: how many.

    Raises:
        ExecutorError: the first of them could not get ready.
    """

    def __init__(self, setup: Setup, workers: int) -> None:
        self._setup, self._count = setup, workers
        self._idle = [Worker(setup) for _ in range(workers)]
        try:
            self._idle[-1].get_ready()  # to know at once whether there is a jail; the others go on meanwhile
        except BaseException:
            for worker in self._idle:
                worker.kill()
            raise
        self.tier = self._idle[-1].tier

    def run(self, jobs: Iterable[Job]) -> Generator[Done]:
        waiting: queue.Queue[Job | None] = queue.Queue(maxsize=2 * self._count)
        done: queue.Queue[Done | None] = queue.Queue()
        stop = threading.Event()
        alive: list[Worker] = []
        failures: list[Exception] = []

        def work() -> None:
            worker = None
            while (job := waiting.get()) is not None and not stop.is_set():
                result = Done(job, problem="nobody tried")
                for _ in range(TRIES):
                    try:
                        if worker is None:
                            worker = self._take()
                            alive.append(worker)
                        if not stop.is_set():
                            result = worker.judge(job)
                        break
                    except WorkerHung as error:  # it would hang again
                        result, worker = Done(job, problem=str(error)), None
                        break
                    except Exception as error:  # whatever it is, it is this job's and no reason to wait for ever
                        result = Done(job, problem=str(error) or type(error).__name__)
                        if worker is not None:
                            worker.kill()
                        worker = None
                done.put(result)
                if stop.is_set():
                    break
            if worker is not None:
                worker.close()
            done.put(None)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(self._count)]
        feeder = threading.Thread(target=_feed, args=(jobs, waiting, self._count, stop, failures), daemon=True)
        for thread in (feeder, *threads):
            thread.start()
        ended = 0
        try:
            while ended < self._count:
                result = done.get()
                if result is None:
                    ended += 1
                else:
                    yield result
        finally:
            stop.set()
            if ended < self._count:
                for worker in alive:
                    worker.kill()
        if failures:
            raise failures[0]

    def _take(self) -> Worker:
        with suppress(IndexError):
            return self._idle.pop()
        return Worker(self._setup)

    def close(self) -> None:
        """End the processes that no run has used."""
        while self._idle:
            self._idle.pop().close()


def _feed(
    jobs: Iterable[Job],
    waiting: queue.Queue[Job | None],
    count: int,
    stop: threading.Event,
    failures: list[Exception],
) -> None:
    def put(job: Job | None) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                waiting.put(job, timeout=0.2)
                return

    try:
        for job in jobs:
            put(job)
            if stop.is_set():
                return
    except Exception as error:  # of the gradebook, which the jobs are read from
        failures.append(error)
    for _ in range(count):
        put(None)


class Cluster:
    """The workers of a Dask scheduler. They need the kit and the course at the same path, and one thread each.

    Args:
        address: of the scheduler, `tcp://host:8786`.
        setup: what they are told.

    Raises:
        ExecutorError: there is no scheduler, or it has no workers.
    """

    def __init__(self, address: str, setup: Setup) -> None:
        try:
            self._dask: Any = import_module("distributed")
        except ImportError:
            raise ExecutorError("a cluster needs Dask: pip install 'deepdive[cluster]'") from None
        if not _ADDRESS.fullmatch(address):
            raise ExecutorError(f"there is no scheduler at {address}: an address is like tcp://host:8786")
        self._address, self._setup = address, msgspec.json.encode(setup)
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._client = self._dask.Client(address, timeout=10, set_as_default=False)
        except (OSError, TimeoutError, ValueError, OverflowError) as error:
            raise ExecutorError(f"there is no scheduler at {address}: {error}") from error
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            self._client.close()
            raise ExecutorError(f"the scheduler at {address} has no workers")
        self._at_once = 2 * sum(worker["nthreads"] for worker in workers.values())
        self.tier = msgspec.json.decode(self._client.submit(_tier_of, self._setup, pure=False).result())

    def run(self, jobs: Iterable[Job]) -> Generator[Done]:
        waiting = iter(jobs)
        futures: dict[str, tuple[Any, Job]] = {}
        finished = self._dask.as_completed(loop=self._client.loop)

        def start() -> None:
            for job in waiting:
                text = msgspec.json.encode(job)
                future = self._client.submit(_judge, self._setup, text, pure=False, retries=TRIES)
                futures[future.key] = future, job
                finished.add(future)
                return

        for _ in range(self._at_once):
            start()
        try:
            for future in finished:
                _, job = futures.pop(future.key)
                if future.status in ("cancelled", "lost"):
                    gone = f"the scheduler at {self._address} is gone"
                    raise ExecutorError(f"{gone}; what was done is kept, and the same command goes on from there")
                if future.status == "finished":
                    yield msgspec.json.decode(future.result(), type=Done)
                else:
                    yield Done(job, problem=f"{future.status}: {future.exception()!r}"[:300])
                start()
        finally:
            if futures and self._client.status == "running":
                self._client.cancel([future for future, _ in futures.values()], force=True)

    def close(self) -> None:
        """Leave the scheduler as it was."""
        self._client.close()


_of_thread = threading.local()


def _worker_of_thread(setup: bytes) -> Worker:
    if getattr(_of_thread, "setup", None) != setup:
        _of_thread.worker = Worker(msgspec.json.decode(setup, type=Setup))
        _of_thread.worker.get_ready()
        _of_thread.setup = setup
    worker: Worker = _of_thread.worker
    return worker


def _tier_of(setup: bytes) -> bytes:
    return msgspec.json.encode(_worker_of_thread(setup).tier)


def _judge(setup: bytes, job: bytes) -> bytes:
    """On a Dask worker: judge a job in a process of its own, kept for the next one."""
    asked = msgspec.json.decode(job, type=Job)
    try:
        return msgspec.json.encode(_worker_of_thread(setup).judge(asked))
    except WorkerHung as error:
        _of_thread.setup = None
        return msgspec.json.encode(Done(asked, problem=str(error)))
    except WorkerLost:
        _of_thread.setup = None
        raise


def workers_that_fit(hours: Iterable[int]) -> int:
    """How many working processes this machine has cores and memory for, one at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    each = _TRUSTED_BYTES + max(int(bounds_of(hour).total_memory_bytes) for hour in hours)
    return max(1, min(cores, _available_bytes() // each))


def _available_bytes() -> int:
    with suppress(OSError, ValueError, StopIteration), open("/proc/meminfo") as file:
        line = next(line for line in file if line.startswith("MemAvailable"))
        return int(line.split()[1]) << 10
    return 4 * GIB


def _environment() -> dict[str, str]:
    """One thread a process: there is a process for every core."""
    return {**os.environ, **ONE_THREAD, "TOKENIZERS_PARALLELISM": "false"}
