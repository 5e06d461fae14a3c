"""What may pass between the trusted process and the jailed one: plain values in capped frames, and nothing else.

A frame is a mark, the length of its head, the head, and what is attached to it:

    b"DDw1" | uint32 | msgpack of [sizes of what is attached, message] | raw bytes of arrays, long bytes and numbers

The head holds only msgpack's scalars and arrays. A value that msgpack lacks, or would confuse with another, is an
array that begins with a code: a list, a tuple, a dict as keys and values in turn, an array as dtype and shape with
its bytes attached. Values are rebuilt as exact base types, so that no subclass with a lying `__eq__` crosses. What is
not plain stays where it is and crosses as a number that stands for it.

Whoever reads a frame takes nothing in it on trust. Every length, count, depth and size is compared with `Caps` before
memory is set aside for it, and with the bytes that are really there; whatever is wrong, the reader raises
`WireError` and nothing else, and no later than its deadline. Nothing is unpickled.

This file imports nothing of the kit: the jailed process sees it without the rest.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import prod
from time import monotonic
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct


class WireError(Exception):
    """What came over the wire, or was to go over it, is not allowed there."""


class TimedOut(WireError):
    """No whole frame passed by the deadline.

    Args:
        problem: what was waited for.
        frames: where in the learner's file the time ran out, when that is known.
    """

    def __init__(self, problem: str, frames: str = "") -> None:
        super().__init__(problem)
        self.frames = frames


class Died(WireError):
    """The other side closed the wire, or ended, before a whole frame had passed."""


class Caps(Struct, frozen=True):
    """How much one frame may hold. All of it together bounds the memory that reading takes to about

    frame + 6 × head + 400 bytes × items + 40 bytes × numbers + 400 bytes × attached.

    Args:
        frame: bytes, all together.
        head: bytes of the head, where texts are; a text may take four times its bytes in memory.
        items: values, counted one by one.
        numbers: numbers in lists and tuples that hold only floats or only 64-bit ints.
        attached: arrays, long bytes and lists of numbers.
        depth: lists in lists.
        bits: of an int.
    """

    frame: int = 256 << 20
    head: int = 16 << 20
    items: int = 500_000
    numbers: int = 4_000_000
    attached: int = 50_000
    depth: int = 50
    bits: int = 4096 + 64


# --- messages ---

Text = Annotated[str, Meta(max_length=20_000)]
Name = Annotated[str, Meta(max_length=400)]
Id = Annotated[int, Meta(ge=0, lt=1 << 62)]
Seconds = Annotated[float, Meta(ge=0)]


class Load(Struct, array_like=True, forbid_unknown_fields=True, tag="load"):
    """Run a source file as the module `module`; returns its functions, {name: signature}."""

    number: Id
    source: Any  # packed bytes
    shown: Name
    seconds: Seconds
    module: Name


class Call(Struct, array_like=True, forbid_unknown_fields=True, tag="call"):
    """Call a function of a loaded module, by name, or an object that stays in the jail, by its id.

    With `watch`, say which arguments the call changed in place.
    """

    number: Id
    target: Name | Id
    args: list[Any]
    kwargs: list[tuple[Name, Any]]
    seconds: Seconds
    module: Name
    watch: bool


class Attribute(Struct, array_like=True, forbid_unknown_fields=True, tag="attribute"):
    number: Id
    ref: Id
    name: Name
    seconds: Seconds


class Item(Struct, array_like=True, forbid_unknown_fields=True, tag="item"):
    """`ref[key]`; with `sliced`, the key is (start, stop, step)."""

    number: Id
    ref: Id
    key: Any
    sliced: bool
    seconds: Seconds


class Length(Struct, array_like=True, forbid_unknown_fields=True, tag="length"):
    number: Id
    ref: Id
    seconds: Seconds


class Iterate(Struct, array_like=True, forbid_unknown_fields=True, tag="iterate"):
    """The first `count` of what iterating over it gives, in a list."""

    number: Id
    ref: Id
    count: Id
    seconds: Seconds


class Drop(Struct, array_like=True, forbid_unknown_fields=True, tag="drop"):
    """Nobody asks for these any more. Has no reply."""

    refs: list[Id]


class Bye(Struct, array_like=True, forbid_unknown_fields=True, tag="bye"):
    """Nothing more will be asked. Has no reply."""


class Returned(Struct, array_like=True, forbid_unknown_fields=True, tag="returned"):
    """What was asked for, as far as the jail can be believed.

    Args:
        number: of the request it answers.
        value: the value; packed while on the wire.
        changed: the arguments that the call changed in place, by position or keyword.
        stdout: what was printed meanwhile, the long middle left out.
        stderr: the same of the other stream.
    """

    number: Id
    value: Any
    changed: Annotated[list[Id | Name], Meta(max_length=1000)]
    stdout: Text
    stderr: Text


class Raised(Struct, array_like=True, forbid_unknown_fields=True, tag="raised"):
    """It could not be had.

    Args:
        number: of the request it answers.
        stage: `load` (while running the file), `find` (there is no such function), `bind` (it cannot be called with
            these arguments), `run` (it raised), `cross` (what it gave cannot cross), `time` (its time was up).
        type_name: of the exception.
        bases: the built-in exceptions it inherits from, nearest first.
        message: its text, the long middle left out; for `find`, what was found instead.
        frames: its frames in the learner's file, as traceback prints them; of a syntax error, the line.
        function: the innermost frame's.
        own: whether the innermost frame is in the learner's file.
        line: of a syntax error, else 0.
        signature: for `bind`, what the function takes.
        stdout: what was printed meanwhile.
        stderr: the same of the other stream.
    """

    number: Id
    stage: Name
    type_name: Name
    bases: Annotated[list[Name], Meta(max_length=50)]
    message: Text
    frames: Text
    function: Name
    own: bool
    line: Annotated[int, Meta(ge=0, lt=1 << 32)]
    signature: Name
    stdout: Text
    stderr: Text


Request = Load | Call | Attribute | Item | Length | Iterate | Drop | Bye
Reply = Returned | Raised

_Size = Annotated[int, Meta(ge=0, lt=1 << 62)]
REQUESTS: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(tuple[list[_Size], Request])
REPLIES: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(tuple[list[_Size], Reply])
_ENCODER = msgspec.msgpack.Encoder()


def shorten(text: str, width: int = 2000) -> str:
    """At most `width` characters of a text, its head and its tail; lone surrogates are escaped."""
    if len(text) > width:
        gap = f" … {len(text) - width} characters … "
        half = (width - len(gap)) // 2
        text = text[:half] + gap + text[len(text) - half :]
    if text.isascii():
        return text
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= width else text[:width]


# --- values: codes and dtypes ---

LIST, TUPLE, DICT, TEXT, BIG, BYTES, FLOATS, INTS, ARRAY, SCALAR, TENSOR, REF = range(12)

DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
_TEXT_DTYPE = re.compile(r"([US])([1-9][0-9]{0,5})")
_MAX_NDIM = 32
_HIGHEST_CODE_POINT = 0x10FFFF
_NUMPY_OF_TORCH = {"bfloat16": "uint16"}  # NumPy has no bfloat16: its bits travel as whole numbers

_SHORT = 1024  # bytes up to this long travel in the head
_FEW = 8  # lists of numbers shorter than this do, too
_SAME_HASHES = 100  # honest keys hardly ever share a hash; a thousand that do make a dict slow, a million stop it

Unknown = Callable[[Any], tuple[int, str]]
Known = Callable[[int, str], Any]


def _cannot_cross(value: Any) -> tuple[int, str]:
    raise WireError(f"a {type(value).__name__} cannot cross: only plain values can, and what came from the jail.")


@lru_cache(1000)  # NumPy makes a dtype's name anew each time
def _dtype_name(dtype: np.dtype[Any]) -> str | None:
    """A dtype's name on the wire; None for one that does not cross."""
    if dtype.kind == "U":
        return f"U{dtype.itemsize // 4}" if 0 < dtype.itemsize < 4 * 10**6 else None
    if dtype.kind == "S":
        return f"S{dtype.itemsize}" if 0 < dtype.itemsize < 10**6 else None
    return dtype.name if dtype.name in DTYPES else None


