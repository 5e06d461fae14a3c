"""deepdive: a self-grading exercise kit that teaches NLP with the Hugging Face libraries in six hours.

A check needs three names:

    from deepdive.pytest_plugin import exercise
    from deepdive.expect import expect
    from deepdive.diagnose import mistake       (in checks/mistakes/ only)
"""

__version__ = "0.1.0"


def load_ipython_extension(shell: object) -> None:
    """`%load_ext deepdive` in a notebook: see `deepdive.bench.magics`."""
    from deepdive.bench.magics import load

    load(shell)
