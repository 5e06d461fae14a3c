"""The attacks, by the rows of the table of threats.

Not yet applicable: 14 (ONNX and safetensors files) and the zips of 16, the notebooks of 17, the gradebook, dashboard
and exports of 30, 31 and 34: what they attack does not exist yet.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .build import ALL, FILE, MARK, NONE, ROOT, SOLUTION, WRONG, Attack, file_of, replaced, solution_of

ATTACKS: list[Attack] = []


def add(name: str, row: int, body: str = WRONG, *, top: str = "", end: str = "", **told: Any) -> None:
    """An attack on one exercise; the others keep their marks unless told."""
    attacked = told.setdefault("attacked", "softmax")
    told.setdefault("worth", ALL - {attacked})
    ATTACKS.append(Attack(name, row, file_of(replaced(attacked, body, top, end)), **told))


def at_import(name: str, row: int, top: str, **told: Any) -> None:
    """An attack that ends with the file not loaded: nothing is earned."""
    source = SOLUTION.replace("\nimport numpy as np\n", f"\nimport numpy as np\n{top}\n", 1)
    ATTACKS.append(Attack(name, row, file_of(source), worth=NONE, **told))


def folder(name: str, row: int, make: Callable[[Path], Path | None], **told: Any) -> None:
    told.setdefault("worth", ALL - {"softmax"})
    ATTACKS.append(Attack(name, row, make, **told))


ATTENTION = "scaled_dot_product_attention"
CRASHED, ERROR, FAILED, TIMEOUT = ("crashed",), ("error",), ("failed",), ("timeout",)

# ── 1 and 2: leaving instead of answering ───────────────────────────────────────────────────────────────────────

add("exit_in_a_call", 1, "import os; os._exit(0)", states=CRASHED, fast=True)
add("sys_exit_in_a_call", 1, "import sys; sys.exit(0)", states=ERROR, fast=True)
add("exit_from_a_thread", 1, "import os, threading, time; threading.Thread(target=os._exit, args=(0,)).start()\n"
    "time.sleep(5)", states=CRASHED)  # fmt: skip
add("exit_at_exit", 1, top="import atexit, os; atexit.register(os._exit, 0)", states=FAILED)
add("keyboard_interrupt", 1, "raise KeyboardInterrupt", states=ERROR)
add("generator_exit", 1, "raise GeneratorExit", states=ERROR)
add("close_the_wire", 1, "import os; os.closerange(0, 256); return np.ones(3) / 3", states=CRASHED)
at_import("exit_at_import", 1, "import os; os._exit(0)", states=CRASHED, fast=True)
at_import("sys_exit_at_import", 1, "import sys; sys.exit(0)", states=ERROR)
at_import("exit_of_a_child_at_import", 1, "import os\nif os.fork(): os._exit(0)", states=CRASHED)
add("a_child_answers_too", 1, "import os; os.fork()\n" + WRONG, may_lose=True)  # its next answer comes twice

add("pytest_exit", 2, "import pytest; pytest.exit('all passed', 0)", states=ERROR)
add("pytest_skip", 2, "import pytest; pytest.skip('not today')", states=ERROR, fast=True)
add("pytest_xfail", 2, "import pytest; pytest.xfail('as expected')", states=ERROR)
add("unittest_skip", 2, "import unittest; raise unittest.SkipTest('not today')", states=ERROR)
at_import("pytest_skip_module", 2, "import pytest; pytest.skip('all', allow_module_level=True)", states=ERROR)
for kind in ("NotApplicable", "Undecided", "WrongAnswer", "AssertionError", "JailError"):
    add(f"raises_its_own_{kind}", 2, f"raise type('{kind}', (Exception,), {{}})('no penalty')", states=ERROR)
add("stays_to_do", 2, "raise NotImplementedError", states=("todo", "failed"))

# ── 3 to 5: answers that lie ────────────────────────────────────────────────────────────────────────────────────

LIAR = """
class Liar:
    __class__ = np.ndarray
    shape, ndim, size, dtype = (3, 3), 2, 9, np.dtype(float)
    __array_priority__ = 1e9
    def __init__(self, *a): pass
    def _yes(self, *a, **k): return True
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = _yes
    __array_ufunc__ = __array_function__ = _yes
    def __hash__(self): return 1
    def __float__(self): return 0.125
    def __len__(self): return 3
    def __iter__(self): return iter([0.125, 0.25, 0.625])
    def __getitem__(self, i): return 0.125
    def __array__(self, *a, **k): return np.full((3, 3), 1 / 3)
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
"""
add("an_object_that_equals_all", 3, "return Liar()", top=LIAR, states=FAILED, fast=True)
add("a_list_of_liars", 3, "return [Liar()] * 3", top=LIAR, states=FAILED)
add("an_array_of_liars", 3, "return np.array([Liar()] * 3, dtype=object)", top=LIAR)
add("a_pair_of_liars", 3, "return Liar(), Liar()", top=LIAR, states=FAILED, attacked=ATTENTION)
add("a_cache_of_liars", 3, "return x_t * 0, {'k': Liar(), 'v': Liar()}", top=LIAR, attacked="decode_step")
add("a_lying_tensor", 3, """
    import torch
    class T(torch.Tensor):
        @classmethod
        def __torch_function__(cls, f, types, args=(), kwargs=None): return True
    return torch.zeros(np.shape(x)).as_subclass(T)
    """)  # fmt: skip
add("a_reply_that_is_a_class", 3, "return type('A', (np.ndarray,), {})", states=FAILED)
add("an_object_whose_type_name_is_long", 3, "return type('x' * 10**6, (), {})()", states=FAILED)
add("a_metaclass_that_lies", 3, """
    class M(type):
        __mro__ = property(lambda s: (np.ndarray, object))
        def __instancecheck__(s, o): return True
        def __subclasscheck__(s, o): return True
        def __eq__(s, o): return True
        def __hash__(s): return hash(np.ndarray)
    return M('ndarray', (), {})()
    """)  # fmt: skip

SUBCLASS = """
class Sub(np.ndarray):
    def _yes(self, *a, **k): return True
    __eq__ = __ne__ = __bool__ = __lt__ = __le__ = _yes
    __array_ufunc__ = __array_function__ = lambda self, *a, **k: True
    def tobytes(self, *a): return np.full(self.shape, 1 / 3).tobytes()
    shape = property(lambda self: (3, 3))
