"""From saving a file to the verdict: `deepdive watch` in a terminal of its own, beside a cold pytest.

    python benchmarks/watch.py 20 [softmax …]

For two exercises each of hours 1 to 3, one whose checks are light and one whose are not, in a copy of the course with
the solutions as answers. Every save changes the function, so nothing is reused. Time runs from before the file is
written until the line with the verdict has arrived from the terminal. The checks' own work is what the verdicts of
the same run say they took.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.course import load_course
from deepdive.verdict import Verdict

ROOT = Path(__file__).parent.parent
COLD = 5
# By exercise: its file, a line of the solution, and what makes it wrong.
EXERCISES = {
    "softmax": ("hour1_attention.py", "exps = np.exp(x - x.max(axis=axis, keepdims=True))", "exps = np.exp(x)"),
    "scaled_dot_product_attention": ("hour1_attention.py", "scores = ", "scores = 1.1 * "),
    "align_labels": ("hour2_tokenizers.py", "return labels", "return labels[::-1]"),
    "wordpiece": ("hour2_tokenizers.py", "return pieces", "return pieces[::-1]"),
    "count_parameters": (
        "hour3_models.py",
        'return {"total": total, "trainable": trainable',
        'return {"total": total, "trainable": total',
    ),
    "classify_by_hand": (
        "hour3_models.py",
        "probabilities = model(**batch).logits.softmax(dim=-1)",
        "probabilities = model(**batch).logits.sigmoid()",
    ),
}


def main(saves: int, names: Sequence[str]) -> None:
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {saves} saves, {COLD} cold runs; seconds, medians\n"
    )
    print(
        "| exercise | save to verdict | slowest | the checks' own work | beyond it: median, slowest | a cold pytest |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    memory = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for part in ("solutions", "checks", "conftest.py", "pyproject.toml"):
                (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, root / part)
            shutil.copytree(root / "solutions", root / "exercises")
            watch = Watch(root, name)
            seconds, own = zip(*(watch.save(number) for number in range(saves)), strict=True)
            wrong = [watch.save(saves + number, wrong=True)[0] for number in range(saves)]
            memory[name] = watch.memory()
            watch.end()
            cold = median(cold_run(root, name) for _ in range(COLD))
        beyond = [total - work for total, work in zip(seconds, own, strict=True)]
        print(
            f"| {name} | {median(seconds):.3f} | {max(seconds):.3f} | {median(own):.3f} | {median(beyond):.3f}, "
            f"{max(beyond):.3f} | {cold:.2f}: {cold / median(seconds):.0f}× |"
        )
        print(f"| a wrong one, diagnosed | {median(wrong):.3f} | {max(wrong):.3f} | | | |", flush=True)
    for name, (warm, watching) in memory.items():
        print(f"\n{name}: the warm process holds {warm:.0f} MB, the one that watches {watching:.0f} MB", end="")
    print()


class Watch:
    """`deepdive watch` on one exercise, warm."""

    def __init__(self, root: Path, name: str) -> None:
        file, self._line, self._wrong = EXERCISES[name]
        self._name, self._path = name, root / "exercises" / file
        self._solution = self._path.read_text(encoding="utf-8")
        self._kept = root / ".deepdive" / "verdicts.json"
        self._checks = len(load_course(root).exercise(name).checks)
        assert self._solution.count(self._line) >= 1
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(root)
            os.execv(sys.executable, [sys.executable, "-m", "deepdive", "watch", name])
        self._until(rf". {name} · ")
        self._rest()

    def save(self, number: int, *, wrong: bool = False) -> tuple[float, float]:
        """Change the function and save it: seconds until the verdict, and what its checks took."""
        before, line, after = self._solution.partition(self._line)
        indent = before.rpartition("\n")[2]
        text = f"{before}_ = {number}\n{indent}{self._wrong if wrong else line}{after}"
        begun = time.perf_counter()
        self._path.write_text(text, encoding="utf-8")
        self._until(rf"{'✗' if wrong else '✓'} {self._name} · ")
        seconds = time.perf_counter() - begun
        self._rest()
        verdicts = msgspec.json.decode(self._kept.read_bytes(), type=dict[str, Verdict]).values()
        own = [verdict.seconds for verdict in verdicts if verdict.exercise == self._name]
        return seconds, sum(own[-self._checks :])

    def memory(self) -> tuple[float, float]:
        """Resident megabytes of the warm process and of the one that watches."""
        (warm,) = children(self._pid)
        return resident(warm), resident(self._pid)

    def end(self) -> None:
        os.write(self._terminal, b"q")
        os.waitpid(self._pid, 0)
        os.close(self._terminal)
        self._path.write_text(self._solution, encoding="utf-8")

    def _until(self, pattern: str) -> None:
        printed, until = "", time.monotonic() + 120
        while not re.search(pattern, printed):
            if time.monotonic() > until:
                os.kill(self._pid, signal.SIGKILL)
                sys.exit(f"no {pattern!r} in {printed!r}")
            if select.select([self._terminal], [], [], 0.05)[0]:
                printed += os.read(self._terminal, 65536).decode("utf-8", "replace")

    def _rest(self) -> None:
        """Until nothing is printed any more and the processes are idle."""
        spent = -1.0
        while spent != (spent := sum(map(cpu, family(self._pid)))):
            until = time.monotonic() + 0.5
            while (left := until - time.monotonic()) > 0:
                if select.select([self._terminal], [], [], left)[0]:
                    os.read(self._terminal, 65536)


def cold_run(root: Path, name: str) -> float:
    """Seconds that plain pytest takes for the exercise's checks."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "--exercise", name, "--fresh"], cwd=root, check=True, capture_output=True
    )
    return time.perf_counter() - begun


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def family(pid: int) -> list[int]:
    """A process, its children and theirs."""
    try:
        return [pid, *(each for child in children(pid) for each in family(child))]
    except OSError:  # ended meanwhile
        return []


def cpu(pid: int) -> float:
    """Processor time of a process and of the children it has waited for, in tenths of a second."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return round(sum(map(int, fields[11:15])) / 10)


def resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:] or list(EXERCISES))
