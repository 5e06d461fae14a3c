"""Can a reply be written that the trusted side does not survive?

Mutates valid replies, seeded: half of them as bytes (flipped, cut, doubled, spliced, lengths set to extremes), half
of them as the tree that msgpack holds (parts replaced, moved, repeated), with the header set right again. Each goes
through a socket into a `Channel`. It must come out as a reply or as a `WireError`, quickly:

    python benchmarks/fuzz_wire.py 1000000
"""

from __future__ import annotations

import random
import resource
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.jail import wire
from deepdive.jail.client import Channel

NUMBER = 7  # of the request that all replies claim to answer
SLOW_SECONDS = 2.0  # decoding at the caps takes less; a case that takes longer is a finding

EXTREMES = [
    *(b"\xdd\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xff", b"\x9f", b"\x90"),
    *(
        b"\xc1",
        b"\xc7\xff\x00",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xd7\xff" + bytes(8),
        b"\xdf\xff\xff\xff\xff",
        b"\x81",
    ),
    *(
        b"\xca\x00\x00\x00\x00",
        b"\xcb\x7f\xf8" + bytes(6),
        b"\xcf" + b"\xff" * 8,
        b"\xd3\x80" + bytes(7),
        b"\xa1\xff",
    ),
    *(b"\xff" * 8, bytes(8), b"\x91" * 100, b"DDw1"),
]


def replies() -> Iterator[tuple[Any, list[memoryview]]]:
    """Valid replies of every kind."""
    values: list[Any] = [
        *(None, True, -1, 2**64 - 1, -(2**4000), 1.5, float("nan"), "text", "lone \ud800", b"short", b"long" * 500),
        *([1, 2.0, "3"], (4, [5, (6,)]), list(range(20)), tuple(map(float, range(20))), [[[[[[]]]]]], [None] * 40),
        *({"a": 1, 2: [3], (4, b"5"): {"b": None}, 2.5: (), None: True},),
        *(np.zeros((2, 3)), np.ones((), np.float32), np.zeros((0, 4), bool), np.array([True, False]), np.float16(1)),
        *(np.array(["ab", "c"]), np.array([b"x"]), np.arange(100, dtype=np.uint16), np.complex64(1j), np.str_("s")),
        {"weights": [np.zeros(4), np.zeros((1,) * 8)], "names": ["a", "b"], "shape": (2, 3)},
    ]
    if "torch" in sys.modules:
        import torch

        values += [torch.zeros(2, 3), torch.ones((), dtype=torch.bfloat16), torch.zeros(0, 2, dtype=torch.bool)]
    for value in [*values, object()]:
        packer = wire.Packer(wire.Caps(), lambda other: (3, "builtins.object"))
        yield wire.Returned(NUMBER, packer.pack(value), [0, "x"], "out", "err"), packer.attached
    bases = ["ValueError", "Exception", "BaseException"]
    yield wire.Raised(NUMBER, "run", "ValueError", bases, "no", "frames", "f", True, 0, "", "", ""), []


def mutated_bytes(rng: random.Random, frame: bytes, other: bytes) -> bytes:
    raw = bytearray(frame)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(raw)) if raw else 0
        to = min(len(raw), at + rng.choice((1, 2, 8, 64)))
        match rng.randrange(8):
            case 0 if raw:
                raw[at] ^= 1 << rng.randrange(8)
            case 1 if raw:
                raw[at] = rng.randrange(256)
            case 2:
                raw[at:at] = rng.choice(EXTREMES)
            case 3:
                extreme = rng.choice(EXTREMES)
                raw[at : at + len(extreme)] = extreme
            case 4:
                del raw[at:to]
            case 5:
                raw[at:at] = raw[at:to]
            case 6:
                del raw[at:]
            case 7:
                start = rng.randrange(len(other))
                raw[at:to] = other[start : start + rng.randrange(64)]
    if rng.random() < 0.5 and len(raw) > 8:  # let it get past the header
        raw[:8] = struct.pack("!4sI", b"DDw1", min(len(raw) - 8, struct.unpack_from("!I", frame, 4)[0]))
    return bytes(raw)