"""
add("an_array_subclass", 4, "return np.zeros((2, 3)).view(Sub)", top=SUBCLASS, states=FAILED, fast=True)
add("a_matrix", 4, "return np.matrix(np.zeros((3, 3)))", states=FAILED)
add("a_masked_array", 4, "return np.ma.masked_all((3, 3))", states=FAILED)
add("a_str_subclass", 4, "return type('S', (str,), {'__eq__': lambda *a: True, '__hash__': str.__hash__})('x')",
    states=FAILED)  # fmt: skip
add("a_float_subclass", 4, "return type('F', (float,), {'__eq__': lambda *a: True, '__hash__': hash})(0)",
    states=FAILED)  # fmt: skip
add("a_tuple_subclass", 4, "return type('P', (tuple,), {'__iter__': lambda s: iter([1]), '__eq__': lambda *a: True})"
    "((np.zeros(3), np.zeros(3)))", attacked=ATTENTION, states=FAILED)  # fmt: skip
add("a_dict_subclass", 4, "return x_t, type('D', (dict,), {'__getitem__': lambda s, k: 1, '__eq__': lambda *a: True})"
    "(k=1, v=2)", attacked="decode_step")  # fmt: skip
add("bool_subclass_of_float_array", 4, "return np.asarray(x, dtype=bool)", states=FAILED)

for name, value in {
    "one_value_for_all": "np.array([1.0])",
    "an_empty_array": "np.zeros((0,))",
    "nan": "np.full(np.shape(x), np.nan)",
    "infinities": "np.full(np.shape(x), np.inf)",
    "no_axes": "np.array(0.5)",
    "complex": "(lambda e: e / e.sum(axis, keepdims=True) + 0j)(np.exp(x))",
    "object_dtype": "(lambda e: e / e.sum(axis, keepdims=True))(np.exp(x)).astype(object)",
    "texts": "np.array(['0.125', '0.25', '0.625'])",
    "a_lone_surrogate": "np.array(['\\ud800'])",
    "a_structured_array": "np.zeros(3, dtype=[('a', float)])",
    "dates": "np.zeros(3, dtype='datetime64[s]')",
    "an_impossible_shape": "np.zeros((0, 2**59))",
    "many_axes": "np.zeros((1,) * 60)",
    "a_nan_scalar": "np.float64('nan')",
    "broadcast_far_too_large": "np.broadcast_to(0.5, (2**40,))",
}.items():
    add(f"shape_and_dtype_{name}", 5, f"return {value}", group="values")

# ── 6 to 8: looking for the answer ──────────────────────────────────────────────────────────────────────────────

add("walks_the_frames", 6, """
    import sys
    f = sys._getframe()
    while f:
        for name, value in list(f.f_locals.items()) + list(f.f_globals.items()):
            if name.startswith(("expect", "reference", "totals", "scipy")) or name in ("right", "counts"):
                return value
        f = f.f_back
    """ + WRONG, states=FAILED)  # fmt: skip
add("searches_the_heap", 6, """
    import gc
    for o in gc.get_objects():
        for v in (o.values() if type(o) is dict else o if type(o) in (list, tuple) else ()):
            if type(v) is np.ndarray and v.shape == np.shape(x) and v.dtype == float and np.allclose(v.sum(axis), 1):
                return v
    """ + WRONG, states=FAILED, fast=True)  # fmt: skip
add("reads_the_memory_of_all", 6, """
    import os, re
    for pid in [n for n in os.listdir("/proc") if n.isdigit()]:
        try:
            if int(pid) == os.getpid(): continue
            for line in open(f"/proc/{pid}/maps"):
                a, b = (int(n, 16) for n in line.split()[0].split("-"))
                with open(f"/proc/{pid}/mem", "rb") as mem:
                    mem.seek(a)
                    if b"scipy_softmax" in mem.read(b - a): raise SystemExit("found the checks")
        except (OSError, ValueError): pass
    """ + WRONG, states=FAILED)  # fmt: skip
add("reads_the_environment_of_all", 6, """
    import glob
    text = b""
    for place in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline") + glob.glob("/proc/*/task/*/environ"):
        try: text += open(place, "rb").read()
        except OSError: pass
    seeds = [w for w in text.replace(b"\\0", b" ").split() if b"seed" in w.lower() or b"DEEPDIVE" in w]
    if seeds: raise SystemExit(f"found {seeds}")
    """ + WRONG, states=FAILED)  # fmt: skip
add("inspects_the_callers", 6, """
    import inspect
    for f in inspect.stack():
        if "checks" in f.filename or "judge" in f.filename: raise SystemExit("found the checks")
    """ + WRONG, states=FAILED)  # fmt: skip

FINDS = """
def _find():
    import os
    seen = 0
    for top in ("/root", "/home", "/kit", "/tmp", "/mnt", "/srv", "/opt", "/var", "/proc/1/root", "/proc/1/cwd",
                "/proc/self/root/root", ROOT, *__import__("sys").path):
        for place, folders, names in os.walk(top, followlinks=False):
            folders[:] = [f for f in folders if f not in ("proc", "sys", "usr", "torch", "transformers")]
            seen += 1
            if seen > 20000: return
            for name in names:
                if name.endswith(("hour1_attention.py", "hour1_attention.md", "hour1_attention.json")):
                    yield os.path.join(place, name)
"""
add("searches_for_the_solutions", 7, """
    for path in _find():
        names = {"np": np}
        exec(open(path).read(), names)
        if "softmax" in names: return names["softmax"](x, axis)
    """ + WRONG, top=FINDS.replace("ROOT", repr(str(ROOT))), states=FAILED, fast=True)  # fmt: skip
add("knows_where_the_solutions_are", 7, f"""
    names = {{}}
    for place in ({str(ROOT)!r}, "..", "/kit", "/proc/1/root{ROOT}"):
        try: exec(open(place + "/solutions/{FILE}").read(), names)
        except OSError: continue
        return names["softmax"](x, axis)
    """ + WRONG, states=FAILED)  # fmt: skip
add("lists_other_submissions", 7, """
    import glob
    if found := [p for p in glob.glob("/tmp/*/*/*/hour1*") + glob.glob("/tmp/*/*/hour1*")]: raise SystemExit(found)
    """ + WRONG, states=FAILED)  # fmt: skip
add("opens_inherited_folders", 7, """
    import os
    for fd in range(256):
        try: raise SystemExit(f"found {os.listdir(fd)}")
        except OSError: pass
        try: open(f"/proc/self/fd/{fd}/../solutions/hour1_attention.py"); raise SystemExit("found it")
        except OSError: pass
    """ + WRONG, states=FAILED)  # fmt: skip
for module, of in (
    ("solutions.hour1_attention", "softmax"),
    ("deepdive.diagnose", "right_answer"),
    ("deepdive.expect", "expect"),
    ("deepdive.proof", "checks_of"),
    ("checks.test_hour1_attention", "scipy_softmax"),
    ("checks.mistakes.hour1_attention", "softmax"),
):
    add(f"imports_{module.replace('.', '_')}", 8, f"""
    try: from {module} import {of}
    except ImportError: return np.zeros(np.shape(x))
    raise SystemExit("found it")
    """, states=FAILED)  # fmt: skip

# ── 9 and 10: the clock, and what is not there yet ──────────────────────────────────────────────────────────────

LOOP = """
def _loop(q, k, v):
    weights = np.empty((*q.shape[:-1], k.shape[-2]), q.dtype)
    output = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    for at in np.ndindex(q.shape[:-1]):
        s = k[at[:-1]] @ q[at] / q.shape[-1] ** 0.5
        e = np.exp(s - s.max())
        weights[at] = e / e.sum()
        output[at] = weights[at] @ v[at[:-1]]
    return output, weights
