"""Honest submissions that only look odd: all of them deserve full marks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .build import ALL, FILE, SOLUTION, Attack, file_of, replaced, solution_of

ODD: list[Attack] = []
_BEGIN = "    ### BEGIN SOLUTION\n"


def odd(name: str, make: str | bytes | Callable[[Path], Path | None], *, fast: bool = False) -> None:
    writes = make if callable(make) else file_of(make)
    ODD.append(Attack(name, 0, writes, ALL, attacked="", group="odd", fast=fast))


def top(lines: str) -> str:
    return SOLUTION.replace("\nimport numpy as np\n", f"\nimport numpy as np\n{lines}\n", 1)


def in_every_body(line: str, first: str = "") -> str:
    return top(first).replace(_BEGIN, f"    {line}\n{_BEGIN}")


def softmax(body: str, first: str = "", end: str = "") -> str:
    return replaced("softmax", body, first, end)


def tabbed() -> str:
    lines = []
    for line in SOLUTION.splitlines():
        bare = line.lstrip(" ")
        depth, rest = divmod(len(line) - len(bare), 4)
        lines.append("\t" * depth + " " * rest + bare)
    return "\n".join(lines)


def named(name: str) -> Callable[[Path], Path]:
    """A single file of this name, handed in without a folder."""

    def make(place: Path) -> Path:
        file_of(SOLUTION, name)(place)
        return place / name

    return make


BODY = solution_of("softmax")
odd("crlf_and_bom", b"\xef\xbb\xbf" + SOLUTION.replace("\n", "\r\n").encode(), fast=True)
odd("old_mac_line_endings", SOLUTION.replace("\n", "\r").encode())
odd("tabs", tabbed())
odd("no_newline_at_the_end", SOLUTION.rstrip())
odd("form_feeds", SOLUTION.replace("\n\n\ndef ", "\n\f\n\ndef "))
odd("latin1_with_a_cookie", ("# -*- coding: latin-1 -*-\n# é\n" + SOLUTION).encode("latin-1", "replace"))
odd("latin1_in_a_comment", b"# caf\xe9\n" + SOLUTION.encode())
odd("future_annotations", SOLUTION.replace("\nimport numpy as np\n", "\nfrom __future__ import annotations\n"
    "import numpy as np\n", 1).replace("np.ndarray", "NotEvenDefined"), fast=True)  # fmt: skip
odd("a_dataclass_and_future_annotations", SOLUTION.replace("\nimport numpy as np\n", """
from __future__ import annotations
import dataclasses, enum, typing
import numpy as np
@dataclasses.dataclass
class Settings:
    eps: float = 1e-5
    names: typing.ClassVar[list[str]] = []
class Kind(enum.Enum):
    A = 1
class Pair(typing.NamedTuple):
    a: int
typing.get_type_hints(Settings)
""", 1))  # fmt: skip
odd("a_module_pasted_in", softmax("return helpers.soft(x, axis)", """
import sys, types
helpers = types.ModuleType("helpers")
exec('''import numpy as np
def soft(x, axis):
    x = np.asarray(x)
    if x.dtype.kind not in "iuf": raise ValueError(x.dtype)
    if np.size(x, axis) == 0: raise ValueError(x.shape)
    e = np.exp(x * 1.0 - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)
''', helpers.__dict__)
sys.modules["helpers"] = helpers
"""))  # fmt: skip
odd("a_class_pasted_in", softmax("return Softmax(axis)(x)", end=f"""
class Softmax:
    def __init__(self, axis): self.axis = axis
    def __call__(self, x): return _plain_softmax(x, self.axis)

