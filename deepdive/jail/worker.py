"""The learner's side of a graded run: loads the file, answers calls, and turns whatever happens into data.

    serve(fd)        # in a process that is already jailed; returns when the other side is done

Nothing here is trusted. The learner's code shares this process, and may have patched all of it; what it says is
judged on the other side. This file only sees to it that honest code, however odd, is answered for truly: its
exceptions, its frames, what it printed, and which arguments it changed in place.

Imports `wire` and the standard library, nothing else of the kit.
"""

from __future__ import annotations

import builtins
import inspect
import io
import linecache
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.util import decode_source
from itertools import islice
from types import FrameType, ModuleType
from typing import Any

from deepdive.jail import wire

# What an answer does to `builtins` is undone after each request, for the standard library's sake; by functions that
# look up none there themselves.
_BUILTINS = dict(vars(builtins))
globals()["__builtins__"] = _BUILTINS
_EXCEPTIONS = frozenset(b for b in _BUILTINS.values() if isinstance(b, type) and issubclass(b, BaseException))

_OUTPUT = 2000  # characters kept of what one call prints, head and tail
_NAMES = 1000  # functions of a file that are reported
_FRAMES = 2000  # of an endless recursion that are looked at
_REPEAT_SECONDS = 0.1  # an answer that swallows the end of its time gets it again


class TimeIsUp(BaseException):
    """The request took longer than it may. Not an Exception, so that `except Exception` does not swallow it."""


class _Refused(Exception):
    """It was not even tried: there is no such function, or it cannot be called so."""

    def __init__(self, stage: str, type_name: str, message: str, signature: str = "") -> None:
        super().__init__(message)
        self.stage, self.type_name, self.signature = stage, type_name, signature


def serve(fd: int, module_name: str = "answers") -> None:
    """Answer requests until the other side says goodbye or is gone.

    Standard input, output and error are this function's from now on: input is at its end, Python's output is kept for
    the reply, what C code writes is lost.

    Args:
        fd: one end of a connected stream socket.
        module_name: what the learner's module is called in `sys.modules` when a request does not say.
    """
    with suppress(wire.Died):
        _Desk(wire.Stream(socket.socket(fileno=fd)), module_name).run()


