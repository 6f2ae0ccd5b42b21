"""The original library's script: same flags as `videozoo test`."""

from videozoo.cli.main import run_script

if __name__ == "__main__":
    run_script("test")