ATOMS: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 8, 10, 11, 12, 2**31, 2**62, 2**63, -(2**63), 2**64 - 1, 0.0, float("inf")),
    *("", "float64", "bool", "bfloat16", "O", "U3", "U999999", "V8", "M8[s]", "str", "bytes", "float128", "x" * 500),
    *(
        b"",
        b"\xff",
        b"\xed\xa0\x80",
        bytes(8),
        b"\x02",
        bytes(600),
        [],
        [[]],
        [0],
        [5],
        [8, "float64", []],
        [11, 1, "x"],
    ),
    *([2**31] * 4, [0, 2**62], [1] * 33, [-1, -1], [2, [0], 1], [2, 1, 1, True, 1], "returned", "raised"),
]


def mutated_tree(rng: random.Random, frame: bytes, other: bytes) -> bytes:
    (length,) = struct.unpack_from("!I", frame, 4)
    tree = msgspec.msgpack.decode(frame[8 : 8 + length])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        nodes = [tree]
        for node in nodes:
            nodes += [child for child in node if type(child) is list]
        node = rng.choice(nodes)
        at = rng.randrange(len(node)) if node else 0
        match rng.randrange(7):
            case 0 if node:
                node[at] = rng.choice(ATOMS)
            case 1:
                node.insert(at, rng.choice(ATOMS))
            case 2 if node:
                del node[at]
            case 3 if node:
                node[at] = msgspec.msgpack.decode(msgspec.msgpack.encode(rng.choice(nodes)))
            case 4 if node:
                node.insert(at, node[at])
            case 5 if node and type(node[at]) is int:
                node[at] = sorted((-(2**63), node[at] + rng.choice((-1, 1, 8, 2**20)), 2**64 - 1))[1]
            case 6 if node:
                node[at] = [rng.randrange(13), *rng.choices(ATOMS, k=rng.randrange(4))]
        tree = msgspec.msgpack.decode(msgspec.msgpack.encode(tree))  # no two parts the same object, no loops
    head = msgspec.msgpack.encode(tree)
    return struct.pack("!4sI", b"DDw1", len(head)) + head + frame[8 + length :]


def outcome(raw: bytes) -> str:
    """What a channel makes of these bytes: `reply`, or what it raised."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    try:
        theirs.sendall(raw)
        theirs.close()
        repr(channel._receive(NUMBER, monotonic() + 5))  # what passed must also bear being looked at
    except wire.WireError as error:
        last = f", from {type(error.__cause__).__name__}" if error.__cause__ else ""
        return type(error).__name__ + last
    finally:
        channel._lost = "done"
        ours.close()
    return "reply"


def fuzz(cases: int, seed: int = 0) -> tuple[Counter[str], float]:
    """Outcomes, and the seconds that the slowest case took.

    Raises:
        AssertionError: a case took too long.
        BaseException: whatever a case got out of the channel that is no WireError.
    """
    rng = random.Random(seed)
    frames = [b"".join(wire.encode(message, attached, wire.Caps())) for message, attached in replies()]
    for frame in frames:
        assert outcome(frame) == "reply", "an unmutated reply was refused"
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for case in range(cases):
        mutate = rng.choice((mutated_bytes, mutated_tree))
        raw = mutate(rng, rng.choice(frames), rng.choice(frames))
        began = perf_counter()
        try:
            outcomes[outcome(raw)] += 1
        except BaseException:
            print(f"case {case} of seed {seed}: {raw!r}", file=sys.stderr)
            raise
        slowest = max(slowest, perf_counter() - began)
        assert slowest < SLOW_SECONDS, f"case {case} of seed {seed} took {slowest:.1f} s: {raw[:200]!r}"
    return outcomes, slowest


def main(cases: int, seed: int) -> None:
    import torch  # noqa: F401 - so that tensors are among the replies

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = perf_counter()
    outcomes, slowest = fuzz(cases, seed)
    seconds = perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{cases} cases in {seconds:.0f} s, {cases / seconds:.0f} a second; the slowest {slowest * 1e3:.1f} ms; ",
        end="",
    )
    print(f"memory grew by {grown / 1024:.0f} MB")
    for name, count in outcomes.most_common():
        print(f"{count:9d}  {name}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
