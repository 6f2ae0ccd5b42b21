"""Writes train.list, val.list and labels.txt for the clips of wagon-state-sibur (MIT).

python examples/tank_state/make_lists.py PATH_OF_THE_DATA_SET/data dataset/tank_state

PATH/train holds one folder a class, PATH/train_val_split the published split. A clip to train on
that is also there to validate is left out; its file may differ, as long as the video in it does
not.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import Counter
from pathlib import Path

import av


def identity_of(path: Path) -> str:
    """Returns the SHA-256 of a file's encoded video, without what the container adds."""
    found = hashlib.sha256()
    with av.open(path) as container:
        for packet in container.demux(video=0):
            found.update(bytes(packet))
    return found.hexdigest()


def main() -> None:
    """Writes the three files."""
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    names = sorted(folder.name for folder in (source / "train").iterdir() if folder.is_dir())
    target.mkdir(parents=True, exist_ok=True)
    (target / "labels.txt").write_text("".join(f"{name}\n" for name in names))
    elsewhere: set[str] = set()  # contents of the clips to validate
    for side in ("val", "train"):
        with (source / "train_val_split" / f"{side}_data.csv").open(newline="") as file:
            rows = [(row["label"], Path(row["fname"]).stem) for row in csv.DictReader(file)]
        clips = [(f"{name}/{stem}.mp4", names.index(name)) for name, stem in rows]
        contents = [identity_of(source / "train" / clip) for clip, _ in clips]
        kept = [clip for clip, same in zip(clips, contents, strict=True) if same not in elsewhere]
        lines = [f"{source / 'train' / clip} {label}\n" for clip, label in kept]
        (target / f"{side}.list").write_text("".join(lines))
        text = "".join(f"{clip} {label}\n" for clip, label in kept)
        copies = sum(count - 1 for count in Counter(contents).values())
        print(
            f"{side}: {len(kept)} clips, {copies} of them copies of another one;"
            f" {len(clips) - len(kept)} left out that are on the other side; SHA-256 of names and"
            f" labels {hashlib.sha256(text.encode()).hexdigest()[:16]}"
        )
        elsewhere = set(contents)


if __name__ == "__main__":
    main()
