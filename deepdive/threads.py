"""One thread for answers, wherever they run.

The models of the exercises are small. Of two threads one waits for the other, and on a machine with other work that
takes far longer than the sums: a training of hour 3 needed ten times the processor time. One thread also adds up in
the same order everywhere, so that a learner's run and a graded run see the same digits.
"""

from __future__ import annotations

import os

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def use_one_thread() -> None:
    """Let libraries that are still to be imported use one thread, but for what the environment says already."""
    for name, count in ONE_THREAD.items():
        os.environ.setdefault(name, count)
