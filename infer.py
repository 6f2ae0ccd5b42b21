"""The original library's script: same flags as `videozoo infer`."""

from videozoo.cli.main import run_script

if __name__ == "__main__":
    run_script("infer")
