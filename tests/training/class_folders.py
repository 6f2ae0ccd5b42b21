"""Folders of files that stand for videos."""

from __future__ import annotations

from pathlib import Path

from videozoo.training.split import Split


def make_files(folder: Path, contents: dict[str, list[str]]) -> Path:
    """Writes one sub-folder a class; a file's content decides whether it is another's copy."""
    for name, texts in contents.items():
        (folder / name).mkdir(parents=True)
        for i, text in enumerate(texts):
            (folder / name / f"{Path(name).name}{i}.mp4").write_text(text)
    return folder


def different(count: int, start: int = 0) -> list[str]:
    return [f"content {i:04d}" for i in range(start, start + count)]


def make_named(folder: Path, classes: dict[str, list[str]]) -> Path:
    """Writes files of different content under these names below their classes' folders."""
    for name, files in classes.items():
        for file in files:
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(path))
    return folder


def sides(split: Split) -> tuple[set[str], set[str]]:
    return {e.path.name for e in split.train}, {e.path.name for e in split.valid}
