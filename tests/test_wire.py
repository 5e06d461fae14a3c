"""Values cross the wire whole or not at all; nothing that the jail sends does more to the trusted side than that."""

import json
import math
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from benchmarks.fuzz_wire import NUMBER, fuzz
from deepdive.jail import wire
from deepdive.jail.client import CannotSend, Channel, Ref, StaysInJail, as_exception
from deepdive.jail.wire import Caps, Died, Raised, Returned, TimedOut, WireError

ROOT = Path(__file__).parent.parent


# --- the value set ---


def frame_of(value: Any, caps: Caps | None = None, unknown: Any = None) -> bytes:
    packer = wire.Packer(caps or Caps(), *([unknown] if unknown else []))
    reply = Returned(NUMBER, packer.pack(value), [], "", "")
    return b"".join(wire.encode(reply, packer.attached, caps or Caps()))


def read(raw: bytes, caps: Caps | None = None, seconds: float = 5) -> Any:
    """What a channel makes of bytes that came as a reply."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours, caps)
    writer = threading.Thread(target=lambda: send_and_close(theirs, raw), daemon=True)
    writer.start()
    try:
        return channel._receive(NUMBER, time.monotonic() + seconds)
    finally:
        channel._lost = "done"
        ours.close()
        writer.join()


def send_and_close(end: socket.socket, raw: bytes) -> None:
    with end, suppress(OSError):
        end.sendall(raw)


def across(value: Any) -> Any:
    return read(frame_of(value)).value


def same(a: Any, b: Any) -> bool:
    """The same exact types, to the last bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, torch.Tensor):
        x, y = (t.reshape(-1).view(torch.uint8) if t.numel() else t.reshape(-1).bool() for t in (a, b))
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(x, y)
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    return bool(a == b)


BITS = Caps().bits
numbers = st.integers() | st.integers(-(2**BITS) + 1, 2**BITS - 1) | st.floats()
texts = st.text(st.characters()) | st.text(st.characters(categories=["Cs", "Lu"]))
scalars = arrays.from_dtype
dtypes = st.one_of(
    arrays.integer_dtypes(endianness="="),
    arrays.unsigned_integer_dtypes(endianness="="),
    arrays.floating_dtypes(endianness="=", sizes=(16, 32, 64)),
    arrays.complex_number_dtypes(endianness="=", sizes=(64, 128)),
    arrays.boolean_dtypes(),
    arrays.unicode_string_dtypes(endianness="=", min_len=1, max_len=5),
)
shapes = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3)
numpy_arrays = dtypes.flatmap(lambda dtype: arrays.arrays(dtype, shapes))
numpy_scalars = dtypes.flatmap(arrays.from_dtype).map(np.asarray).map(lambda array: array[()])
TORCH_DTYPES = [
    *(torch.float16, torch.float32, torch.float64, torch.bfloat16, torch.bool, torch.complex64, torch.complex128),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8),
]
tensors = st.builds(
    lambda dtype, shape, seed: (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 9).to(dtype),
    st.sampled_from(TORCH_DTYPES),
    shapes,
    st.integers(0, 99),
)
keys = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary(),
    lambda inner: st.tuples(inner, inner),
    max_leaves=3,
)
leaves = st.none() | st.booleans() | numbers | texts | st.binary() | st.binary(min_size=1000, max_size=1100)
leaves |= numpy_arrays | numpy_scalars | tensors | st.lists(st.floats()) | st.lists(st.integers(-(2**64), 2**64))
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(values)
def test_every_plain_value_crosses_to_the_last_bit(value: Any) -> None:
    assert same(across(value), value)


def test_special_floats_keep_their_bits() -> None:
    payload = struct.unpack("d", struct.pack("Q", 0x7FF8_0000_0000_BEEF))[0]
    odd = [math.nan, -math.nan, payload, math.inf, -math.inf, -0.0, 5e-324]
    assert same(across(odd), odd)
    assert same(across(odd * 3), odd * 3)
    assert same(across(np.array(odd)), np.array(odd))


def test_the_order_of_a_dict_is_kept() -> None:
    assert list(across({"b": 1, "a": 2, 3: 4})) == ["b", "a", 3]


def test_strided_foreign_endian_and_fortran_arrays_arrive_plain() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for odd in (x.T, x[:, ::-1], x.astype(">f8"), np.asfortranarray(x), np.broadcast_to(x[0, 0], (5, 4))):
        assert same(across(odd), np.ascontiguousarray(odd, odd.dtype.newbyteorder("=")))


