"""The trusted side of a graded run: asks the jailed process, by the clock, and believes nothing it says.

    channel = Channel(connection)
    channel.load(source, "exercises/hour1_attention.py", seconds=10)
    reply = channel.call("softmax", [x], seconds=2)      # Returned or Raised

An object that stays in the jail comes back as a `Ref`. Each question to it is a question to the jail:

    model.config.hidden_size, len(dataset), dataset[0], list(loader), model(inputs)
"""

from __future__ import annotations

import builtins
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic, perf_counter
from typing import Any, Never

from deepdive.jail import wire
from deepdive.jail.wire import Caps, Died, Raised, Returned, TimedOut, WireError

GRACE_SECONDS = 0.5  # after its time is up, for the jail to say where in the learner's file that was
MOST_ITEMS = 10_000  # that iterating over an object in the jail gives


class StaysInJail(TypeError):
    """What was asked of a `Ref` cannot be had: the object is not here, and nobody takes the jail's word for it."""


class CannotSend(TypeError):
    """A value cannot go to the jail: neither plain, nor an object that is there."""


class Channel:
    """The wire to one jailed process, as the trusted side holds it.

    Args:
        connection: one end of a connected stream socket.
        caps: how much one frame may hold.
        seconds: how long a question to a `Ref` may take.
        grace: how long after the deadline the jail may still say where its time ran out.
    """

    def __init__(
        self,
        connection: socket.socket,
        caps: Caps | None = None,
        *,
        seconds: float = 10.0,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.seconds = seconds
        self._grace = grace
        self._stream = wire.Stream(connection, caps)
        self._dropped: list[int] = []
        self._lost = ""

    def load(self, source: bytes, shown: str, seconds: float, module: str = "answers") -> Returned | Raised:
        """Run a source file in the jail, as a module of this name.

        Args:
            source: the file's bytes.
            shown: its name, for the frames of tracebacks.
            seconds: how long running it may take.
            module: what the module is called; the functions of each can be called.

        Returns:
            Returned with {function's name: its signature without annotations}, or Raised.

        Raises:
            TimedOut: it was not done in time.
            Died: the jailed process is gone.
            WireError: what came back is no reply.
        """
        return self._ask(lambda n, p: wire.Load(n, p.pack(source), shown, seconds, module), seconds)[1]

    def call(
        self,
        target: str | Ref,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        seconds: float | None = None,
        *,
        module: str = "answers",
        watch: bool = True,
    ) -> Returned | Raised:
        """Call a function in the jail on copies of the arguments.

        Args:
            target: a function's name, or an object that stays in the jail.
            args: plain values and `Ref`s.
            kwargs: the same, by name.
            seconds: how long it may take, from the request to the whole reply; `self.seconds` if not said.
            module: where the function is.
            watch: whether to compare the arguments before and after, for `Returned.changed`.

        Raises:
            TimedOut: there was no whole reply in time.
            Died: the jailed process is gone.
            WireError: what came back is no reply, or an argument cannot be sent.
        """
        return self._call(target, args, kwargs or {}, seconds, module, watch)[1]

    def timed(
        self,
        target: str | Ref,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        seconds: float | None = None,
        *,
        module: str = "answers",
    ) -> tuple[float, Returned | Raised]:
        """The same, with the seconds from the request's first byte to the end of decoding the reply.

        Arguments are not watched. A `Ref` in the reply may stand for work still to be done: a check that times an
        answer accepts plain values only.
        """
        return self._call(target, args, kwargs or {}, seconds, module, False)

    def close(self) -> None:
        """Say goodbye and close the wire."""
        if not self._lost:
            with suppress(WireError):
                self._stream.send(wire.encode(wire.Bye(), [], self._stream.caps), monotonic() + 0.1)
        self._lost = "the wire was closed."
        self._stream.close()

    def _call(
        self,
        target: str | Ref,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        seconds: float | None,
        module: str,
        watch: bool,
    ) -> tuple[float, Returned | Raised]:
        seconds = self.seconds if seconds is None else seconds
        aim: str | int = target if isinstance(target, str) else self._id(target)[0]

        def request(number: int, packer: wire.Packer) -> wire.Call:
            packed = [packer.pack(value) for value in args]
            named = [(name, packer.pack(value)) for name, value in kwargs.items()]
            return wire.Call(number, aim, packed, named, seconds, module, watch)

        return self._ask(request, seconds)

    def _ask(
        self, request: Callable[[int, wire.Packer], wire.Request], seconds: float
    ) -> tuple[float, Returned | Raised]:
        """Send a request and wait for the reply to it: (seconds, reply)."""
        if self._lost:
            raise Died(self._lost)
        packer = wire.Packer(self._stream.caps, self._id)
        number = secrets.randbits(62)  # so that no reply can be written before its request is read
        frame = self._forget() + wire.encode(request(number, packer), packer.attached, self._stream.caps)
        try:
            began, until = perf_counter(), monotonic() + seconds + self._grace
            self._stream.send(frame, until)
            reply = self._receive(number, until)
            taken = perf_counter() - began
        except WireError as error:  # whatever comes now could belong to anything
            self._lost = f"nothing more can be asked: {error}"
            self._stream.close()
            raise
        if isinstance(reply, Raised) and reply.stage == "time":
            raise TimedOut(f"no answer within {seconds:g} seconds.", reply.frames)
        if taken > seconds:
            raise TimedOut(f"the answer took {taken:.2f} s, more than {seconds:g}.")
        return taken, reply

    def _receive(self, number: int, until: float) -> Returned | Raised:
        try:
            reply, attached = self._stream.receive(wire.REPLIES, until)
            if reply.number != number:
                raise WireError("a reply came that answers no request.")
            unpacker = wire.Unpacker(attached, self._stream.caps, lambda ref, name: Ref(self, ref, name))
            if isinstance(reply, Returned):
                reply.value = unpacker.unpack(reply.value)
            unpacker.finish()
            if self._stream.early:
                raise WireError("more came than the reply.")
        except WireError:
            raise
        except Exception as error:  # too little memory or stack for what came: it was too much
            raise WireError(f"the reply cannot be read: {type(error).__name__}: {error}") from error
        else:
            return reply  # type: ignore[no-any-return]

    def _id(self, value: Any) -> tuple[int, str]:
        if type(value) is not Ref:
            raise CannotSend(f"a {type(value).__name__} cannot be sent to the jail: only plain values and Refs can.")
        if value._channel is not self:
            raise CannotSend(f"{value!r} is in another jail.")
        return value._id, ""

    def _forget(self) -> list[memoryview]:
        """Tell the jail which objects nobody refers to any more."""
        if not self._dropped:
            return []
        dropped, self._dropped = self._dropped, []
        return [
            buffer
            for start in range(0, len(dropped), 10_000)
            for buffer in wire.encode(wire.Drop(dropped[start : start + 10_000]), [], self._stream.caps)
        ]

    def _value(self, request: Callable[[int, wire.Packer], wire.Request]) -> Any:
        """The value that a question to a `Ref` gives.

        Raises:
            Exception: what the question raised in the jail, as the nearest built-in exception.
        """
        reply = self._ask(request, self.seconds)[1]
        if isinstance(reply, Raised):
            raise as_exception(reply)
        return reply.value


class Ref:
    """Stands for an object that stays in the jail.

    Attributes, items, calls, `len` and iteration ask the jail, and give plain values or other Refs. It has no truth
    value, no equality, no order and no hash, is no number and no array: nothing that a check could take for an answer
    without looking. Its repr does not ask the jail.
    """

    __slots__ = ("__weakref__", "_channel", "_id", "_type_name")

    def __init__(self, channel: Channel, number: int, type_name: str) -> None:
        self._channel = channel
        self._id = number
        self._type_name = type_name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # protocols ask for these
            raise AttributeError(f"{name} of {self!r} is not to be asked for")
        channel = self._channel
        return channel._value(lambda n, p: wire.Attribute(n, self._id, name, channel.seconds))

    def __getitem__(self, key: Any) -> Any:
        channel = self._channel
        sliced = isinstance(key, slice)
        plain = (key.start, key.stop, key.step) if isinstance(key, slice) else key
        return channel._value(lambda n, p: wire.Item(n, self._id, p.pack(plain), sliced, channel.seconds))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        reply = self._channel.call(self, args, kwargs, watch=False)
        if isinstance(reply, Raised):
            raise as_exception(reply)
        return reply.value

    def __len__(self) -> int:
        channel = self._channel
        length = channel._value(lambda n, p: wire.Length(n, self._id, channel.seconds))
        if type(length) is not int or not 0 <= length < 1 << 62:
            raise StaysInJail(f"{self!r} has no length that could be one")
        return length

    def __iter__(self) -> Iterator[Any]:
        channel = self._channel
        items = channel._value(lambda n, p: wire.Iterate(n, self._id, MOST_ITEMS + 1, channel.seconds))
        if type(items) is not list or len(items) > MOST_ITEMS:
            raise StaysInJail(f"{self!r} gives more than {MOST_ITEMS} items")
        return iter(items)

    def kind_of(self) -> str:  # for messages; an attribute of this name in the jail cannot be had
        """The name of its class, as the jail says."""
        return wire.shorten(self._type_name.rpartition(".")[2], 40)

    def __repr__(self) -> str:
        return f"<{wire.shorten(self._type_name, 80)!s} in the jail>"

    def __del__(self) -> None:
        self._channel._dropped.append(self._id)

    def _no(self, *others: Any) -> Never:
        raise StaysInJail(f"{self!r} is no value to compare or compute with: ask for its parts")

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _no
    __contains__ = __reversed__ = __float__ = __int__ = __complex__ = __index__ = _no
    __array__ = __reduce_ex__ = __fspath__ = _no
    __array_ufunc__ = None


_UNFIT = (BaseExceptionGroup, StopIteration, StopAsyncIteration)  # they mean something to whoever runs a generator


def as_exception(raised: Raised) -> Exception:
    """An exception that `except` and `expect.raises` treat as they would have treated the one in the jail.

    Its class has the same name and derives from the built-in exceptions that the other derived from, as far as they
    are Exceptions: nothing in the jail can end this process.
    """
    found = [getattr(builtins, name, None) for name in raised.bases]
    bases = [b for b in found if isinstance(b, type) and issubclass(b, Exception) and not issubclass(b, _UNFIT)]
    nearest = [b for i, b in enumerate(bases) if not any(issubclass(other, b) for other in bases[:i])] or [Exception]
    members = {
        "__init__": lambda self, *args: None,
        "__str__": lambda self: raised.message,
        "__module__": "answers",
    }
    name = raised.type_name if raised.type_name.isidentifier() else nearest[0].__name__
    try:
        kind = type(name, tuple(nearest), members)
    except TypeError:  # their layouts do not go together
        kind = type(name, (nearest[0],), members)
    error: Exception = kind(raised.message)
    return error
