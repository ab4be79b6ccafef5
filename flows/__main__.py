"""`python -m flows` is `flanmoe`."""

from flows.cli import main

if __name__ == "__main__":
    main()