def test_odd_tensors_arrive_plain() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    for odd in (x.T, x.expand(4, 2, 3), x.clone().requires_grad_(), torch.nn.Parameter(x), x.to(torch.bfloat16).T):
        arrived = across(odd)
        assert same(arrived, odd.detach().as_subclass(torch.Tensor).contiguous())
        assert not arrived.requires_grad


def test_what_arrives_can_be_written_to() -> None:
    array = across(np.zeros(3))
    array += 1
    tensor = across(torch.zeros(3))
    tensor += 1
    assert array.sum() == tensor.sum() == 3


class LyingArray(np.ndarray):
    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return True


class LyingTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return torch.ones(3)


class LyingInt(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 42


class LyingText(str):
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __str__(self) -> str:
        return "right"


class LyingFloat(float):
    def __float__(self) -> float:
        return 42.0


class LyingList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter([42])

    def __len__(self) -> int:
        return 1


class LyingDict(dict[Any, Any]):
    def items(self) -> Any:
        return [("right", 42)]


def test_subclasses_arrive_as_what_they_hold() -> None:
    point = namedtuple("point", "x y")
    held = [
        (np.zeros(3).view(LyingArray), np.zeros(3)),
        (torch.zeros(3).as_subclass(LyingTensor), torch.zeros(3)),
        (LyingInt(1), 1),
        (LyingText("wrong"), "wrong"),
        (LyingFloat(1.5), 1.5),
        (LyingList([1, 2]), [1, 2]),
        (LyingDict(a=1), {"a": 1}),
        (point(1, 2), (1, 2)),
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ({LyingText("a"): 1, LyingText("a"): 2}, {"a": 2}),  # as a copy in process: the last one counts
        ({LyingInt(7): 1}, {7: 1}),
    ]
    for lie, truth in held:
        assert same(across(lie), truth), truth


@pytest.mark.parametrize(
    "odd",
    [
        np.array([None, 1]),
        np.zeros(2, [("a", int)]),
        np.array(["2024-01-01"], "M8[D]"),
        np.timedelta64(1, "s"),
        np.longdouble(1),
        torch.eye(2).to_sparse(),
        torch.empty(2, device="meta"),
        {1, 2},
        1j,
        bytearray(b"x"),
        object(),
        int,
        len,
    ],
    ids=lambda odd: type(odd).__name__,
)
def test_what_is_not_plain_stays_and_is_referred_to(odd: Any) -> None:
    with pytest.raises(WireError, match="cannot cross"):
        frame_of(odd)
    stayed: list[Any] = []
    arrived = read(frame_of(odd, unknown=lambda other: (stayed.append(other) or 5, "kind"))).value
    assert type(arrived) is Ref
    assert stayed[0] is odd


def test_too_deep_too_large_and_endless_values_are_refused_by_the_sender() -> None:
    endless: list[Any] = []
    endless.append(endless)
    bushy: list[Any] = []
    bushy += [bushy] * 9
    deep: Any = 1
    for _ in range(60):
        deep = (deep,)
    for value in (endless, bushy, deep, 2**5000, ["x"] * 600_000, {frozenset(): 1}, "é" * (9 << 20)):
        with pytest.raises(WireError):
            frame_of(value)


def test_the_deepest_value_crosses_in_every_position() -> None:
    for innermost in ({(1,): 2**100}, np.zeros((1,) * 32), np.str_("\ud800"), "\ud800"):
        deep: Any = innermost
        for _ in range(49):
            deep = [deep]
        assert same(across(deep), deep)
    ours, theirs = socket.socketpair()
    packer = wire.Packer(Caps())
    named = [("x", packer.pack(deep))]
    for buffer in wire.encode(wire.Call(1, "f", [], named, 1.0, "answers", True), packer.attached, Caps()):
        theirs.sendall(buffer)
    assert wire.Stream(ours).receive(wire.REQUESTS, time.monotonic() + 1)[0].target == "f"


# --- hostile replies ---


def written(value: Any, sizes: Any = (), attached: bytes = b"", *, reply: Any = None) -> bytes:
    """A frame with any packed value at all, as nobody honest would write it."""
    message = reply if reply is not None else ["returned", NUMBER, value, [], "", ""]
    return framed(msgspec.msgpack.encode([list(sizes), message])) + attached


def framed(head: bytes, length: int | None = None) -> bytes:
    return struct.pack("!4sI", b"DDw1", len(head) if length is None else length) + head


def raw_value(packed: bytes) -> bytes:
    """A frame whose value is these bytes of msgpack."""
    return framed(b"\x92\x90\x96\xa8returned\x07" + packed + b"\x90\xa0\xa0")


def nested(depth: int) -> Any:
    value: Any = [0]
    for _ in range(depth):
        value = [0, value]
    return value


HUGE = 2**62
LONE_UTF8 = b"\xa2\xff\xfe"
HOSTILE: dict[str, bytes] = {
    "garbage": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(100),
    "a head too long": framed(b"", 2**32 - 1),
    "a head just too long": framed(b"", Caps().head + 1),
    "an empty head": framed(b""),
    "a head cut short": framed(b"\x92\x90"),
    "more in the head": framed(msgspec.msgpack.encode([[], ["returned", 7, None, [], "", ""]]) + b"\xc0"),
    "more after the frame": written(None) + b"x",
    "two replies": written(None) * 2,
    "a list of 4 billion": raw_value(b"\xdd\xff\xff\xff\xff"),
    "lists of 4 billion in each other": raw_value(b"\xdd\xff\xff\xff\xff" * 40),
    "bytes of 4 GB": raw_value(b"\xc6\xff\xff\xff\xff"),
    "a text of 4 GB": raw_value(b"\xdb\xff\xff\xff\xff"),
    "a map": raw_value(b"\x81\xa1a\x01"),
    "a map of 4 billion": raw_value(b"\xdf\xff\xff\xff\xff"),
    "a map with a list for a key": raw_value(b"\x81\x91\x00\x01"),
    "an extension": raw_value(b"\xd4\x05\x00"),
    "an extension of 4 GB": raw_value(b"\xc9\xff\xff\xff\xff\x05"),
    "a timestamp": raw_value(msgspec.msgpack.encode(msgspec.msgpack.Ext(-1, bytes(4)))),
    "a float32": raw_value(b"\xca\x00\x00\x00\x00"),
    "the byte that msgpack never uses": raw_value(b"\xc1"),
    "text that is not UTF-8": raw_value(LONE_UTF8),
    "a surrogate in UTF-8": raw_value(b"\xa3\xed\xa0\x80"),
    "60 deep": written(nested(60)),
    "100,000 deep": raw_value(b"\x92\x00" * 100_000 + b"\x00"),
    "no code": written([]),
    "an unknown code": written([12]),
    "a negative code": written([-1]),
    "True for a code": written([True, 1]),
    "a text for a code": written(["list"]),
    "a dict with half a pair": written([2, "a"]),
    "a dict with a key twice": written([2, "a", 1, "a", 2]),
    "a dict with 1 and True": written([2, 1, 1, True, 1]),
    "a dict with a list for a key": written([2, [0], 1]),
    "a dict with an array for a key": written([2, [8, "int8", [1]], 1], [1], b"x"),
    "a dict with a Ref for a key": written([2, [11, 1, "x"], 1]),
    "a dict with a list in a key": written([2, [1, [0]], 1]),
    "a dict whose keys share a hash": written(
        [2, *[x for i in range(50_000) for x in ([4, (i * (2**61 - 1)).to_bytes(16, "little")], 0)]]
    ),
    "a text with bad bytes": written([3, b"\xff"]),
    "a text of text": written([3, "x"]),
    "an int of nothing": written([4, b""]),
    "an int of 5000 bits": written([4, b"\x01" * 700]),
    "bytes not attached": written([5]),
    "bytes with more parts": written([5, 1], [1], b"x"),
    "numbers of 7 bytes": written([6, 0], [7], bytes(7)),
    "numbers in no list": written([7, 2], [8], bytes(8)),
    "numbers in a list of True": written([7, True], [8], bytes(8)),
    "too few bytes": written([8, "float64", [2]], [8], bytes(8)),
    "too many bytes": written([8, "float64", [2]], [24], bytes(24)),
    "no bytes": written([8, "float64", [2]]),
    "a buffer for nobody": written(None, [8], bytes(8)),
    "one buffer for two": written([0, [8, "int8", [1]], [8, "int8", [1]]], [1], b"x"),
    "a negative dimension": written([8, "float64", [-1]], [8], bytes(8)),
    "two negative dimensions": written([8, "float64", [-1, -1]], [8], bytes(8)),
    "33 dimensions": written([8, "int8", [1] * 33], [1], b"x"),
    "100,000 dimensions": written([8, "int8", [1] * 100_000], [1], b"x"),
    "a shape that overflows to 0": written([8, "int8", [2**32, 2**32]], [0]),
    "a shape that overflows to 8": written([8, "int8", [2**61 + 1, 8]], [8], bytes(8)),
    "an empty array larger than memory": written([8, "float64", [0, HUGE, HUGE]], [0]),
    "a dimension of 2**64 - 1": written([8, "int8", [2**64 - 1]], [8], bytes(8)),
    "True for a dimension": written([8, "int8", [True]], [1], b"x"),
    "1.0 for a dimension": written([8, "int8", [1.0]], [1], b"x"),
    "a shape that is no list": written([8, "int8", 1], [1], b"x"),
    "objects": written([8, "O", [1]], [8], bytes(8)),
    "objects by name": written([8, "object", [1]], [8], bytes(8)),
    "a structured dtype": written([8, "i4,f4", [1]], [8], bytes(8)),
    "dates": written([8, "M8[s]", [1]], [8], bytes(8)),
    "void": written([8, "V8", [1]], [8], bytes(8)),
    "a dtype that is no text": written([8, 3, [1]], [8], bytes(8)),
    "a dtype as a Python expression": written([8, "__import__('os')", [1]], [8], bytes(8)),
    "texts of no length": written([8, "U0", [1]], [0]),
    "texts of great length": written([8, "U99999999", [0]], [0]),
    "texts beyond Unicode": written([8, "U1", [1]], [4], b"\xff\xff\xff\x7f"),
    "a bool that is 2": written([8, "bool", [1]], [1], b"\x02"),
    "a tensor's bool that is 2": written([10, "bool", [1]], [1], b"\x02"),
    "a scalar bool that is 2": written([9, "bool", b"\x02"]),
    "a scalar of 3 bytes": written([9, "float64", b"123"]),
    "a scalar of objects": written([9, "O", bytes(8)]),
    "a scalar text of bytes": written([9, "str", b"x"]),
    "a tensor of texts": written([10, "U1", [1]], [4], bytes(4)),
    "a tensor of a numpy dtype": written([10, "bfloat", [1]], [2], bytes(2)),
    "an empty tensor larger than memory": written([10, "bfloat16", [0, HUGE, 4]], [0]),
    "a Ref with a negative id": written([11, -1, "x"]),
    "a Ref with a vast id": written([11, 2**64 - 1, "x"]),
    "a Ref with a vast name": written([11, 1, "x" * 1000]),
    "buffers of 2**63 bytes": written(None, [2**63]),
    "buffers of -1 bytes": written(None, [-1]),
    "buffers of 300 MB": written([5], [300 << 20]),
    "buffers that add up to 300 MB": written([0] + [[5]] * 300, [1 << 20] * 300),
    "100,000 buffers": written(None, [0] * 100_000),
    "a request for a reply": written(None, reply=["bye"]),
    "an unknown message": written(None, reply=["verdict", "passed"]),
    "a reply to another request": written(None, reply=["returned", 8, None, [], "", ""]),
    "a reply with a part more": written(None, reply=["returned", 7, None, [], "", "", 1]),
    "a reply with a part less": written(None, reply=["returned", 7, None]),
    "a vast output": written(None, reply=["returned", 7, None, [], "x" * 100_000, ""]),
    "an exception with a number for a name": written(None, reply=["raised", 7, "run", 1, *[""] * 9]),
    "no list at all": framed(b"\x01"),
    "a frame of one part": framed(b"\x91\x90"),
    "600,000 values": written([0] + [None] * 600_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_reply_is_a_wire_error(name: str) -> None:
    began = time.monotonic()
    with pytest.raises(WireError) as caught:
        read(HOSTILE[name])
    assert caught.value.__cause__ is None, "it was foreseen, not caught at the last moment"
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 500
    assert time.monotonic() - began < 2


def test_too_many_numbers_are_refused() -> None:
    raw = written([0, [6, 0], [6, 0]], [80, 80], bytes(160))
    assert read(raw).value == [[0.0] * 10] * 2
    with pytest.raises(WireError, match="numbers"):
        read(raw, Caps(numbers=15))


def test_every_cut_of_a_frame_is_a_wire_error() -> None:
    frame = frame_of({"x": [np.arange(5.0), "text", 2**70], "y": tuple(range(10))})
    for length in range(len(frame)):
        with pytest.raises(Died):
            read(frame[:length])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_a_wire_error(raw: bytes, headed: bool) -> None:
    with pytest.raises(WireError):
        read(framed(raw) if headed else raw)


def test_twenty_thousand_mutated_replies_do_no_harm() -> None:
    outcomes, _ = fuzz(20_000)
    assert not [name for name in outcomes if ", from" in name], "something was caught only at the last moment"
    assert outcomes["reply"] > 500
    assert outcomes["WireError"] > 10_000


@pytest.mark.slow
def test_a_million_mutated_replies_do_no_harm() -> None:
    outcomes, _ = fuzz(1_000_000, seed=1)
    assert not [name for name in outcomes if ", from" in name]


PEAKS = """
import json, os, re, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.test_wire import HOSTILE, WORST, read

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

for name in ("HOSTILE", *WORST):
    frames = list(HOSTILE.values()) if name == "HOSTILE" else [WORST[name]()]
    if os.fork() == 0:  # a child's peak begins where its parent stands
        before = peak()
        for frame in frames:
            try:
                read(frame, seconds=20)
            except Exception:
                pass
        print(json.dumps([name, peak() - before]), flush=True)
        os._exit(0)
    os.wait()
"""

WORST: dict[str, Callable[[], bytes]] = {  # all that the caps let through
    "lists": lambda: raw_value(b"\xdd" + (249_000).to_bytes(4, "big") + b"\x00" + b"\x91\x00" * 248_999),
    "dicts": lambda: raw_value(b"\xdd" + (249_000).to_bytes(4, "big") + b"\x00" + b"\x91\x02" * 248_999),
    "refs": lambda: written([0] + [[11, 1, ""]] * 120_000),
    "numbers": lambda: written([0, [6, 0]], [32_000_000], bytes(32_000_000)),
    "arrays": lambda: written([0] + [[8, "int8", [1]]] * 50_000, [1] * 50_000, bytes(50_000)),
    "text": lambda: raw_value(b"\xdb" + (16_000_000).to_bytes(4, "big") + b"x" * 15_999_996 + "😀".encode()),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_reading_never_takes_more_memory_than_the_caps_allow() -> None:
    caps = Caps()
    special = {
        "HOSTILE": 60.0,  # MB: the largest of these frames that is honest about its size, taken apart
        "numbers": (32e6 + 40 * caps.numbers) / 1e6,
        "arrays": 400 * (caps.attached + caps.items) / 1e6,
        "text": 6 * caps.head / 1e6,
    }
    command = [sys.executable, "-c", PEAKS.format(root=str(ROOT))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    grown = dict(map(json.loads, done.stdout.splitlines()))
    assert set(grown) == {"HOSTILE", *WORST}
    for name, megabytes in grown.items():
        assert megabytes < special.get(name, 400 * caps.items / 1e6), grown


# --- the clock ---


def against(play: Callable[[socket.socket], None]) -> tuple[Channel, threading.Thread]:
    """A channel whose other end is played by a thread."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs, suppress(OSError):
            play(theirs)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return Channel(ours, grace=0.0), thread


def drip(end: socket.socket) -> None:
    for byte in frame_of("x" * 10_000):
        end.sendall(bytes([byte]))
        time.sleep(0.01)


def drip_bytes(end: socket.socket) -> None:
    end.sendall(written([5], [10_000_000]))
    while True:
        end.sendall(b"x")
        time.sleep(0.01)


def endless(end: socket.socket) -> None:
    end.sendall(written([5], [250 << 20]))
    while True:
        end.sendall(b"x" * 1000)
        time.sleep(0.001)


@pytest.mark.parametrize("play", [lambda end: time.sleep(0.7), drip, drip_bytes, endless])
def test_no_whole_reply_by_the_deadline_is_timed_out(play: Callable[[socket.socket], None]) -> None:
    channel, thread = against(play)
    began = time.monotonic()
    with pytest.raises(TimedOut):
        channel.call("f", [1], seconds=0.3)
    assert 0.3 <= time.monotonic() - began < 0.6
    with pytest.raises(Died, match="nothing more can be asked"):
        channel.call("f", [1])
    thread.join(5)


def test_a_jail_that_does_not_read_is_timed_out() -> None:
    channel, _ = against(lambda end: time.sleep(1))
    with pytest.raises(TimedOut):
        channel.call("f", [np.zeros(5_000_000)], seconds=0.2)


def test_a_jail_that_ends_has_died() -> None:
    channel, thread = against(lambda end: None)
    thread.join()
    with pytest.raises(Died):
        channel.call("f", [1], seconds=1)


def test_a_reply_written_before_its_request_is_no_reply() -> None:
    channel, thread = against(lambda end: (end.sendall(written(42)), time.sleep(0.2)))
    with pytest.raises(WireError, match="answers no request"):
        channel.call("f", [1], seconds=1)
    thread.join()


# --- a real process at the other end ---

ANSWERS = b'''\xef\xbb\xbf# -*- coding: utf-8 -*-\r
"""Caf\xc3\xa9."""\r
from __future__ import annotations
import builtins, collections, gc, io, json, os, sys, time, warnings\r
import numpy as np\r

def echo(*args, **kwargs): return args[0] if args else kwargs
def typed(x: int, /, y: str = "a", *, z=None) -> list[int]: return [x]
def todo(x):
    """Not yet."""
    raise NotImplementedError
def calls_todo(x): return todo(x)
def library(x): return json.loads("{")
def leave(how):
    if how == "sys.exit": sys.exit(0)
    if how == "KeyboardInterrupt": raise KeyboardInterrupt
    if how == "GeneratorExit": raise GeneratorExit
    if how == "BaseException": raise BaseException("base")
class Odd(KeyError, ValueError): pass
class Mute(Exception):
    def __str__(self): sys.exit(1)
class Forged(Exception): pass
Forged.__name__ = "AssertionError"
def odd(): raise Odd("which")
def mute(): raise Mute
def forged(): raise Forged("x")
def unicode(): return b"\\xff".decode()
def oserror(): open("/nowhere/at/all")
def lone(): raise ValueError("lone \\ud800")
def long(): raise ValueError("x" * 10**6)
def recursion(n=0): return recursion(n + 1)
def deep_stack():
    sys.setrecursionlimit(20_000)
    try: return recursion()
    finally: sys.setrecursionlimit(1000)
def memory(): return bytearray(1 << 62)
def chat(n):
    for i in range(n): print("line", i)
    print("warning", file=sys.stderr)
    os.write(1, b"straight to the descriptor")
    os.system("echo from a child")
    sys.stdout.buffer.write(b"\\xff raw")
def close(): sys.stdout.close()
def swap(): sys.stdout = io.StringIO(); print("lost")
def read_input(): return input()
def in_place(x, y, z=None):
    x += 1
    y.append(4)
    if z is not None: z["new"] = 1
    return x
def view(x): return x[::2]
def generator(n): yield from range(n)
def forever():
    while True: yield 1
def endless_list():
    x = []; x.append(x); x.append(x); return x
def bomb(): return [0.5] * 10**7
def odd_keys(): return {object(): 1}
class Model:
    """A model."""
    config = {"layers": 2}
    def __init__(self): self.seen = []
    def __call__(self, x, scale=1): self.seen.append(x); return x * scale
    def __len__(self): return 7
    def __getitem__(self, i): return ("sliced", i.start, i.stop) if isinstance(i, slice) else [i]
    def __eq__(self, other): return True
    def __bool__(self): return True
    def __array__(self, *a, **k): return np.ones(3)
    def __float__(self): return 1.0
    def __iter__(self): return iter([1, self])
    def fail(self): raise ValueError("no")
def model(): return Model()
def use(m, x): return m(x), len(m.seen)
def which(m): return type(m).__name__
def kept(): gc.collect(); return sum(type(o) is Model for o in gc.get_objects())
class Liar:
    __class__ = property(lambda self: int)
    def __getattribute__(self, name): raise SystemExit
def liar(): return Liar()
def patch():
    for name in ("len", "isinstance", "type", "repr", "list", "dict", "issubclass", "map", "enumerate"):
        setattr(builtins, name, None)
    time.monotonic = time.perf_counter = json.dumps = None
def spin():
    while True:
        pass
def swallow():
    while True:
        try:
            while True: pass
        except BaseException: pass
def die(): os._exit(0)
value = 3
'''

SHOWN = "exercises/hour1_attention.py"


class Process:
    """A worker in a process of its own, and the channel to it."""

    def __init__(self, source: bytes = ANSWERS) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = f"from deepdive.jail.worker import serve; serve({theirs.fileno()})"
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self.popen = subprocess.Popen(
                [sys.executable, "-c", command], pass_fds=[theirs.fileno()], env=environment, stdout=subprocess.PIPE
            )
        self.channel = Channel(ours)
        self.loaded = self.channel.load(source, SHOWN, 20)

    def value(self, name: str, *args: Any, **kwargs: Any) -> Any:
        reply = self.channel.call(name, args, kwargs)
        assert isinstance(reply, Returned), reply
        return reply.value

    def raised(self, name: str, *args: Any, **kwargs: Any) -> Raised:
        reply = self.channel.call(name, args, kwargs)
        assert isinstance(reply, Raised), reply
        return reply

    def end(self) -> bytes:
        self.channel.close()
        return self.popen.communicate(timeout=10)[0]


@pytest.fixture(scope="module")
def shared() -> Iterator[Process]:
    process = Process()
    yield process
    assert process.end() == b"", "what C code and children print goes nowhere"
    assert process.popen.returncode == 0


@pytest.fixture
def own() -> Iterator[Process]:
    process = Process()
    yield process
    process.popen.kill()
    process.end()


def test_loading_gives_the_functions_and_their_signatures(shared: Process) -> None:
    assert isinstance(shared.loaded, Returned)
    assert shared.loaded.value["typed"] == "(x, /, y='a', *, z=None)"
    assert "Model" not in shared.loaded.value


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(values)
def test_a_value_goes_there_and_back_again(shared: Process, value: Any) -> None:
    assert same(shared.value("echo", value), value)
    assert same(shared.value("echo", a=value), {"a": value})


def test_todo_is_an_error_of_the_learners_own_code(shared: Process) -> None:
    for name, function in (("todo", "todo"), ("calls_todo", "todo")):
        raised = shared.raised(name, 1)
        assert (raised.stage, raised.type_name, raised.function, raised.own) == (
            *("run", "NotImplementedError", function, True),
        )
    assert not shared.raised("library", 7).own


def test_frames_show_the_learners_lines(shared: Process) -> None:
    frames = shared.raised("library", 7).frames
    assert frames.startswith(f"  File {SHOWN}, line ")
    assert 'return json.loads("{")' in frames
    assert "worker.py" not in frames


@pytest.mark.parametrize("how", ["sys.exit", "KeyboardInterrupt", "GeneratorExit", "BaseException"])
def test_leaving_is_told_and_the_jail_goes_on(shared: Process, how: str) -> None:
    raised = shared.raised("leave", how)
    assert raised.bases[-1] == "BaseException"
    assert "Exception" not in raised.bases
    assert type(as_exception(raised)).__mro__[1] is Exception
    assert shared.value("echo", 1) == 1


def test_exceptions_can_be_caught_as_what_they_were(shared: Process) -> None:
    error = as_exception(shared.raised("odd"))
    assert isinstance(error, KeyError)
    assert isinstance(error, ValueError)
    assert (type(error).__name__, str(error)) == ("Odd", "'which'")
    assert isinstance(as_exception(shared.raised("unicode")), UnicodeDecodeError)
    assert isinstance(as_exception(shared.raised("oserror")), FileNotFoundError)
    assert isinstance(as_exception(shared.raised("memory")), MemoryError | OverflowError)
    forged = as_exception(shared.raised("forged"))
    assert not isinstance(forged, AssertionError)


def test_odd_exceptions_are_told_all_the_same(shared: Process) -> None:
    assert shared.raised("mute").message == "(its text cannot be had: SystemExit)"
    assert shared.raised("lone").message == "lone \\ud800"
    assert len(shared.raised("long").message) <= 2000
    for name in ("recursion", "deep_stack"):
        raised = shared.raised(name)
        assert raised.type_name == "RecursionError"
        assert len(raised.frames.splitlines()) < 40


def test_a_call_that_cannot_be_made_says_why(shared: Process) -> None:
    raised = shared.raised("typed")
    assert (raised.stage, raised.signature) == ("bind", "(x, /, y='a', *, z=None)")
    assert raised.message == "missing a required argument: 'x'"
    assert (shared.raised("nowhere").stage, shared.raised("nowhere").message) == ("find", "")
    assert (shared.raised("value").stage, shared.raised("value").message) == ("find", "int")


def test_what_is_printed_comes_with_the_reply(shared: Process) -> None:
    reply = shared.channel.call("chat", [2])
    assert reply.stdout == "line 0\nline 1\n� raw"
    assert reply.stderr == "warning\n"
    assert shared.channel.call("echo", [1]).stdout == ""


def test_a_flood_of_prints_is_capped(shared: Process) -> None:
    reply = shared.channel.call("chat", [200_000])
    assert reply.stdout.startswith("line 0\n")
    assert "bytes left out" in reply.stdout
    assert "line 199999" in reply.stdout
    assert len(reply.stdout) < 2100


def test_answers_may_close_or_replace_their_streams(shared: Process) -> None:
    for name in ("close", "swap"):
        assert shared.value(name) is None
        assert shared.channel.call("chat", [1]).stdout.startswith("line 0")
    assert shared.raised("read_input").type_name == "EOFError"


def test_arguments_changed_in_place_are_named(shared: Process) -> None:
    x, y = np.zeros(2), [1]
    reply = shared.channel.call("in_place", [x, y], {"z": {"a": 1}})
    assert isinstance(reply, Returned)
    assert reply.changed == [0, 1, "z"]
    assert x.sum() == 0, "only copies were sent"
    assert y == [1]
    assert shared.channel.call("in_place", [x, y], watch=False).changed == []
    assert shared.channel.call("view", [x]).changed == []


def test_a_generator_is_iterated_by_value(shared: Process) -> None:
    generator = shared.value("generator", 5)
    assert type(generator) is Ref
    assert list(generator) == [0, 1, 2, 3, 4]
    with pytest.raises(StaysInJail, match="more than 10000 items"):
        list(shared.value("forever"))


def test_an_object_in_the_jail_is_asked_and_used_there(shared: Process) -> None:
    model = shared.value("model")
    assert repr(model) == "<answers.Model in the jail>"
    assert model.config == {"layers": 2}
    assert len(model) == 7
    assert model[3] == [3]
    assert model[1:5] == ("sliced", 1, 5)
    assert model(np.ones(2), scale=2).tolist() == [2, 2]
    assert shared.value("use", model, 5) == (5, 2)
    assert shared.value("which", [model][0]) == "Model"
    assert [type(item) for item in model] == [int, Ref]
    with pytest.raises(ValueError, match="no"):
        model.fail()
    with pytest.raises(AttributeError):
        _ = model.nothing
    del model


def test_an_object_in_the_jail_is_no_value(shared: Process) -> None:
    model = shared.value("model")
    for act in (
        *(bool, hash, float, int, np.asarray, np.sum, lambda m: 1 in m),
        *(lambda m: m == 1, lambda m: m != 1, lambda m: m < 1, lambda m: m == 1, lambda m: [0][m]),
        *(lambda m: m + np.ones(3), lambda m: np.ones(3) + m, lambda m: np.ones(3) == m, lambda m: m == np.ones(3)),
        *(lambda m: torch.ones(3) == m, lambda m: 1 if m else 2, reversed, os.fspath, complex),
        *(lambda m: __import__("copy").copy(m), lambda m: __import__("pickle").dumps(m), lambda m: m.__dict__["x"]),
    ):
        with pytest.raises((TypeError, AttributeError, RuntimeError)):
            act(model)


def test_objects_that_nobody_refers_to_are_let_go(own: Process) -> None:
    models = [own.value("model") for _ in range(5)]
    assert own.value("kept") == 5
    del models
    assert own.value("kept") == 0


def test_a_ref_of_another_jail_is_refused(shared: Process, own: Process) -> None:
    with pytest.raises(CannotSend, match="another jail"):
        own.value("echo", shared.value("model"))
    with pytest.raises(CannotSend, match="only plain values and Refs"):
        own.value("echo", object())
    assert own.value("echo", 1) == 1, "nothing was sent, so nothing is out of step"


@pytest.mark.parametrize("name", ["endless_list", "bomb", "odd_keys"])
def test_what_cannot_cross_is_a_clean_reply(shared: Process, name: str) -> None:
    assert shared.raised(name).stage == "cross"


def test_a_lying_object_is_a_ref_or_a_clean_reply(shared: Process) -> None:
    reply = shared.channel.call("liar")
    assert isinstance(reply, Raised) or type(reply.value) is Ref
    assert shared.value("echo", 1) == 1


def test_patched_builtins_do_not_silence_the_jail(own: Process) -> None:
    own.channel.call("patch")
    assert own.value("echo", [1, "two", (3,)]) == [1, "two", (3,)]


def test_an_endless_loop_says_where_it_was(own: Process) -> None:
    for _ in range(2):
        with pytest.raises(TimedOut) as caught:
            own.channel.call("spin", seconds=0.3)
        assert "in spin" in caught.value.frames
    assert own.value("echo", 1) == 1
    with pytest.raises(TimedOut):
        own.channel.call("swallow", seconds=0.3)


def test_a_process_that_ends_has_died(own: Process) -> None:
    with pytest.raises(Died):
        own.channel.call("die")


@pytest.mark.parametrize(
    ("source", "type_name", "line"),
    [
        (b"def f(:\n", "SyntaxError", 1),
        (b"x = 1\n" + b"(" * 100_000, "SyntaxError", 2),
        (b"x = '\x00'", "", 0),
        ("x = 1".encode("utf-16"), "", None),
        (b"# coding: klingon\n", "SyntaxError", None),
        (b"import sys; sys.exit(0)", "SystemExit", 0),
        (b"raise NotImplementedError", "NotImplementedError", 0),
        (b"import conftest_of_nobody", "ModuleNotFoundError", 0),
        (b"-" * 200_000 + b"1", "", None),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why(
    shared: Process, source: bytes, type_name: str, line: int | None
) -> None:
    reply = shared.channel.load(source, "broken.py", 10, module="broken")
    assert isinstance(reply, Raised)
    assert reply.stage == "load"
    assert type_name in ("", reply.type_name)
    assert line in (None, reply.line)


def test_odd_but_honest_files_load(shared: Process) -> None:
    for source in (b"", b"x\t=\t1\r\nif x:\r\n\tx = 2\r\n", "# coding: latin-1\nx = 'é'".encode("latin-1"), b"x = 1"):
        assert isinstance(shared.channel.load(source, "odd.py", 10, module="odd"), Returned)


def test_two_modules_are_kept_apart(shared: Process) -> None:
    shared.channel.load(b"def echo(x): return 'given'", "given.py", 10, module="given")
    assert shared.channel.call("echo", [1], module="given").value == "given"
    assert shared.value("echo", 1) == 1


def test_timing_counts_from_request_to_reply(shared: Process) -> None:
    seconds, reply = shared.channel.timed("echo", [1])
    assert isinstance(reply, Returned)
    assert 0 < seconds < 1