def _dtype(name: Any) -> np.dtype[Any]:
    """The dtype of that name.

    Raises:
        WireError: no such dtype may cross.
    """
    if type(name) is str:
        if name in DTYPES:
            return DTYPES[name]
        if _TEXT_DTYPE.fullmatch(name):
            return np.dtype(name)
    raise WireError(f"an array of dtype {_brief(name)} may not cross.")


def _brief(value: Any) -> str:
    return shorten(repr(value) if isinstance(value, str | int) else type(value).__name__, 60)


class Packer:
    """Takes values apart, into what msgpack can hold and a list of what is attached to it.

    Args:
        caps: how much there may be.
        unknown: gives (id, type name) for an object that is not plain; without it, such an object is refused.
    """

    def __init__(self, caps: Caps, unknown: Unknown = _cannot_cross) -> None:
        self.attached: list[memoryview] = []  # of bytes, in one dimension
        self._caps = caps
        self._unknown = unknown
        self._items = 0
        self._numbers = 0

    def pack(self, value: Any, depth: int = 0) -> Any:
        """A value as None, bools, 64-bit ints, floats, texts, short bytes and lists that begin with a code.

        Raises:
            WireError: it is too deep, too large or holds itself.
        """
        self._items += 1
        if self._items > self._caps.items:
            raise WireError(f"the value holds more than {self._caps.items} items.")
        kind = type(value)
        if kind is float or kind is bool or value is None:
            return value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 64 else self._big(value)
        if kind is str:
            return value if value.isascii() else _text(value)
        if depth > self._caps.depth:
            raise WireError(f"the value is nested more than {self._caps.depth} deep, or holds itself.")
        if kind is list:
            return self._sequence(value, LIST, depth)
        if kind is tuple:
            return self._sequence(value, TUPLE, depth)
        if kind is dict:
            return self._dict(value, depth)
        if kind is bytes:
            return self._bytes(value)
        if kind is np.ndarray:
            return self._array(value)
        return self._other(value, kind, depth)

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        """What is no base type itself: a NumPy scalar, a tensor, an instance of a subclass, or not plain at all."""
        if issubclass(kind, np.generic):
            return self._scalar(value, kind)
        if issubclass(kind, np.ndarray):
            return self._array(np.array(value, copy=None, subok=False))
        torch = sys.modules.get("torch")
        if torch is not None and torch.Tensor in kind.__mro__:
            return self._tensor(value, torch)
        if issubclass(kind, int):
            return self.pack(int.__index__(value), depth)
        if issubclass(kind, float):
            return float.__float__(value)
        if issubclass(kind, str):
            return self.pack(str.__str__(value), depth)
        if issubclass(kind, bytes):
            return self._bytes(bytes.__getitem__(value, slice(None)))
        if issubclass(kind, list):
            return self._sequence(list(list.__iter__(value)), LIST, depth)
        if issubclass(kind, tuple):
            return self._sequence(list(tuple.__iter__(value)), TUPLE, depth)
        if issubclass(kind, dict):
            return self._dict(dict(dict.items(value)), depth)
        return self._ref(value)

    def _ref(self, value: Any) -> list[Any]:
        return [REF, *self._unknown(value)]

    def _attach(self, view: memoryview) -> None:
        self.attached.append(view)
        if len(self.attached) > self._caps.attached:
            raise WireError(f"the value holds more than {self._caps.attached} arrays.")

    def _big(self, value: int) -> list[Any]:
        if value.bit_length() > self._caps.bits:
            raise WireError(f"the int has {value.bit_length()} bits, more than {self._caps.bits}.")
        return [BIG, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)]

    def _bytes(self, value: bytes) -> Any:
        if len(value) <= _SHORT:
            return value
        self._attach(memoryview(value))
        return [BYTES]

    def _sequence(self, value: Sequence[Any], code: int, depth: int) -> list[Any]:
        if len(value) >= _FEW and (numbers := self._number_list(value)):
            return [*numbers, code]
        deeper = depth + 1
        return [code, *[self.pack(item, deeper) for item in value]]

    def _number_list(self, value: Sequence[Any]) -> list[Any] | None:
        """Only floats, or only ints: as an array, a hundred times as fast as one by one."""
        kinds = set(map(type, value))
        if kinds != {float} and kinds != {int}:
            return None
        try:
            packed = array("d" if kinds == {float} else "q", value)
        except OverflowError:
            return None
        self._numbers += len(value)
        if self._numbers > self._caps.numbers:
            raise WireError(f"the value holds more than {self._caps.numbers} numbers in lists.")
        self._attach(memoryview(packed).cast("B"))
        return [FLOATS if kinds == {float} else INTS]

    def _dict(self, value: dict[Any, Any], depth: int) -> list[Any]:
        if not _EXACT_KEYS.issuperset(map(type, value)):
            value = {_plain_key(key): item for key, item in value.items()}
        deeper = depth + 1
        packed: list[Any] = [DICT]
        for key, item in value.items():
            packed += (self.pack(key, deeper), self.pack(item, deeper))
        return packed

    def _array(self, value: np.ndarray) -> list[Any]:
        name = _dtype_name(value.dtype)
        if name is None:
            return self._ref(value)
        native = np.require(value, value.dtype.newbyteorder("="), "C")  # the same array, if it is laid out so already
        self._attach(native.reshape(-1).view(np.uint8).data)
        return [ARRAY, name, list(value.shape)]

    def _scalar(self, value: Any, kind: type) -> list[Any]:
        if issubclass(kind, np.str_):
            return [SCALAR, "str", self.pack(str.__str__(value))]
        if issubclass(kind, np.bytes_):
            return [SCALAR, "bytes", self.pack(bytes.__getitem__(value, slice(None)))]
        name = np.generic.__dict__["dtype"].__get__(value).name
        return [SCALAR, name, np.generic.tobytes(value)] if name in DTYPES else self._ref(value)

    def _tensor(self, value: Any, torch: Any) -> list[Any]:
        with torch._C.DisableTorchFunctionSubclass():  # a subclass must not answer for the bytes
            name = str(value.dtype).removeprefix("torch.")
            if name not in DTYPES and name not in _NUMPY_OF_TORCH:
                return self._ref(value)
            if value.layout != torch.strided or value.is_meta or value.is_quantized:
                return self._ref(value)
            flat = value.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
            if name in _NUMPY_OF_TORCH:
                flat = flat.view(getattr(torch, _NUMPY_OF_TORCH[name]))
            self._attach(flat.numpy().view(np.uint8).data)
            return [TENSOR, name, list(value.shape)]


