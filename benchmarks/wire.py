"""What does it cost to ask the other process?

The round trip of a 10 MB float32 tensor through the jail's wire, against the same bytes copied there and back through
a socket pair by the plainest code there is (`sendall`, `recv_into` a buffer kept for it), one after the other in one
run; and the round trip of a small call:

    python benchmarks/wire.py 100
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch

from deepdive.jail.client import Channel
from deepdive.jail.worker import serve

ECHO = b"def echo(x):\n    return x\n"
MEGABYTES = 10
SEND_BUFFER = 1 << 20  # bytes; as the wire sets it, so that the plain copy is not slowed down by its sockets


def forked(work: Callable[[socket.socket], None]) -> tuple[socket.socket, int]:
    """A child that does the work at the other end of a socket pair."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        work(theirs)
        os._exit(0)
    theirs.close()
    return ours, child


def copier(size: int) -> Callable[[socket.socket], None]:
    def work(end: socket.socket) -> None:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        kept = memoryview(bytearray(size))
        while receive_all(end, kept):
            end.sendall(kept)

    return work


def receive_all(end: socket.socket, kept: memoryview) -> bool:
    left = kept
    while left:
        count = end.recv_into(left)
        if not count:
            return False
        left = left[count:]
    return True


def timed(act: Callable[[], object]) -> float:
    began = perf_counter()
    act()
    return perf_counter() - began


def shown(seconds: list[float]) -> str:
    tenths = quantiles(seconds, n=10)
    return f"{median(seconds) * 1e3:8.3f} {tenths[0] * 1e3:8.3f} {tenths[-1] * 1e3:8.3f}"


def main(rounds: int) -> None:
    torch.set_num_threads(1)  # before the forks, or operations in the children hang
    tensor = torch.arange(MEGABYTES * 250_000, dtype=torch.float32)
    raw = memoryview(tensor.numpy()).cast("B")
    plain, plain_child = forked(copier(len(raw)))
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    wired, wired_child = forked(lambda end: serve(end.detach()))
    channel = Channel(wired)
    channel.load(ECHO, "echo.py", 10)
    kept = memoryview(bytearray(len(raw)))
    small = np.arange(12.0).reshape(3, 4)
    kinds: dict[str, Callable[[], object]] = {
        f"plain copy, {MEGABYTES} MB": lambda: (plain.sendall(raw), receive_all(plain, kept)),
        f"wire, {MEGABYTES} MB tensor": lambda: channel.timed("echo", [tensor]),
        "the same, watched for changes": lambda: channel.call("echo", [tensor]),
        "small call, an int": lambda: channel.timed("echo", [1]),
        "small call, float64[3,4]": lambda: channel.timed("echo", [small]),
        "the same, watched": lambda: channel.call("echo", [small]),
        "list of 1000 lists of 512 ints": lambda lists=[list(range(512))] * 1000: channel.timed("echo", [lists]),
        "list of 10,000 texts": lambda texts=["some words of a review"] * 10_000: channel.timed("echo", [texts]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for act in kinds.values():
        act()
    for _ in range(rounds):
        for name, act in kinds.items():
            for _ in range(10 if "small" in name else 1):
                seconds[name].append(timed(act))
    print(f"{'round trip, ms':32s}   median    10th     90th   percentile")
    for name, taken in seconds.items():
        print(f"{name:32s} {shown(taken)}")
    copied, sent = list(seconds.values())[:2]
    ratios = quantiles([b / a for a, b in zip(copied, sent, strict=True)], n=10)
    print(f"wire to plain copy, pair by pair: median {ratios[4]:.2f}, 10th {ratios[0]:.2f}, 90th {ratios[-1]:.2f}")
    channel.close()
    plain.close()
    for child in (plain_child, wired_child):
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
