"""The demo: makes small videos, trains all five models on them, tests, draws what came out.

python examples/demo/run.py --folder demo --seed 0

`make demo` runs this with both as they stand here.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from videozoo.distributed import settle_process


def main() -> None:
    """Runs the demo as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=Path("demo"), help="where data, checkpoints and pictures go"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of data and training")
    given = parser.parse_args()
    if given.seed < 0:
        parser.error("--seed: must be 0 or more")
    # rows of the demo's videos go where it can be thrown away
    os.environ.setdefault("VIDEOZOO_HOME", str(given.folder.absolute() / "home"))
    settle_process()  # before torch, which the steps import
    from rich.console import Console

    from demo_steps import run_demo

    run_demo(given.folder, seed=given.seed, console=Console())


if __name__ == "__main__":
    main()