def _text(value: str) -> Any:
    """A text; one with lone surrogates, which msgpack has no place for, as bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return [TEXT, value.encode("utf-8", "surrogatepass")]
    return value


_EXACT_KEYS = frozenset((str, int, float, bool, bytes, type(None)))


def _is_key(value: Any) -> bool:
    """Whether a rebuilt value may be a key: hashable, and plain."""
    kind = type(value)
    if kind is tuple:
        return all(map(_is_key, value))
    return kind in _EXACT_KEYS or issubclass(kind, np.generic)


def _plain_key(value: Any) -> Any:
    """A key as an exact base type: two that only a subclass's `__eq__` told apart become one."""
    kind = type(value)
    if kind in _EXACT_KEYS or (issubclass(kind, np.generic) and _crosses(value)):
        return value
    if issubclass(kind, tuple):
        return tuple(map(_plain_key, tuple.__iter__(value)))
    if issubclass(kind, int):
        return int.__index__(value)
    if issubclass(kind, float) and not issubclass(kind, np.generic):
        return float.__float__(value)
    if issubclass(kind, str) and not issubclass(kind, np.generic):
        return str.__str__(value)
    raise WireError(f"a dict with a key of type {kind.__name__} cannot cross.")


def _crosses(value: np.generic) -> bool:
    return isinstance(value, np.str_ | np.bytes_) or value.dtype.name in DTYPES


