"""Answers run on one thread."""

import pytest

from tests.conftest import SOLUTION, Answers, Run

TELLING = 'import os\n    raise ValueError("threads: " + os.environ["OMP_NUM_THREADS"])'


def test_answers_run_on_one_thread_unless_the_environment_says_otherwise(
    run: Run, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    answers(SOLUTION.replace("return 2 * x", TELLING))
    assert "ValueError: threads: 1" in run("pytest").stdout
    assert "ValueError: threads: 4" in run("pytest", "--fresh", OMP_NUM_THREADS="4").stdout
