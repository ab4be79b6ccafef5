"""Entry point of `python -m flows`, the same as `flanmoe`."""

from flows.cli import main

if __name__ == "__main__":
    main()