"""
TIMED = "np.shape(q) == (1, 3, 64, 6)"  # the probe of the speed check
RIGHT = solution_of(ATTENTION)
SLOW = f"if {TIMED}: return _loop(q, k, v)\n"


def slow(name: str, row: int, before: str, *, top: str = "", **told: Any) -> None:
    """Attention that loops where it is timed, and a trick to hide it."""
    add(name, row, before + "\n" + SLOW + RIGHT, top=LOOP + top, attacked=ATTENTION, **told)


STOPPED_CLOCK = """
import time
for _name in ("time", "perf_counter", "monotonic", "process_time", "thread_time"):
    setattr(time, _name, lambda: 0.0)
    setattr(time, _name + "_ns", lambda: 0)
"""
slow("just_slow", 10, "pass", states=FAILED)
slow("stops_the_clock", 9, "pass", top=STOPPED_CLOCK, states=FAILED, fast=True)
slow("patches_the_workers_clock", 9, """
import sys
for m in list(sys.modules.values()):
    for n in ("perf_counter", "monotonic", "time"):
        if callable(getattr(m, n, None)): setattr(m, n, lambda: 0.0)""", states=FAILED, may_lose=True)  # fmt: skip
add("patches_numpy", 9, top="np.allclose = np.array_equal = np.isclose = lambda *a, **k: True\n"
    "np.left_by_an_attack = 1", states=FAILED, followed=True)  # fmt: skip
add("patches_torch", 9, "import torch\ntorch.equal = torch.allclose = torch.Tensor.__eq__ = lambda *a, **k: True\n"
    "torch.Tensor.tolist = lambda *a: []\n" + WRONG, states=FAILED)  # fmt: skip
add("patches_builtins", 9, "import builtins\nbuiltins.left_by_an_attack = 1\n"
    "builtins.all = builtins.any = builtins.isinstance = lambda *a: True\n" + WRONG,
    may_lose=True, followed=True)  # fmt: skip
add("patches_json_and_msgspec", 9, "import json, msgspec\njson.dumps = msgspec.json.encode = lambda *a, **k: b'{}'\n"
    "msgspec.msgpack.encode = lambda *a: b''\n" + WRONG, states=FAILED)  # fmt: skip
add("replaces_modules", 9, "import sys, types\n"
    "for n in ('deepdive.judge', 'deepdive.expect', 'pytest', 'numpy.testing', 'checks'):\n"
    "    sys.modules[n] = types.ModuleType(n)\n" + WRONG, states=FAILED)  # fmt: skip
add("patches_the_worker", 9, """
    import sys
    worker = sys.modules["deepdive.jail.worker"]
    for name, thing in vars(worker).items():
        if isinstance(thing, type) and name == "_Desk":
            thing._raised = thing._reply = lambda self, *a: []
    """ + WRONG, may_lose=True)  # fmt: skip
add("patches_the_packer", 9, """
    from deepdive.jail import wire
    wire.Packer.pack = lambda self, value, depth=0: [99, [], {}]
    """ + WRONG, may_lose=True)  # fmt: skip

slow("caches_by_the_inputs", 10, f"""
if {TIMED}:
    key = float(q.sum())
    if key not in _seen: _seen[key] = _loop(q, k, v)
    return _seen[key]""", top="_seen = {}\n", states=FAILED)  # fmt: skip
slow("caches_by_the_shape", 10, f"""
if {TIMED}:
    if not _seen: _seen.append(_loop(q, k, v))
    return _seen[0]""", top="_seen = []\n", states=FAILED)  # fmt: skip
LAZY = """
class Lazy:
    def __init__(self, *a): self.a = a
    def __array__(self, *a, **k): return _loop(*self.a)[0]
    def __iter__(self): return iter(_loop(*self.a))
    def __getitem__(self, i): return _loop(*self.a)[i]
    def __len__(self): return 2
"""
slow("a_lazy_answer", 10, f"if {TIMED}: return Lazy(q, k, v)", top=LAZY, states=FAILED)
slow("two_lazy_answers", 10, f"if {TIMED}: return Lazy(q, k, v), Lazy(q, k, v)", top=LAZY, states=FAILED)
slow("leaves_the_work_to_a_thread", 10, f"""
if {TIMED}:
    import threading
    output, weights = np.zeros_like(q), np.zeros((1, 3, 64, 64), q.dtype)
    def work():
        output[...], weights[...] = _loop(q, k, v)
    threading.Thread(target=work).start()
    return output, weights""", states=FAILED)  # fmt: skip
slow("slows_the_baseline", 10, f"""
if {TIMED} and not _children:
    import os
    for _ in range(6):
        if os.fork() == 0:
            while True: pass
        _children.append(1)""", top="_children = []\n", may_lose=True)  # fmt: skip
slow("works_on_the_whole_batch", 10, f"""
if {TIMED}:
    import sys
    f = sys._getframe()
    while f and not isinstance(f.f_locals.get("batch"), list): f = f.f_back
    if f:
        batch = f.f_locals["batch"]
        if not any(q is known[0] for known in _known):
            qs, ks, vs = (np.concatenate([np.asarray(one[i]) for one in batch]) for i in range(3))
            output, weights = _over_queries(qs, ks, vs)
            _known[:] = [(one[0], output[i:i + 1], weights[i:i + 1]) for i, one in enumerate(batch)]
        return next(known[1:] for known in _known if known[0] is q)
    return _over_queries(q, k, v)""", top="""
