"""`python -m deepdive.cli`."""

from deepdive.cli import main

if __name__ == "__main__":
    main()