class Unpacker:
    """Puts values together again from what a frame held.

    Args:
        attached: the raw bytes that came with the head.
        caps: how much there may be.
        known: gives the object that stands for (id, type name).
    """

    def __init__(self, attached: list[np.ndarray], caps: Caps, known: Known) -> None:
        self._attached = attached
        self._next = 0
        self._caps = caps
        self._known = known
        self._numbers = 0

    def unpack(self, packed: Any) -> Any:
        """The value.

        Raises:
            WireError: no such value can have been packed.
        """
        if type(packed) is not list:
            return packed
        if not packed or type(packed[0]) is not int or not 0 <= packed[0] < len(_BUILD):
            raise WireError("a value begins with no known code.")
        return _BUILD[packed[0]](self, packed)

    def finish(self) -> None:
        """Nothing may be left over."""
        if self._next != len(self._attached):
            raise WireError(f"{len(self._attached) - self._next} of the attached buffers belong to no value.")

    def _take(self) -> np.ndarray:
        if self._next == len(self._attached):
            raise WireError("an array came without its bytes.")
        self._next += 1
        return self._attached[self._next - 1]

    def _list(self, packed: list[Any]) -> list[Any]:
        return [item if type(item) is not list else self.unpack(item) for item in packed[1:]]

    def _tuple(self, packed: list[Any]) -> tuple[Any, ...]:
        return tuple(self._list(packed))

    def _dict(self, packed: list[Any]) -> dict[Any, Any]:
        if len(packed) % 2 == 0:
            raise WireError("a dict came with a key that has no value.")
        flat = self._list(packed)
        keys = flat[::2]
        if not all(map(_is_key, keys)):
            raise WireError("a dict came with a key that is not plain and hashable.")
        if len(keys) - len(set(map(hash, keys))) > _SAME_HASHES:
            raise WireError("a dict came with keys made to share one hash.")
        built = dict(zip(keys, flat[1::2], strict=True))
        if len(built) != len(keys):
            raise WireError("a dict came with the same key twice.")
        return built

    def _text(self, packed: list[Any]) -> str:
        (raw,) = _fields(packed, bytes)
        try:
            return str(raw, "utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise WireError("a text came that is not UTF-8.") from None

    def _big(self, packed: list[Any]) -> int:
        (raw,) = _fields(packed, bytes)
        if not 0 < len(raw) <= self._caps.bits // 8 + 1:
            raise WireError(f"an int came in {len(raw)} bytes.")
        return int.from_bytes(raw, "little", signed=True)

    def _bytes(self, packed: list[Any]) -> bytes:
        _fields(packed)
        return self._take().tobytes()

    def _number_list(self, packed: list[Any]) -> Any:
        (kind,) = _fields(packed, int)
        raw = self._take()
        if raw.size % 8 or kind not in (LIST, TUPLE):
            raise WireError("a list of numbers came in an odd number of bytes, or as no list.")
        self._numbers += raw.size // 8
        if self._numbers > self._caps.numbers:
            raise WireError(f"more than {self._caps.numbers} numbers came in lists.")
        numbers = raw.view(np.float64 if packed[0] == FLOATS else np.int64).tolist()
        return numbers if kind == LIST else tuple(numbers)

    def _array(self, packed: list[Any]) -> np.ndarray:
        name, shape = _fields(packed, str, list)
        return _shaped(self._take(), _dtype(name), shape)

    def _scalar(self, packed: list[Any]) -> Any:
        name, held = _fields(packed, str, object)
        if name == "str" and type(text := self.unpack(held)) is str:
            return np.str_(text)
        if name == "bytes" and type(raw := self.unpack(held)) is bytes:
            return np.bytes_(raw)
        if name not in DTYPES or type(held) is not bytes:
            raise WireError(f"a scalar of dtype {_brief(name)} may not cross so.")
        return _shaped(np.frombuffer(held, np.uint8), DTYPES[name], [])[()]

    def _tensor(self, packed: list[Any]) -> Any:
        name, shape = _fields(packed, str, list)
        raw = self._take()
        if name not in DTYPES and name not in _NUMPY_OF_TORCH:
            raise WireError(f"a tensor of dtype {_brief(name)} may not cross.")
        numbers = _shaped(raw, DTYPES[_NUMPY_OF_TORCH.get(name, name)], shape)
        import torch  # only now: whoever sends no tensors does not wait for it

        tensor = torch.from_numpy(numbers.reshape(-1))
        if name in _NUMPY_OF_TORCH:
            tensor = tensor.view(getattr(torch, name))
        return tensor.reshape(shape)

    def _ref(self, packed: list[Any]) -> Any:
        number, type_name = _fields(packed, int, str)
        if not 0 <= number < 1 << 62 or len(type_name) > 400:
            raise WireError("an object in the jail came with an id or a name that cannot be.")
        return self._known(number, type_name)


# In the order of the codes.
_BUILD: tuple[Callable[[Unpacker, list[Any]], Any], ...] = (
    Unpacker._list,
    Unpacker._tuple,
    Unpacker._dict,
    Unpacker._text,
    Unpacker._big,
    Unpacker._bytes,
    Unpacker._number_list,
    Unpacker._number_list,
    Unpacker._array,
    Unpacker._scalar,
    Unpacker._tensor,
    Unpacker._ref,
)


def _fields(packed: list[Any], *kinds: type) -> list[Any]:
    """What follows the code, when it is exactly of these types."""
    fields = packed[1:]
    if len(fields) != len(kinds) or any(
        kind is not object and type(field) is not kind for field, kind in zip(fields, kinds, strict=True)
    ):
        raise WireError(f"a value of code {packed[0]} came with the wrong parts.")
    return fields


def _shaped(raw: np.ndarray, dtype: np.dtype[Any], shape: list[Any]) -> np.ndarray:
    """Raw bytes as an array of this dtype and shape, if they are as many as it needs and mean something."""
    if len(shape) > _MAX_NDIM:
        raise WireError(f"an array came with {len(shape)} dimensions, more than {_MAX_NDIM}.")
    if any(type(size) is not int or size < 0 for size in shape):
        raise WireError("an array came with a shape that is not made of whole numbers from 0 up.")
    if prod(size for size in shape if size) * dtype.itemsize > sys.maxsize:
        raise WireError("an array came with a shape too large for any memory.")
    if prod(shape) * dtype.itemsize != raw.size:
        raise WireError(f"an array of {prod(shape)} values of {dtype.name} came in {raw.size} bytes.")
    if dtype.kind == "b" and raw.size and raw.max() > 1:  # neither True nor False: == and `any` would disagree
        raise WireError("a bool came that is neither 0 nor 1.")
    if dtype.kind == "U" and raw.size and raw.view(np.uint32).max() > _HIGHEST_CODE_POINT:
        raise WireError("an array of texts came with a character that does not exist.")
    return raw.view(dtype).reshape(shape)


# --- frames ---

_MARK = b"DDw1"
_HEADER = struct.Struct("!4sI")
_MESSAGE_DEPTH = 8  # the frame, the message, a field of it and a pair there; a code inside the innermost value
_AT_ONCE = 64 << 10  # bytes
_MOST_BUFFERS = 512  # to one system call; Linux takes 1024

# What follows msgpack's first byte: how many bytes to skip, or one of these.
_SMALL_ARRAY, _SIZED, _ARRAY_OF, _REFUSED = -1, -2, -3, -4
_AFTER = [_REFUSED] * 256
_AFTER[0x00:0x80] = [0] * 128  # small ints
_AFTER[0xE0:0x100] = [0] * 32
_AFTER[0x90:0xA0] = [_SMALL_ARRAY] * 16
_AFTER[0xA0:0xC0] = range(32)  # short texts
_AFTER[0xC0], _AFTER[0xC2], _AFTER[0xC3] = 0, 0, 0  # None, False, True
_AFTER[0xC4:0xC7] = [_SIZED] * 3  # bytes
_AFTER[0xCB] = 8  # float64; nobody writes float32
_AFTER[0xCC:0xD0] = [1, 2, 4, 8]  # ints
_AFTER[0xD0:0xD4] = [1, 2, 4, 8]
_AFTER[0xD9:0xDC] = [_SIZED] * 3  # texts
_AFTER[0xDC:0xDE] = [_ARRAY_OF] * 2
_WIDTH = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4}


