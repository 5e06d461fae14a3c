"""Record a failing and a passing check for the README, from real runs: python docs/recording.py

Writes `docs/softmax.svg`: softmax as people first write it, and mended, in a copy of the course with hour 1 alone, so
that its board is short. Nothing in it is made up; only the font that rich's SVG would fetch from the network is left
out.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from deepdive.build import build
from deepdive.course import load_course

ROOT = Path(__file__).parent.parent
HOUR = "hour1_attention"
OTHERS = ("conftest.py", "pyproject.toml")
WIDTH = 80
STUB = "    raise NotImplementedError\n"
FIRST = "    exps = np.exp(x)\n    return exps / exps.sum(axis=axis, keepdims=True)\n"
MENDED = """    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"softmax takes integers or floats, got dtype {x.dtype}")
    if np.size(x, axis) == 0:
        raise ValueError(f"softmax needs at least one logit along axis {axis}, got shape {x.shape}")
    x = x * 1.0
    exps = np.exp(x - x.max(axis=axis, keepdims=True))
    return exps / exps.sum(axis=axis, keepdims=True)
"""


def main() -> None:
    """Write the recording."""
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"))  # noqa: SIM115 - it ends with us
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in (f"solutions/{HOUR}.py", f"checks/test_{HOUR}.py", f"checks/mistakes/{HOUR}.py", *OTHERS):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        build(load_course(root), root / "exercises")
        path = root / "exercises" / f"{HOUR}.py"
        stub = path.read_text(encoding="utf-8")
        for body in (FIRST, MENDED):
            path.write_text(stub.replace(STUB, body, 1), encoding="utf-8")
            console.print("$ deepdive check softmax", style="bold")
            console.print(Text.from_ansi(_run(root)))
            console.print()
    # The stylesheet names a font on the network; a page that shows the picture should need nothing but it.
    svg = console.export_svg(title="softmax, at first and mended", theme=MONOKAI, unique_id="softmax")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (ROOT / "docs" / "softmax.svg").write_text(svg, encoding="utf-8")


def _run(root: Path) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "deepdive.cli", "check", "softmax"]
    environment = os.environ | {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)
    return ran.stdout.rstrip()


if __name__ == "__main__":
    main()
