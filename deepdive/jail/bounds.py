"""Every limit of a job, in one table: what may be set, its default, its unit and why it is what it is.

A job is one submission's hour. `bounds_of(hour)` gives its limits; `table()` gives the rows for `docs/security.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def _limit(default: float, unit: str, reason: str) -> Any:
    return field(default=default, metadata={"unit": unit, "reason": reason})


@dataclass(frozen=True)
class Bounds:
    """What one job may use. Every value is above zero."""

    wall_seconds: float = _limit(
        120, "s", "a right answer to a whole hour takes seconds; enforced by a process outside the job's namespaces"
    )
    cpu_seconds: int = _limit(120, "s, each process", "RLIMIT_CPU: a busy loop in a child that nobody waits for")
    memory_bytes: int = _limit(
        2 * GIB,
        "bytes, each process",
        "RLIMIT_DATA: torch needs 284 MB, Transformers and Datasets 662 MB; RLIMIT_AS would need 2.2 GB for the same",
    )
    total_memory_bytes: int = _limit(
        3 * GIB,
        "bytes, all processes",
        "no rlimit counts a whole job or its shared memory: its warden looks 20 times a second",
    )
    processes: int = _limit(64, "processes and threads", "RLIMIT_NPROC in the job's own user namespace")
    open_files: int = _limit(
        256, "descriptors, each process", "RLIMIT_NOFILE: a tokenizer and a Dataset open a dozen"
    )
    file_bytes: int = _limit(64 * MIB, "bytes, each file", "RLIMIT_FSIZE")
    tmp_bytes: int = _limit(128 * MIB, "bytes", "size of the tmpfs on /tmp, the one place a job can write files")
    tmp_inodes: int = _limit(10_000, "files and folders", "an inode costs kernel memory that no size limit counts")
    shm_bytes: int = _limit(
        64 * MIB, "bytes", "size of the tmpfs on /dev/shm: torch's data loaders share tensors there"
    )
    output_bytes: int = _limit(
        1 * MIB, "bytes", "what is kept of stdout and of stderr; the rest is counted and dropped"
    )

    def __post_init__(self) -> None:
        for limit in fields(self):
            if getattr(self, limit.name) <= 0:
                raise ValueError(f"{limit.name} must be above zero, not {getattr(self, limit.name)}")

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


DEFAULT = Bounds()

# What an hour needs more of. Hours 3 and 4 run models and read thousands of reviews for a minute, several on a busy
# machine, and hour 3 trains one; whoever loads hour 4's 106 MB of reviews, instead of streaming them, writes them to
# a file. Hour 5 trains for minutes and saves checkpoints: weights and optimizer state of a model of 22 million
# parameters are 270 MB. Hour 6 exports the same model to ONNX, 90 MB in one file.
BY_HOUR: dict[int, Bounds] = {
    3: replace(DEFAULT, wall_seconds=600, cpu_seconds=600, memory_bytes=3 * GIB, total_memory_bytes=4 * GIB),
    4: replace(DEFAULT, wall_seconds=600, cpu_seconds=600, file_bytes=256 * MIB, tmp_bytes=512 * MIB),
    5: replace(
        DEFAULT,
        wall_seconds=1800,
        cpu_seconds=3600,
        memory_bytes=3 * GIB,
        total_memory_bytes=4 * GIB,
        file_bytes=512 * MIB,
        tmp_bytes=1 * GIB,
        shm_bytes=256 * MIB,
    ),
    6: replace(
        DEFAULT,
        wall_seconds=600,
        cpu_seconds=600,
        memory_bytes=3 * GIB,
        total_memory_bytes=4 * GIB,
        file_bytes=512 * MIB,
        tmp_bytes=1 * GIB,
    ),
}


def bounds_of(hour: int, **changes: float) -> Bounds:
    """The limits of a job of this hour, with some of them changed: `bounds_of(1, wall_seconds=5)`."""
    return replace(BY_HOUR.get(hour, DEFAULT), **changes)  # type: ignore[arg-type]


def table() -> Iterator[tuple[str, float, str, str]]:
    """Name, default, unit and reason of every limit."""
    for limit in fields(Bounds):
        yield limit.name, getattr(DEFAULT, limit.name), limit.metadata["unit"], limit.metadata["reason"]