def scan(head: bytes, caps: Caps) -> None:
    """Walk over a head without building anything, so that decoding it can hold no surprise.

    Raises:
        WireError: it is cut short or too long, too deep, of too many items, promises more items than it has bytes
            left, or holds one of msgpack's maps, extensions or timestamps.
    """
    at, end, items, most = 0, len(head), 0, caps.items
    above: list[int] = []
    left = 1  # values still to come in the innermost array; in `above`, in those around it
    while True:
        while not left:
            if not above:
                if at != end:
                    raise WireError("a head came with a length that is not its own.")
                return
            left = above.pop()
        if at >= end:
            raise WireError("a head came cut short.")
        first = head[at]
        after = _AFTER[first]
        at += 1
        left -= 1
        items += 1
        if items > most:
            raise WireError(f"more than {most} items came in one frame.")
        if after >= 0:
            at += after
            continue
        if after == _REFUSED:
            raise WireError(f"a head came with a value of msgpack's kind 0x{first:02x}, which nobody sends.")
        if after == _SMALL_ARRAY:
            count = first & 15
        else:
            width = _WIDTH[first]
            count = int.from_bytes(head[at : at + width], "big")
            at += width
        if count > end - at:
            raise WireError("a head promised more than it holds.")
        if after == _SIZED:
            at += count
            continue
        above.append(left)
        left = count
        if len(above) > caps.depth + _MESSAGE_DEPTH:
            raise WireError(f"a value came nested more than {caps.depth} deep.")


