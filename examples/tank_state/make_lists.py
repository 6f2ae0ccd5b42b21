"""Writes train.list, val.list and labels.txt for the clips of wagon-state-sibur (MIT).

python examples/tank_state/make_lists.py PATH_OF_THE_DATA_SET/data dataset/tank_state

PATH/train holds one folder a class, PATH/train_val_split the published split.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path


def main() -> None:
    """Writes the three files."""
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    names = sorted(folder.name for folder in (source / "train").iterdir() if folder.is_dir())
    target.mkdir(parents=True, exist_ok=True)
    (target / "labels.txt").write_text("".join(f"{name}\n" for name in names))
    for side in ("train", "val"):
        with (source / "train_val_split" / f"{side}_data.csv").open(newline="") as file:
            rows = [(row["label"], Path(row["fname"]).stem) for row in csv.DictReader(file)]
        lines = [f"{source / 'train' / n / stem}.mp4 {names.index(n)}\n" for n, stem in rows]
        (target / f"{side}.list").write_text("".join(lines))
        print(f"{side}: {len(lines)} clips")


if __name__ == "__main__":
    main()
