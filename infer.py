"""The original library's door: same flags as `videozoo infer`."""

from videozoo.cli.main import door

if __name__ == "__main__":
    door("infer")
