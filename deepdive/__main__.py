"""`deepdive`, and `python -m deepdive`. Until the command itself runs, Ctrl-C ends the process without a word."""

import signal


def main() -> None:
    """Import the command, which takes a while, and run it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from deepdive.cli import main as run

    run()


if __name__ == "__main__":
    main()
