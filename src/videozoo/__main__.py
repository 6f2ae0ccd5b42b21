"""`python -m videozoo` is the command `videozoo`."""

from videozoo.cli.main import main

if __name__ == "__main__":
    main()
