"""The original library's door: same flags as `videozoo train`."""

from videozoo.cli.main import door

if __name__ == "__main__":
    door("train")