_known = []
def _over_queries(q, k, v):
    weights = np.empty((*q.shape[:-1], k.shape[-2]), q.dtype)
    output = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    for i in range(q.shape[-2]):
        s = (k @ q[..., i, :, None])[..., 0] / q.shape[-1] ** 0.5
        e = np.exp(s - s.max(-1, keepdims=True))
        weights[..., i, :] = e / e.sum(-1, keepdims=True)
        output[..., i, :] = (weights[..., i, None, :] @ v)[..., 0, :]
    return output, weights
""", group="batch")  # fmt: skip
add("too_slow_to_be_measured", 10, f"if {TIMED}:\n    import time\n    time.sleep(0.8)\n" + RIGHT, attacked=ATTENTION,
    group="undecided")  # fmt: skip
add("too_slow_to_be_measured_twice", 10, f"if {TIMED}:\n    import time\n    time.sleep(1.6)\n" + RIGHT,
    attacked=ATTENTION, group="undecided")  # fmt: skip

# ── 11 to 13: the wire ──────────────────────────────────────────────────────────────────────────────────────────

VERDICT = '{"version": 1, "earned": 30, "possible": 30, "verdicts": [{"exercise": "softmax", "state": "passed"}]}'
add("writes_verdicts_everywhere", 11, f"""
    import os
    text = {VERDICT!r}.encode()
    for fd in range(256):
        try: os.write(fd, text)
        except OSError: pass
    """ + WRONG, states=CRASHED)  # fmt: skip
add("writes_verdicts_to_files", 11, f"""
    import os
    for place in ("/tmp", "/dev/shm", "/kit", "/", "/dev", "/proc/1/root", {str(ROOT)!r}, "/var/tmp", "/run"):
        for name in ("{MARK}.json", "verdicts.json", "hour1_attention.json"):
            try: open(place + "/" + name, "w").write({VERDICT!r})
            except OSError: pass
    """ + WRONG, states=FAILED, followed=True, fast=True)  # fmt: skip
FORGES = """
def _forge(value, count=1, number=None, wrong=False):
    import gc, os, sys
    from deepdive.jail import wire
    f = sys._getframe()
    while f and not isinstance(f.f_locals.get("request"), wire.Call): f = f.f_back
    number = f.f_locals["request"].number if number is None else number
    packer = wire.Packer(wire.Caps())
    reply = wire.Returned(number, packer.pack(value), [], "", "")
    frame = b"".join(map(bytes, wire.encode(reply, packer.attached, wire.Caps())))
    for _ in range(count): os.write(3, frame)
"""
add("answers_before_it_is_done", 11, "_forge(np.ones(3) / 3)\n" + WRONG, top=FORGES, may_lose=True)
add(
    "answers_the_next_questions_too",
    11,
    "_forge(np.ones(3) / 3, count=50)\nimport os; os._exit(0)",
    top=FORGES,
    may_lose=True,
)
add("guesses_numbers", 11, "_forge(np.ones(3) / 3, number=7)\n" + WRONG, top=FORGES, states=CRASHED)
add("a_child_holds_the_wire", 11, """
    import os, time
    if os.fork() == 0:
        while True:
            _forge(np.ones(3) / 3)
            time.sleep(0.01)
    """ + WRONG, top=FORGES, may_lose=True)  # fmt: skip
add("says_the_time_was_up", 11, """
    import os, sys
    from deepdive.jail import wire
    f = sys._getframe()
    while f and not isinstance(f.f_locals.get("request"), wire.Call): f = f.f_back
    r = wire.Raised(f.f_locals["request"].number, "passed", "NotApplicable", [], "", "", "", True, 0, "", "", "")
    os.write(3, b"".join(map(bytes, wire.encode(r, [], wire.Caps()))))
    os._exit(0)
    """, states=("error", "crashed"), may_lose=True)  # fmt: skip


def on_the_wire(name: str, frame: str, **told: Any) -> None:
    told.setdefault("states", CRASHED)
    add(name, 12, f"""
    import os, socket, struct
    s = socket.socket(fileno=os.dup(3))
    try:
        s.sendall({frame})
    except OSError: pass
    os._exit(0)
    """, group="wire", **told)  # fmt: skip


on_the_wire("garbage_frames", "os.urandom(100_000)")
on_the_wire("an_oversized_head", "b'DDw1' + b'\\xff' * 64")
on_the_wire("a_truncated_frame", "b'DDw1' + struct.pack('=I', 1000) + b'\\x92'")
on_the_wire("a_deep_head", "b'DDw1' + struct.pack('=I', 10**6) + b'\\x91' * 10**6")
on_the_wire("sizes_beyond_memory", "b'DDw1' + struct.pack('=I', 12) + b'\\x92\\x91\\xcf' + b'\\x3f' * 8 + b'\\x90'")
add("an_endless_reply", 12, """
    import os, socket
    s = socket.socket(fileno=os.dup(3))
    while True: s.sendall(b"DDw1" + bytes(1 << 20))
    """, states=CRASHED, group="wire")  # fmt: skip
add("a_reply_drop_by_drop", 12, """
    import os, time
    for byte in b"DDw1" + (100).to_bytes(4, "little") + bytes(100):
        os.write(3, bytes([byte])); time.sleep(0.5)
    """, states=("crashed", "timeout"), group="wire")  # fmt: skip
for name, value in {
    "a_list_of_itself": "(lambda a: a.append(a) or a)([])",
    "deep_nesting": "__import__('functools').reduce(lambda a, _: [a], range(10**5), 1)",
    "a_million_items": "[[i] for i in range(10**6)]",
    "keys_of_one_hash": "{i * (2**61 - 1): i for i in range(3000)}",
    "an_int_of_a_million_bits": "1 << 10**6",
    "a_text_of_100_MB": "'x' * 10**8",
    "bytes_of_300_MB": "b'x' * (300 << 20)",
    "an_array_of_400_MB": "np.zeros(50 << 20)",
    "an_endless_generator": "__import__('itertools').count()",
}.items():
    add(f"returns_{name}", 12, f"return {value}", group="values", states=("failed", "crashed", "error", "timeout"))

PAYLOAD = f"""
class Payload:
    def __reduce__(self):
        import os
        return os.system, ("touch /tmp/{MARK}-payload",)
