"""The original library's script: same flags as `videozoo train`."""

from videozoo.cli.main import run_script

if __name__ == "__main__":
    run_script("train")