def encode(message: Request | Reply, attached: list[memoryview], caps: Caps) -> list[memoryview]:
    """A frame, as the buffers to send one after the other.

    Raises:
        WireError: it would be larger than a frame may be.
    """
    sizes = list(map(len, attached))
    try:
        head = _ENCODER.encode((sizes, message))
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError) as error:
        raise WireError(f"a message cannot be written: {error}.") from None
    if len(head) > caps.head or len(head) + sum(sizes) > caps.frame:
        raise WireError(f"{(len(head) + sum(sizes)) / 1e6:.1f} MB are too many: {_allowance(caps)}.")
    return [memoryview(_HEADER.pack(_MARK, len(head)) + head), *filter(len, attached)]


def _allowance(caps: Caps) -> str:
    return f"at most {caps.frame / 1e6:.0f} MB pass at once, {caps.head / 1e6:.0f} MB of them texts and lists"


class Stream:
    """One end of the wire: sends and receives whole frames, by a deadline.

    Args:
        connection: a connected stream socket; it is made non-blocking.
        caps: how much one frame may hold.
    """

    def __init__(self, connection: socket.socket, caps: Caps | None = None) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)  # fewer switches between the two sides
        self.caps = caps or Caps()
        self.early = b""  # what came after the last frame
        self._socket = connection
        self._room = memoryview(bytearray(_AT_ONCE))
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(connection, select.POLLIN)
        self._writable.register(connection, select.POLLOUT)

    def close(self) -> None:
        self._socket.close()

    def send(self, frame: list[memoryview], deadline: float | None = None) -> None:
        """Send a frame that `encode` made.

        Args:
            frame: its buffers.
            deadline: in seconds of `time.monotonic`; None waits for ever.

        Raises:
            TimedOut: the other side did not take it all in time.
            Died: there is no other side any more.
        """
        if len(frame) > 1 and sum(map(len, frame)) <= _AT_ONCE:
            frame = [memoryview(b"".join(frame))]
        left = list(reversed(frame))
        while left:
            now = left[: -_MOST_BUFFERS - 1 : -1]
            sent = self._patiently(self._writable, deadline, partial(self._socket.sendmsg, now))
            while left and sent >= len(left[-1]):
                sent -= len(left.pop())
            if sent:
                left[-1] = left[-1][sent:]

    def receive(
        self, decoder: msgspec.msgpack.Decoder[Any], deadline: float | None = None
    ) -> tuple[Any, list[np.ndarray]]:
        """The next message, its values still packed, and what is attached to it.

        Args:
            decoder: `REQUESTS` or `REPLIES`.
            deadline: in seconds of `time.monotonic`; None waits for ever.

        Raises:
            TimedOut: no whole frame came in time.
            Died: the other side is gone.
            WireError: what came is no frame, or more than may come.
        """
        came = bytearray(self.early)
        self.early = b""
        while len(came) < _HEADER.size:
            came += self._some(_AT_ONCE, deadline)
        mark, length = _HEADER.unpack_from(came)
        if mark != _MARK:
            raise WireError("what came is no frame.")
        if length > self.caps.head:
            raise WireError(f"a head of {length} bytes was announced: {_allowance(self.caps)}.")
        end = _HEADER.size + length
        while len(came) < end:
            came += self._some(_AT_ONCE, deadline)
        sizes, message = _decode(bytes(memoryview(came)[_HEADER.size : end]), decoder, self.caps)
        attached = [np.empty(size, np.uint8) for size in sizes]
        self._fill([buffer.data for buffer in attached if buffer.size], memoryview(came)[end:], deadline)
        return message, attached

    def _fill(self, views: list[memoryview], already: memoryview, deadline: float | None) -> None:
        """Fill the buffers with what came already, then with what is to come."""
        views.reverse()
        while views and already:
            view = views.pop()
            count = min(len(view), len(already))
            view[:count] = already[:count]
            already = already[count:]
            if count < len(view):
                views.append(view[count:])
        self.early = bytes(already)
        while views:
            now = views[: -_MOST_BUFFERS - 1 : -1]
            count = self._patiently(self._readable, deadline, partial(self._receive_into, now))
            if not count:
                raise Died("the other side ended in the middle of a frame.")
            while views and count >= len(views[-1]):
                count -= len(views.pop())
            if count:
                views[-1] = views[-1][count:]

    def _some(self, most: int, deadline: float | None) -> memoryview:
        room = self._room[:most]
        count = self._patiently(self._readable, deadline, partial(self._socket.recv_into, room))
        if not count:
            raise Died("the other side has ended.")
        return room[:count]

    def _receive_into(self, views: list[memoryview]) -> int:
        return self._socket.recvmsg_into(views)[0]

    def _patiently(self, poll: select.poll, deadline: float | None, act: Callable[[], int]) -> int:
        """Do it as soon as it can be done; but not after the deadline."""
        while True:
            if deadline is not None and monotonic() >= deadline:
                raise TimedOut("no whole answer came in time.")
            try:
                return act()
            except (BlockingIOError, InterruptedError):
                poll.poll(None if deadline is None else max(0.0, deadline - monotonic()) * 1000)
            except OSError as error:
                raise Died(f"the other side has ended: {error.strerror}.") from None


def _decode(head: bytes, decoder: msgspec.msgpack.Decoder[Any], caps: Caps) -> tuple[list[int], Any]:
    scan(head, caps)
    try:
        sizes, message = decoder.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WireError(f"no message of the wire: {error}.") from None
    if len(sizes) > caps.attached:
        raise WireError(f"{len(sizes)} buffers are attached, more than {caps.attached}.")
    if len(head) + sum(sizes) > caps.frame:
        raise WireError(f"{sum(sizes)} bytes were announced: {_allowance(caps)}.")
    return sizes, message
