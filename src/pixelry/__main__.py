"""`python -m pixelry`."""

from pixelry.cli import main

if __name__ == "__main__":
    main()