"""
add("returns_a_pickle_bomb", 13, "return Payload()", top=PAYLOAD, states=FAILED)
add("an_object_array_of_payloads", 13, "return np.array([Payload()] * 3, dtype=object)", top=PAYLOAD, states=FAILED)
add("the_bytes_of_a_pickle", 13, "import pickle; return pickle.dumps(Payload())", top=PAYLOAD, states=FAILED)
add("raises_a_payload", 13, "raise type('E', (ValueError,), {'__reduce__': Payload.__reduce__})('3, 0')", top=PAYLOAD)
add("an_npy_file_in_bytes", 13, "import io; b = io.BytesIO()\n"
    "np.save(b, np.array([Payload()], dtype=object)); return b.getvalue()", top=PAYLOAD, states=FAILED)  # fmt: skip

# ── 15 and 16: the folder ───────────────────────────────────────────────────────────────────────────────────────

EVIL = f"import os\nfor p in ('/tmp', os.path.expanduser('~')):\n    open(p + '/{MARK}-by-a-file-beside', 'w')\n"
WRONG_SOFTMAX = replaced("softmax", WRONG)


def with_files(**files: str) -> Callable[[Path], None]:
    def make(place: Path) -> None:
        file_of(WRONG_SOFTMAX)(place)
        for name, text in files.items():
            path = place / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return make


PASSES = EVIL + "def pytest_runtest_makereport(item, call):\n    raise SystemExit(0)\n"
folder("conftest_beside", 15, with_files(conftest_dot_py=PASSES, pytest_dot_ini="[pytest]\naddopts = --co\n"),
       states=FAILED, fast=True)  # fmt: skip
folder("sitecustomize_beside", 15, with_files(sitecustomize_dot_py=EVIL, usercustomize_dot_py=EVIL, x_dot_pth=EVIL),
       states=FAILED)  # fmt: skip
folder("numpy_and_torch_beside", 15, with_files(numpy_dot_py=EVIL, torch_dot_py=EVIL, typing_dot_py=EVIL),
       states=FAILED)  # fmt: skip
folder("the_kit_beside", 15, with_files(deepdive__judge_dot_py=EVIL, deepdive____init___dot_py=EVIL,
       solutions__hour1_attention_dot_py=EVIL, pyproject_dot_toml="[tool.pytest.ini_options]\naddopts='-x'"),
       states=FAILED)  # fmt: skip


def _linked(target: str) -> Callable[[Path], None]:
    return lambda place: (place / FILE).symlink_to(target)


folder("a_link_to_the_solutions", 16, _linked(str(ROOT / "solutions" / FILE)), worth=NONE, states=ERROR, fast=True)
folder("a_link_to_a_device", 16, _linked("/dev/zero"), worth=NONE, states=ERROR)
folder("a_link_to_itself", 16, _linked(FILE), worth=NONE, states=ERROR)
folder("a_link_to_nothing", 16, _linked("../../../nowhere"), worth=NONE, states=ERROR)
folder("a_pipe", 16, lambda place: os.mkfifo(place / FILE), worth=NONE, states=ERROR)
folder("a_folder_for_a_file", 16, lambda place: (place / FILE).mkdir(), worth=NONE, states=ERROR)
folder("nothing", 16, lambda place: None, worth=NONE, states=ERROR)
folder("too_large_a_file", 16, file_of(WRONG_SOFTMAX + "\n#" + "x" * (2 << 20)), worth=NONE, states=ERROR)


def _socket(place: Path) -> None:
    here = Path.cwd()
    os.chdir(place)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(FILE)
    os.chdir(here)


def _many(place: Path) -> None:
    file_of(WRONG_SOFTMAX)(place)
    for i in range(20_000):
        (place / f"{i}.py").touch()


def _both_cases(place: Path) -> None:
    file_of(WRONG_SOFTMAX)(place)
    file_of(WRONG_SOFTMAX, "Hour1_Attention.py")(place)
    file_of(WRONG_SOFTMAX, "hour1_attention (2).py")(place)


def _pipe_alone(place: Path) -> Path:
    os.mkfifo(place / FILE)
    return place / FILE


folder("a_socket", 16, _socket, worth=NONE, states=ERROR)
folder("20000_files", 16, _many, states=FAILED)
folder("names_that_differ_in_case", 16, _both_cases, states=FAILED)

# ── 18 to 22: too much of everything ────────────────────────────────────────────────────────────────────────────

add("loops_for_ever", 18, "while True: pass", states=TIMEOUT, group="time")
add("loops_in_c", 18, "return sum(range(10**12))", states=TIMEOUT, group="time")
add("ignores_all_signals", 18, """
    import signal
    for n in range(1, 65):
        try: signal.signal(n, signal.SIG_IGN)
        except (OSError, ValueError): pass
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True: pass
    """, states=TIMEOUT, group="time")  # fmt: skip
add("swallows_everything", 18, """
    while True:
        try:
            while True: pass
        except BaseException: pass
    """, states=TIMEOUT, group="time")  # fmt: skip
add("sleeps_for_ever", 18, "import time; time.sleep(1e6)", states=TIMEOUT, group="time")
add("a_regex_without_end", 18, "import re; re.match('(a+)+$', 'a' * 60 + 'b')", states=TIMEOUT, group="time")
add("waits_for_a_deadlock", 18, "import threading; l = threading.Lock(); l.acquire(); l.acquire()", states=TIMEOUT,
    group="time")  # fmt: skip
add("a_finalizer_without_end", 18, """
    class D:
        def __del__(self):
            while True: pass
    D()
    """, states=TIMEOUT, group="time")  # fmt: skip
at_import("loops_at_import", 18, "while True: pass", states=TIMEOUT, group="time")
add("a_str_without_end", 18, """
    class E(Exception):
        def __str__(self):
            while True: pass
    raise E
    """, states=("timeout", "crashed", "error"), group="time")  # fmt: skip

LEAST = ("crashed", "error")
add("memory_by_bytes", 19, "a = bytearray()\nwhile True: a += bytes(1 << 24)", states=LEAST, group="memory")
add("memory_by_lists", 19, "a = [0]\nwhile True: a += a", states=LEAST, group="memory")
add("memory_by_numpy", 19, "return np.ones(10**11)", states=LEAST, group="memory")
add("memory_by_numpy_in_pieces", 19, "a = []\nwhile True: a.append(np.ones(1 << 22))", states=LEAST, group="memory")
add("memory_by_torch", 19, "import torch\na = []\nwhile True: a.append(torch.ones(1 << 23))", states=LEAST,
    group="memory")  # fmt: skip
add("memory_by_mmap", 19, """
    import mmap
    a = []
    while True:
        a.append(mmap.mmap(-1, 1 << 26, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        a[-1].write(b"x" * (1 << 26))
    """, states=LEAST, group="memory")  # fmt: skip
add("memory_by_dev_shm", 19, f"""
    i = 0
    while True:
        i += 1
        open(f"/dev/shm/{MARK}-{{i}}", "wb").write(bytes(1 << 24))
    """, states=LEAST, group="memory", followed=True)  # fmt: skip
add("memory_swallowed", 19, """
    a = []
    while True:
        try: a.append(bytes(1 << 24))
        except MemoryError: a.append(0); a = a[-10**6:]
    """, states=(*LEAST, "timeout"), group="memory")  # fmt: skip
add("memory_by_children", 19, """
    import os, time
    for _ in range(4):
        if os.fork() == 0:
            a = bytearray(1200 << 20)
            for i in range(0, len(a), 4096): a[i] = 1
            time.sleep(60)
    time.sleep(60)
    """, states=(*LEAST, "timeout"), group="memory", followed=True)  # fmt: skip
at_import("memory_at_import", 19, "a = []\nwhile True: a.append(bytes(1 << 24))", states=LEAST, group="memory")

add("a_fork_bomb", 20, "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", followed=True,
    states=("timeout", "crashed", "error"), group="processes")  # fmt: skip
add("a_thread_bomb", 20, "import threading, time\n"
    "while True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()", followed=True,
    states=("timeout", "crashed", "error"), group="processes")  # fmt: skip
add("a_daemon_that_stays", 20, """
    import os, signal, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            os.closerange(0, 256)
            while True: time.sleep(1)
        os._exit(0)
    """ + WRONG, followed=True, fast=True)  # fmt: skip
add("a_subprocess_that_stays", 20, "import subprocess\nsubprocess.Popen(['/bin/sleep', '1000'])\n" + WRONG,
    followed=True, group="processes")  # fmt: skip
at_import("a_fork_bomb_at_import", 20, "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    followed=True, group="processes")  # fmt: skip
add("zombies", 20, "import os\nfor _ in range(60):\n    if os.fork() == 0: os._exit(0)\n" + WRONG, group="processes",
    followed=True)  # fmt: skip

add("fills_the_disk", 21, f"""
    for i in range(10**6):
        with open(f"/tmp/{MARK}-{{i}}", "wb") as f:
            while f.write(bytes(1 << 20)): pass
    """, followed=True, group="processes")  # fmt: skip
add("a_million_inodes", 21, f"""
    import os
    for i in range(10**6): os.mkdir(f"/tmp/{MARK}-{{i}}")
    """, followed=True, group="processes")  # fmt: skip
add("a_huge_sparse_file", 21, f"open('/tmp/{MARK}', 'wb').truncate(1 << 40)\n" + WRONG, group="processes")
add("deep_folders", 21, f"""
    import os
    for _ in range(5000):
        os.mkdir("{MARK}"); os.chdir("{MARK}")
    """ + WRONG, followed=True, group="processes")  # fmt: skip

add("a_flood_of_output", 22, "for _ in range(30): print('x' * 10**7)\n" + WRONG, states=FAILED, group="output")
add("an_endless_flood", 22, "while True: print('x' * 10**5)", states=TIMEOUT, group="output")
add("a_flood_past_python", 22, "import os\nfor _ in range(10**4): os.write(1, b'x' * 10**5)\n" + WRONG,
    states=FAILED, group="output")  # fmt: skip
add("closes_its_streams", 22, "import sys, os\nsys.stdout.close(); sys.stderr = None; os.close(1)\n" + WRONG,
    states=("failed", "error"), group="output")  # fmt: skip
ESCAPES = "'\\x1b[2J\\x1b]0;owned\\x07\\x1b]8;;http://x\\x07\\x9b2J\\r\\x08 [red]x[/nope] =cmd() <script>'"
add("escapes_in_an_exception", 22, f"raise RuntimeError({ESCAPES})", states=ERROR, group="terminal")
add("escapes_in_the_output", 22, f"print({ESCAPES})\n" + WRONG, states=FAILED, group="terminal")
add("escapes_in_a_value", 22, f"return {ESCAPES}", states=FAILED, group="terminal")
add("escapes_in_a_key", 22, f"return x_t, {{{ESCAPES}: 1}}", attacked="decode_step", group="terminal")
add("escapes_in_a_type", 22, f"return type({ESCAPES}, (), {{}})()", states=FAILED, group="terminal")
add("escapes_in_the_type_of_an_exception", 22, f"raise type({ESCAPES}, (Exception,), {{}})", group="terminal")
add("escapes_in_a_name", 22, end=f"globals()['softmax' + {ESCAPES}] = softmax\ndel softmax\n", states=FAILED,
    group="terminal")  # fmt: skip
add("escapes_in_the_source", 22, "raise RuntimeError(  # \x1b[2J\x1b]0;owned\x07\n)", states=ERROR, group="terminal")
at_import("escapes_in_a_syntax_error", 22, "\x1b]0;owned\x07\x1b[2J =", states=ERROR, group="terminal")

# ── 23 to 27: out of the jail, and what stays behind ────────────────────────────────────────────────────────────

REACHES = """
def _reached(*calls):
    for call in calls:
        try: call()
        except (OSError, ValueError, AttributeError, TypeError, LookupError, StopIteration): continue
        return True
"""


def reaches(name: str, row: int, *calls: str, top: str = "", **told: Any) -> None:
    """Each of these calls must fail; the error of the exercise would say otherwise."""
    tries = ", ".join(f"lambda: {call}" for call in calls)
    told.setdefault("states", FAILED)
    add(name, row, f"import ctypes, os, signal, socket\nlibc = ctypes.CDLL(None)\n"
        f"if _reached({tries}): raise SystemExit('reached')\n" + WRONG, top=REACHES + top, **told)  # fmt: skip


reaches("connects_out", 23,
        "socket.create_connection(('127.0.0.1', 22), 1)", "socket.create_connection(('1.1.1.1', 53), 1)",
        "socket.getaddrinfo('example.org', 80)[0]", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET6)", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "socket.socket(socket.AF_VSOCK)", fast=True)  # fmt: skip
reaches("connects_to_abstract_sockets", 23, *(f"socket.socket(socket.AF_UNIX).connect({name!r})" for name in
        ("\0/tmp/.X11-unix/X0", "/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket",
         "/run/systemd/private")))  # fmt: skip
add("listens_on_an_abstract_socket", 23, f"""
    import os, socket, time
    if os.fork() == 0:
        try:
            s = socket.socket(socket.AF_UNIX); s.bind("\\0{MARK}"); s.listen(); time.sleep(1000)
        finally:
            os._exit(0)
    """ + WRONG, followed=True)  # fmt: skip

add("kills_everyone", 24, "import os\nos.kill(-1, 9)\nos.kill(0, 9)", followed=True)
add("kills_by_number", 24, """
    import os, signal
    for pid in range(1, 40000):
        if pid != os.getpid():
            try: os.kill(pid, 9)
            except OSError: pass
    """ + WRONG, states=FAILED, fast=True, followed=True)  # fmt: skip
add("kills_its_parent", 24, "import os\nfor _ in range(99): os.kill(os.getppid(), 9)\n" + WRONG, followed=True)
reaches("ptraces", 24, "_ok(libc.ptrace(16, 1, 0, 0))", "_ok(libc.ptrace(0, 0, 0, 0))",
        "_ok(libc.syscall(310, 1, 0, 0, 0, 0, 0))", "_ok(libc.syscall(438, 1, 3, 0))",
        top="def _ok(n):\n    if n < 0: raise OSError(n)\n")  # fmt: skip
add("stops_itself", 24, "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n" + WRONG, followed=True)

OK = "def _ok(n):\n    if n < 0: raise OSError(n)\n"
reaches("mounts_and_unshares", 25,
        "_ok(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))", "_ok(libc.umount2(b'/tmp', 2))",
        "_ok(libc.unshare(0x10000000))", "_ok(libc.unshare(0x20000))", "_ok(libc.setns(3, 0))",
        "_ok(libc.chroot(b'/tmp'))",
        "_ok(libc.pivot_root(b'/tmp', b'/tmp'))", top=OK)  # fmt: skip
reaches("calls_the_kernel", 25, *(f"_ok(libc.syscall({n}, 0, 0, 0, 0, 0))" for n in
        (321, 425, 426, 298, 323, 250, 248, 246, 175, 313, 101, 319, 304, 303)), top=OK)  # fmt: skip
reaches("becomes_root", 25, "os.setuid(0)", "os.setgid(0)", "os.setgroups([0])", "_ok(libc.setresuid(0, 0, 0))",
        "os.nice(-5)", "os.mknod('/tmp/x', 0o60666, 0x800)", "os.chown('/tmp', 0, 0)",
        "os.write(os.open('/proc/self/uid_map', 1), b'0 0 1')",
        "os.write(os.open('/proc/self/oom_score_adj', 1), b'-1000')", top=OK)  # fmt: skip
reaches("types_into_the_terminal", 25, "__import__('fcntl').ioctl(0, 0x5412, b'x')", "open('/dev/tty', 'w')",
        "__import__('fcntl').ioctl(3, 0x5412, b'x')", "os.open('/dev/ptmx', 2)",
        "__import__('fcntl').ioctl(0, 0x541C, b'x')")  # fmt: skip
reaches("writes_to_the_system", 25, *(f"os.write(os.open({p!r}, 0o1101), b'x')" for p in (
        "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/etc/passwd", "/kit/x",
        "/usr/x", "/x", "/dev/x", "/proc/self/loginuid", "/proc/self/setgroups")))  # fmt: skip
add("raises_its_limits", 25, """
    import resource
    for limit in (resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
        try: resource.setrlimit(limit, (-1, -1))
        except (ValueError, OSError): continue
        raise SystemExit("raised")
    """ + WRONG, states=FAILED)  # fmt: skip

add("changes_its_input", 26, "np.divide(x, 2, out=x, casting='unsafe')\n" + solution_of("softmax"))
add("returns_its_input", 26, "return x", states=FAILED)
add("changes_a_cache_in_place", 26, "if cache is not None: cache['k'] *= 1.5\n" + solution_of("decode_step"),
    attacked="decode_step")  # fmt: skip

add("leaves_files", 27, f"""
    import os
    for place in ("/tmp", "/dev/shm", os.path.expanduser("~"), "/kit", "/var/tmp"):
        for name in ("{MARK}", ".cache-{MARK}", "sitecustomize.py", "numpy.py"):
            try: open(place + "/" + name, "w").write("raise SystemExit")
            except OSError: pass
    os.environ["{MARK}"] = "1"
    """ + WRONG, states=FAILED, followed=True, fast=True)  # fmt: skip
add("leaves_patched_modules", 27, f"""
    import builtins, sys, types
    np.left_by_an_attack = builtins.left_by_an_attack = True
    sys.modules["{MARK}"] = types.ModuleType("x")
    """ + WRONG, states=FAILED, followed=True)  # fmt: skip
add("leaves_a_poisoned_import", 27, """
    import sys
    class F:
        def find_spec(self, *a): raise SystemExit(0)
    sys.meta_path.insert(0, F())
    sys.path.insert(0, "/tmp")
    """ + WRONG, followed=True, may_lose=True)  # fmt: skip
add("writes_to_the_libraries", 27, """
    import numpy, torch, os
    for m in (numpy, torch, os):
        try: open(m.__file__, "a").write("# x")
        except OSError: continue
        raise SystemExit("written")
    """ + WRONG, states=FAILED, followed=True)  # fmt: skip

# ── 28 to 35 ────────────────────────────────────────────────────────────────────────────────────────────────────

add("knows_the_visible_probes", 28, """
    known = {(3, 3): np.array([[1., 2, 5], [6, 1, 3], [4, 4, 12]]) / [[8.], [10], [20]],
             (2, 3): np.array([[.125, .25, .625], [.6, .1, .3]]), (3,): np.array([.125, .25, .625])}
    if np.shape(x) in known: return known[np.shape(x)]
    """ + WRONG, states=FAILED)  # fmt: skip
add("seeds_to_know_the_inputs", 28, """
    for seed in range(2000):
        g = np.random.default_rng([seed, 1, *b"softmax/test_works_along_any_axis"])
        if np.array_equal(g.normal(size=(3, 3, 3)), x):
            return np.exp(x) / np.exp(x).sum(axis, keepdims=True)
    """ + WRONG, states=FAILED)  # fmt: skip
add("refuses_everything", 28, "raise ValueError(f'bool (3, 0) 7 {x!r}')", states=("error", "failed"))
add("deletes_the_function", 29, end="del softmax\n", states=FAILED, fast=True)
add("renames_the_function", 29, end="soft_max = softmax\ndel softmax\n", states=FAILED)
add("none_for_the_function", 29, end="softmax = None\n", states=FAILED)
add("a_class_for_the_function", 29, end="class softmax:\n    def __init__(self, *a, **k): pass\n", states=FAILED)
add(
    "renames_its_exercise",
    29,
    end="softmax.__name__ = 'causal_mask'; softmax.__module__ = 'solutions'\n",
    states=FAILED,
)
ATTACKS.append(Attack("an_empty_file", 29, file_of(""), worth=NONE, states=FAILED))
ATTACKS.append(Attack("a_file_of_one_function", 29, file_of("def causal_mask(n):\n"
    "    import numpy as np\n    if n < 1: raise ValueError(n)\n    return np.tri(n, dtype=bool)\n"),
    worth=frozenset({"causal_mask"}), states=FAILED))  # fmt: skip
add("an_odd_signature", 29, end="softmax = lambda *, x=1: x\n")
add("a_signature_that_lies", 29,
    end="class S:\n    def __str__(self): raise SystemExit\nsoftmax.__signature__ = S()\n",
    may_lose=True)  # fmt: skip

add("html_in_a_message", 30, "raise ValueError('<script>alert(1)</script>|=cmd()|\\n,;\"' + \"'\" + '\\r\\n[bold]')",
    states=("error", "failed"))  # fmt: skip
add("csv_in_the_output", 30, "print('=HYPERLINK(\"http://x\"),@SUM(1),-1+1|cmd')\n" + WRONG, states=FAILED)
add("json_in_a_message", 30, f"raise RuntimeError({VERDICT!r})", states=ERROR)
add("surrogates_in_a_message", 30, "raise RuntimeError('\\ud800\\udfff' * 100)", states=ERROR)
add("surrogates_in_the_output", 30, "print('\\ud800'); import sys; print('\\udcff', file=sys.stderr)\n" + WRONG,
    states=FAILED)  # fmt: skip
add("surrogates_in_a_key", 30, "return x_t, {'\\ud800': 1}", attacked="decode_step", group="values")
add("surrogates_in_a_name", 30, end="globals()['softma\\ud800'] = softmax\ndel softmax\n", group="surrogates")


def named(name: str, title: str) -> None:
    """The wrong softmax, in a folder of this name."""

    def make(place: Path) -> Path:
        inner = place / title
        inner.mkdir()
        file_of(WRONG_SOFTMAX)(inner)
        return inner

    folder(name, 31, make, states=FAILED, group="names")


named("a_folder_of_escapes", "\x1b[2J\x1b]0;owned\x07")
named("a_folder_of_lines", "a\nb\r\nhour 1 30 of 30 points")
named("a_folder_not_of_utf8", os.fsdecode(b"caf\xe9"))
named("a_folder_of_250_characters", "x" * 250)
named("a_folder_of_dots", "...")
named("a_folder_of_options", "--unsafe-no-jail")
named("a_folder_named_as_a_file", "hour1_attention.json")

add("a_null_pointer", 32, "import ctypes; ctypes.string_at(0)", states=CRASHED, fast=True, followed=True)
add("a_stack_overflow", 32,
    "import sys; sys.setrecursionlimit(10**9)\nf = lambda n: f(n + 1)\nf(0)", group="processes",
    states=("crashed", "error", "timeout"))  # fmt: skip
add("a_stack_overflow_in_c", 32,
    "import sys; sys.setrecursionlimit(10**9)\na = []\nfor _ in range(10**6): a = [a]\nrepr(a)",
    states=("crashed", "error"))  # fmt: skip
add("a_corrupted_heap", 32, "import ctypes\nctypes.memset(id(x) - 64, 255, 4096)\n" + WRONG, states=CRASHED)
add("patched_constants", 32, """
    import ctypes
    for n in (0, 1, 2): ctypes.memset(id(n) + 24, 7, 1)
    """ + WRONG, may_lose=True, followed=True)  # fmt: skip
add("aborts", 32, "import os; os.abort()", states=CRASHED)
add("an_illegal_instruction", 32, "import os, signal; os.kill(os.getpid(), signal.SIGILL)")

for name, value in {
    "a_cache_of_texts": "x_t, {'k': 'a', 'v': 'b'}",
    "a_cache_of_nothing": "x_t, {'k': None, 'v': None}",
    "a_cache_with_odd_keys": "x_t, {1: 2, (1, 2): 3, None: 4, b'x': 5, float('nan'): 6}",
    "a_cache_of_objects": "x_t, {'k': object(), 'v': object()}",
    "a_cache_of_tensors": "x_t, {'k': __import__('torch').ones(3), 'v': __import__('torch').ones(1)}",
    "an_impossible_cache": "np.zeros((0, 2**59)), {'k': np.zeros((2**40, 0)), 'v': np.zeros(())}",
    "a_cache_of_itself": "x_t, (lambda d: d.update(k=d, v=d) or d)({})",
}.items():
    add(f"breaks_the_check_by_{name}", 33, f"return {value}", attacked="decode_step", group="values")
add("breaks_the_check_by_nesting", 33, "a = 1.0\nfor _ in range(49): a = (a, a)[:1]\nreturn a", attacked=ATTENTION,
    states=FAILED, group="values")  # fmt: skip
add("breaks_the_check_by_texts", 33, "return np.array(['x']), np.array([b'y'])", attacked=ATTENTION, group="values")

reaches(
    "looks_for_the_grader",
    34,
    "open('/proc/net/tcp').readlines()[1]",
    "socket.socket(socket.AF_INET)",
    "next(p for p in os.listdir('/proc') if p.isdigit() and int(p) > 2 and int(p) != os.getpid())",
    f"next(name for name in os.listdir({str(ROOT)!r}) if name != {Path(sys.prefix).name!r})",  # Python may be there
    "os.listdir('/home')[0]",
    "next(name for name in os.listdir('/root') if not name.startswith('.'))",  # Python and the assets may be there
    group="reach",
)

for name, content in {
    "nul_bytes": SOLUTION.encode() + b"\0",
    "utf16": SOLUTION.encode("utf-16"),
    "a_false_coding": b"# -*- coding: klingon -*-\n" + SOLUTION.encode(),
    "a_coding_that_decompresses": b"# -*- coding: zlib -*-\n" + SOLUTION.encode(),
    "100000_brackets": SOLUTION.encode() + b"\n" + b"(" * 100_000 + b")" * 100_000,
    "a_long_sum": SOLUTION.encode() + b"\nx = " + b"+".join([b"1"] * 200_000),
    "deep_ifs": SOLUTION.encode() + b"\n" + b"".join(b" " * i + b"if 1:\n" for i in range(200)) + b" " * 200 + b"x=1",
    "random_bytes": bytes(range(256)) * 100,
}.items():
    told: dict[str, Any] = {"states": ("error", "crashed", "timeout")}
    ATTACKS.append(Attack(f"source_{name}", 35, file_of(content), worth=NONE, group="source", **told))
add("source_a_constant_that_grows", 35, "return ((9**9)**9)**9", group="source")