class _Desk:
    """Takes one request after the other, and keeps what they refer to: modules, and objects that stay here."""

    def __init__(self, stream: wire.Stream, module_name: str) -> None:
        self._stream = stream
        self._module_name = module_name
        self._modules: dict[str, ModuleType] = {}
        self._signatures: dict[str, tuple[Any, inspect.Signature | None]] = {}
        self._kept: dict[int, Any] = {}
        self._last = 0
        self._shown: set[str] = set()
        self._output, self._errors = _Output(), _Output()
        _close_off_streams()

    def run(self) -> None:
        while True:
            request, attached = self._stream.receive(wire.REQUESTS)
            if isinstance(request, wire.Bye):
                return
            if isinstance(request, wire.Drop):
                for ref in request.refs:
                    self._kept.pop(ref, None)
                continue
            self._stream.send(self._reply(request, wire.Unpacker(attached, self._stream.caps, self._known)))
            del request, attached

    def _reply(self, request: Any, unpacker: wire.Unpacker) -> list[memoryview]:
        sys.stdout, sys.stderr = self._output.stream(), self._errors.stream()
        stage = "load" if isinstance(request, wire.Load) else "run"
        changed: list[int | str] = []
        try:
            with _TimeLimit(request.seconds):
                value, changed = self._handle(request, unpacker)
            stage = "cross"
            packer = wire.Packer(self._stream.caps, self._keep)
            packed = packer.pack(value)
            reply = wire.Returned(request.number, packed, changed, self._output.take(), self._errors.take())
            return wire.encode(reply, packer.attached, self._stream.caps)
        except BaseException as error:
            raised = self._raised(request.number, stage, error)
            raised.stdout, raised.stderr = self._output.take(), self._errors.take()
            return wire.encode(raised, [], self._stream.caps)

    # --- what can be asked ---

    def _handle(self, request: Any, unpacker: wire.Unpacker) -> tuple[Any, list[int | str]]:
        if isinstance(request, wire.Call):
            return self._call(request, unpacker)
        if isinstance(request, wire.Load):
            return self._load(request, unpacker.unpack(request.source)), []
        value = self._known(request.ref, "")
        if isinstance(request, wire.Attribute):
            return getattr(value, request.name), []
        if isinstance(request, wire.Item):
            key = unpacker.unpack(request.key)
            return value[slice(*key) if request.sliced else key], []
        if isinstance(request, wire.Length):
            return len(value), []
        return list(islice(value, request.count)), []

    def _load(self, request: wire.Load, source: bytes) -> dict[str, str]:
        """Run a file as a module; gives its functions with their signatures."""
        shown, name = request.shown, request.module or self._module_name
        if name == self._module_name:  # of the kit's own modules beside it, no frames are shown
            self._shown.add(shown)
        _show_lines(shown, source)
        code = compile(source, shown, "exec", dont_inherit=True)
        module = ModuleType(name)
        module.__file__ = shown
        self._modules[name] = sys.modules[name] = module
        module.__dict__["__builtins__"] = builtins
        exec(code, module.__dict__)
        functions = [(n, f) for n, f in list(module.__dict__.items()) if type(n) is str and _is_function(f)]
        return {n: bare_signature(signature_of(f)) for n, f in functions[:_NAMES]}

    def _call(self, request: wire.Call, unpacker: wire.Unpacker) -> tuple[Any, list[int | str]]:
        args = [unpacker.unpack(packed) for packed in request.args]
        kwargs = {name: unpacker.unpack(packed) for name, packed in request.kwargs}
        function = self._function(request)
        self._bind(request.target, function, args, kwargs)
        if not request.watch:
            return function(*args, **kwargs), []
        passed: dict[int | str, Any] = dict(enumerate(args))
        passed.update(kwargs)
        before = {place: self._snapshot(value) for place, value in passed.items()}
        value = function(*args, **kwargs)
        return value, [place for place, kept in before.items() if self._snapshot(passed[place]) != kept]

    def _function(self, request: wire.Call) -> Callable[..., Any]:
        function: Callable[..., Any]
        if isinstance(request.target, int):
            function = self._known(request.target, "")
            return function
        module = self._modules.get(request.module or self._module_name)
        found = module.__dict__.get(request.target) if module else None
        if not callable(found):
            raise _Refused("find", "AttributeError", "" if found is None else type(found).__name__)
        function = found
        return function

    def _bind(self, target: str | int, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        """Would Python accept these arguments? Told apart from a TypeError that the function raises itself."""
        if isinstance(target, int):
            return
        if target not in self._signatures or self._signatures[target][0] is not function:
            self._signatures[target] = function, signature_of(function)
        signature = self._signatures[target][1]
        if signature is None:
            return
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise _Refused("bind", "TypeError", str(error), bare_signature(signature)) from None

    def _snapshot(self, value: Any) -> tuple[Any, list[bytes]] | None:
        """An argument as it is now, to the last bit; an object that stays in the jail counts as unchanged."""
        packer = wire.Packer(self._stream.caps, lambda other: (id(other), ""))
        try:
            packed = packer.pack(value)
            return repr(packed), list(map(bytes, packer.attached))
        except wire.WireError:  # it cannot have come like this
            return None

    # --- objects that stay here ---

    def _keep(self, value: Any) -> tuple[int, str]:
        self._last += 1
        self._kept[self._last] = value
        kind = type(value)
        return self._last, wire.shorten(f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."), 400)

    def _known(self, ref: int, type_name: str) -> Any:
        if ref not in self._kept:
            raise wire.WireError(f"there is no object {ref} in this jail.")
        return self._kept[ref]

    # --- exceptions as data ---

    def _raised(self, number: int, stage: str, error: BaseException) -> wire.Raised:
        """An exception as data. Whatever it does to prevent that, something is told."""
        raised = wire.Raised(number, stage, "Exception", ["Exception"], "", "", "", False, 0, "", "", "")
        with suppress(BaseException):
            kind = type(error)
            raised.type_name = wire.shorten(kind.__name__, 400)
            raised.bases = [b.__name__ for b in kind.__mro__ if b in _EXCEPTIONS][:50]
        if isinstance(error, TimeIsUp):
            raised.stage = "time"
        if isinstance(error, _Refused):
            raised.stage, raised.type_name = error.stage, error.type_name
            raised.signature = wire.shorten(error.signature, 400)
        try:
            raised.message = wire.shorten(str(error))
        except BaseException as worse:
            raised.message = f"(its text cannot be had: {type(worse).__name__})"
        if not isinstance(error, _Refused | wire.WireError):
            with suppress(BaseException):
                self._add_frames(raised, error)
        if stage == "load" and isinstance(error, SyntaxError):
            with suppress(BaseException):
                raised.line = int(error.lineno or 0)
                raised.message = wire.shorten(str(error.msg))
                raised.frames = wire.shorten("".join(traceback.format_exception_only(error)).rstrip())
        return raised

    def _add_frames(self, raised: wire.Raised, error: BaseException) -> None:
        frames = list(traceback.walk_tb(error.__traceback__))
        if frames:
            innermost = frames[-1][0].f_code
            raised.function = wire.shorten(innermost.co_name, 400)
            raised.own = innermost.co_filename in self._shown
        own = [(frame, line) for frame, line in frames if frame.f_code.co_filename in self._shown]
        if len(own) > _FRAMES:
            own = own[: _FRAMES // 2] + own[-_FRAMES // 2 :]
        lines = traceback.StackSummary.extract(iter(own)).format()
        if len(lines) > 12:
            lines = [*lines[:4], f"  … {len(lines) - 8} more frames …\n", *lines[-4:]]
        text = "".join(lines)
        for shown in self._shown:
            text = text.replace(f'"{shown}"', shown)
        raised.frames = wire.shorten(text.rstrip(), 8000)


def _is_function(value: Any) -> bool:
    """A function, or an object that one can call: made by `partial`, by a decorator that caches, by a class."""
    try:
        return callable(value) and not isinstance(value, type)
    except Exception:  # of a class whose attributes raise
        return False


def signature_of(function: Any) -> inspect.Signature | None:
    """A function's signature; None when it has none to show."""
    try:
        return inspect.signature(function)
    except Exception:
        return None


def bare_signature(signature: inspect.Signature | None) -> str:
    """A signature without annotations; empty for none, or for one that cannot be written."""
    if signature is None:
        return ""
    try:
        parameters = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
        bare = signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
        return wire.shorten(str(bare), 400)
    except Exception:
        return ""


def _show_lines(shown: str, source: bytes) -> None:
    """Let tracebacks show the file's lines, though there is no such file here."""
    try:
        text = decode_source(source)
    except (SyntaxError, ValueError, LookupError):
        text = source.decode("utf-8", "replace")
    linecache.cache[shown] = len(source), None, text.splitlines(keepends=True), shown


# --- time and output ---


class _TimeLimit:
    """Raises `TimeIsUp` in the block after so many seconds, to learn where it was: the clock that counts is not here.

    0 sets no limit. What the block did to `builtins` is undone at its end.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running = bool(seconds) and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> None:
        if self._running:
            signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, max(self._seconds, 1e-3), _REPEAT_SECONDS)

    def __exit__(self, *raised: object) -> None:
        if self._running:
            self._running = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        current = vars(builtins)
        if current != _BUILTINS:
            for name, original in _BUILTINS.items():
                if current.get(name) is not original:
                    current[name] = original

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._running:
            raise TimeIsUp(f"no answer within {self._seconds:g} seconds")


def _close_off_streams() -> None:
    """Take the descriptors 0 to 2 away from C code and from children. Python's own streams are set per request."""
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        if nothing > 2:
            os.close(nothing)
    sys.stdin = io.TextIOWrapper(io.BytesIO())


class _Output:
    """A text stream for an answer to print to, of which the first and the last are kept."""

    def __init__(self) -> None:
        self._head, self._tail, self._dropped = bytearray(), bytearray(), 0
        self._text = self._open()

    def _open(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(
            io.BufferedWriter(_Writer(self)), encoding="utf-8", errors="backslashreplace", write_through=True
        )

    def stream(self) -> io.TextIOWrapper:
        """The stream: the same one each time, for those who hold on to it, unless an answer closed it."""
        if self._text.closed:
            self._text = self._open()
        return self._text

    def keep(self, view: memoryview) -> None:
        room = max(0, _OUTPUT // 2 - len(self._head))
        self._head += view[:room]
        rest = view[room:]
        self._tail += rest[-_OUTPUT // 2 :]
        self._dropped += len(rest)
        if len(self._tail) > _OUTPUT // 2:
            del self._tail[: -_OUTPUT // 2]

    def take(self) -> str:
        """What was kept since last time."""
        with suppress(BaseException):
            self._text.flush()
        left_out = self._dropped - len(self._tail)
        gap = f"\n… {left_out} bytes left out …\n".encode() if left_out else b""
        kept = bytes(self._head) + gap + bytes(self._tail)
        self._head, self._tail, self._dropped = bytearray(), bytearray(), 0
        return kept.decode("utf-8", "replace")


class _Writer(io.RawIOBase):
    def __init__(self, output: _Output) -> None:
        self._output = output

    def writable(self) -> bool:
        return True

    def write(self, written: Any) -> int:
        view = memoryview(written).cast("B")
        self._output.keep(view)
        return len(view)
