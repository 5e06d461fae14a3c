"""Which system calls a job may make: an allow-list, as a program for the kernel's own packet-filter machine.

There are two. The **job's** is strict: files, memory, processes, time and Unix sockets, nothing that changes what
the process is or sees. The **setup** filter, for the zygote, which holds no learner's code, adds what it takes to
make a job's namespaces. A job lives under both.

The programs are assembled here, in Python, so that nothing but the kernel is needed to run them. Every instruction is
eight bytes; a comparison jumps at most 255 instructions ahead, so each call's answer stands right behind its test.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable
from functools import cache

from .syscalls import ABSENT, ALLOWED, INSPECTED, REFUSED, SETUP, Numbers

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column in `syscalls`, AUDIT_ARCH_*

_LOAD, _EQUAL, _GREATER_OR_EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

ALLOW, KILL = 0x7FFF0000, 0x80000000
_X32 = 0x40000000  # the bit that marks a call of the x32 ABI, whose numbers no list here means


def _refuse(number: int) -> int:
    return 0x00050000 | number


_EPERM, _ENOSYS = _refuse(errno.EPERM), _refuse(errno.ENOSYS)

_NAMESPACES = 0x7E020000  # every CLONE_NEW… flag that clone, as opposed to clone3, understands
_AF_UNIX = 1
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
# What terminals, sockets and pipes are asked by honest code: TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO,
# FIONCLEX, FIOCLEX. TIOCSTI, which types into the grader's terminal, is not among them.
_IOCTLS = (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_TIMERSLACK,
# PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_THP_DISABLE, PR_GET_THP_DISABLE, PR_SET_VMA
_PRCTLS = (3, 15, 16, 21, 23, 30, 38, 39, 41, 42, 0x53564D41)

Instruction = tuple[int, int, int, int]  # operation, jump if true, jump if false, operand


def job_filter(machine: str | None = None) -> bytes:
    """The strict filter, under which the learner's code runs, for this machine or the one named."""
    return _assemble(machine or platform.machine(), setup=False)


def setup_filter(machine: str | None = None) -> bytes:
    """The filter of the process that makes jobs."""
    return _assemble(machine or platform.machine(), setup=True)


def supported(machine: str | None = None) -> bool:
    return (machine or platform.machine()) in MACHINES


@cache
def _assemble(machine: str, *, setup: bool) -> bytes:
    if machine not in MACHINES:
        raise ValueError(f"no system call filter for the machine {machine!r}; there is one for {', '.join(MACHINES)}")
    column, architecture = MACHINES[machine]

    def numbers(calls: dict[str, Numbers]) -> set[int]:
        return {n for call in calls.values() if (n := call[column]) is not None}

    def number(name: str) -> int:
        found = INSPECTED[name][column]
        assert found is not None
        return found

    allowed = numbers(ALLOWED) | (numbers(SETUP) | numbers(INSPECTED) if setup else set())
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_GREATER_OR_EQUAL, 0, 1, _X32),
        (_RETURN, 0, 0, KILL),
    ]
    program += _all(allowed, ALLOW)
    if not setup:
        program += _inspect(number("clone"), 0, [(_ANY_BIT, 0, 1, _NAMESPACES), _answer(_EPERM), _answer(ALLOW)])
        for name in ("socket", "socketpair"):
            program += _inspect(number(name), 0, _one_of([_AF_UNIX]))
        program += _inspect(number("ioctl"), 1, _one_of(_IOCTLS))
        program += _inspect(number("prctl"), 0, _one_of(_PRCTLS))
        # Memory that is shared but has no name is counted by no limit of a process.
        nameless = [(_ANY_BIT, 0, 2, _MAP_ANONYMOUS), (_ANY_BIT, 0, 1, _MAP_SHARED), _answer(_EPERM), _answer(ALLOW)]
        program += _inspect(number("mmap"), 3, nameless)
    program += _all(numbers(ABSENT), _ENOSYS)
    program += _all(numbers(REFUSED) - allowed, _EPERM)
    program.append(_answer(_ENOSYS))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _answer(value: int) -> Instruction:
    return (_RETURN, 0, 0, value)


def _all(numbers: Iterable[int], value: int) -> list[Instruction]:
    """One answer to each of these calls, tested a run of neighbouring numbers at a time."""
    program: list[Instruction] = []
    for first, last in _runs(numbers):
        if first == last:
            program += [(_EQUAL, 0, 1, first), _answer(value)]
        else:
            program += [(_GREATER_OR_EQUAL, 0, 2, first), (_GREATER, 1, 0, last), _answer(value)]
    return program


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _inspect(number: int, argument: int, verdict: list[Instruction]) -> list[Instruction]:
    """The verdict on one call by the low half of one argument, all that the kernel looks at for these calls."""
    load = (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)
    return [(_EQUAL, 0, len(verdict) + 1, number), load, *verdict]


def _one_of(values: Iterable[int]) -> list[Instruction]:
    tests = [step for value in values for step in ((_EQUAL, 0, 1, value), _answer(ALLOW))]
    return [*tests, _answer(_EPERM)]