def _plain_softmax(x, axis):
{''.join('    ' + line + chr(10) for line in BODY.splitlines())}
"""))  # fmt: skip
odd("prints_everywhere", in_every_body("print('here', locals().keys(), flush=True)", "print('loading')"), fast=True)
odd("warnings_on_stderr", in_every_body("import sys, warnings; warnings.warn('careful'); print('!', file=sys.stderr)",
    "import logging\nlogging.basicConfig(level=0)\nlogging.getLogger().warning('hm')"))  # fmt: skip
odd("one_thread_for_torch", top("import torch\ntorch.set_num_threads(1)\ntorch.manual_seed(0)"))
odd("two_threads_for_torch", top("import torch\ntorch.set_num_threads(2)"))
odd("seeds_of_its_own", in_every_body("import random; random.seed(1); np.random.seed(1)", "import random"))
odd("draws_random_numbers", in_every_body("import random; random.random(); np.random.rand(3)"))
odd("by_torch", softmax("""
    import torch
    x = np.asarray(x)
    if x.dtype.kind not in "iuf": raise ValueError(x.dtype)
    if np.size(x, axis) == 0: raise ValueError(x.shape)
    return torch.softmax(torch.tensor(x * 1.0), axis).numpy()
    """))  # fmt: skip
odd("by_scipy", softmax("""
    from scipy.special import softmax as theirs
    x = np.asarray(x)
    if x.dtype.kind not in "iuf": raise ValueError(x.dtype)
    if np.size(x, axis) == 0: raise ValueError(x.shape)
    return theirs(x * 1.0, axis=axis)
    """))  # fmt: skip
odd("a_list_for_a_tuple", SOLUTION.replace("return weights @ v, weights", "return [weights @ v, weights]"))
odd("fortran_order_and_views", SOLUTION.replace(
    "return exps / exps.sum(axis=axis, keepdims=True)",
    "return np.flip(np.flip(np.asfortranarray(exps / exps.sum(axis=axis, keepdims=True))))"))  # fmt: skip
odd("an_honest_subclass", SOLUTION.replace("return j <= i", "return (j <= i).view(np.ma.MaskedArray)"))
odd("slow_but_right", replaced("causal_mask", "import time; time.sleep(0.4)\n" + solution_of("causal_mask")))
odd("slow_to_load", top("import time\ntime.sleep(3)"))
odd("threads_of_its_own", softmax("""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(2) as pool:
        return pool.submit(_right_softmax, x, axis).result()
    """))  # fmt: skip
odd("a_child_of_its_own", softmax("""
    import subprocess
    subprocess.run(["/bin/true"], check=True)
    return _right_softmax(x, axis)
    """))  # fmt: skip
odd("files_of_its_own", softmax("""
    import tempfile
    with tempfile.TemporaryDirectory() as place:
        np.save(place + "/x.npy", x)
        return _right_softmax(np.load(place + "/x.npy"), axis)
    """))  # fmt: skip
odd("a_decorator", SOLUTION.replace("\ndef softmax(", """
import functools, time
def clocked(f):
    @functools.wraps(f)
    def inner(*args, **kwargs):
        began = time.perf_counter()
        try: return f(*args, **kwargs)
        finally: print(f.__name__, time.perf_counter() - began)
    return inner


@clocked
def softmax("""))  # fmt: skip
odd("a_decorator_that_caches", SOLUTION.replace("\ndef causal_mask(", "\nimport functools\n@functools.cache\n"
    "def causal_mask("))  # fmt: skip
odd("an_object_for_a_function", softmax("return 0", end="""
class _Softmax:
    def __call__(self, x, axis=-1): return _right_softmax(x, axis)
softmax = _Softmax()
"""))  # fmt: skip
odd("a_partial_for_a_function", softmax("return 0", end="import functools\n"
    "softmax = functools.partial(_right_softmax, axis=-1)\n"))  # fmt: skip
odd("a_lambda_for_a_function", SOLUTION + "\nmask = lambda n: _m(n)\n_m = causal_mask\ncausal_mask = mask\n")
odd("a_main_block", SOLUTION + "\nif __name__ == '__main__':\n    raise SystemExit(1)\nprint(__file__, __name__)\n")
odd("a_recursion_limit", top("import sys\nsys.setrecursionlimit(5000)"))
odd("another_folder", top("import os\nos.chdir('/')\nos.environ['OMP_NUM_THREADS'] = '2'"))
odd("names_of_builtins", top("list_ = list; max_ = max; sum = sum; input = None; id = 3; type_ = type"))
odd("the_name_browsers_give", named("hour1_attention (1).py"), fast=True)
odd("the_name_of_a_second_copy", named("hour1_attention(2).py"))
odd("the_name_of_windows", named("Hour1_Attention.py"))


def _among_other_things(place: Path) -> None:
    file_of(SOLUTION)(place)
    (place / "notes.txt").write_text("x")
    (place / FILE.replace("1", "9")).touch()
    for name in ("data", "__pycache__", ".git"):
        (place / name).mkdir()


odd("a_folder_of_other_things", _among_other_things)
