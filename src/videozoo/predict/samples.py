"""Opens what a config or a command line names as samples."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from videozoo.config.clip_keys import ClipSettings
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import Settings
from videozoo.data.loader import SampleSource
from videozoo.errors import Faults, VideozooError
from videozoo.predict.views import protocol_views

if TYPE_CHECKING:
    from videozoo.data.clips.listing import ClipEntry


@dataclass(frozen=True)
class Samples:
    """A source of samples and the class names that came with it.

    Attributes:
        source: the samples.
        class_names: one a class; None where neither the data nor label_file names them.
    """

    source: SampleSource
    class_names: list[str] | None


def open_samples(
    settings: Settings,
    spec: str | Sequence[str],
    *,
    augment: bool = False,
    labelled: bool = True,
    class_names: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Opens a list file, folder, csv or glob; or several paths.

    Args:
        settings: of the mode that reads.
        spec: what to open; a sequence means videos or shards without labels.
        augment: draw frames, crops and flips (training).
        labelled: every sample needs a label.
        class_names: known from elsewhere, such as a checkpoint; label_file of the settings wins.
        progress: told how many shards are indexed, and of how many.

    Raises:
        VideozooError: something is missing, or the class names do not fit num_classes.
    """
    faults = Faults()
    names = list(class_names) if class_names is not None else None
    samples: Samples | None = None
    with faults.noting():
        if settings.labels is not None:
            names = read_label_file(settings.labels)
            check_class_names(names, settings)
    with faults.noting():
        if isinstance(settings, FeatureSettings):
            source = _feature_source(settings, spec, augment, labelled, progress)
            samples = Samples(source, names)
        else:
            assert isinstance(settings, ClipSettings)
            samples = _clip_samples(settings, spec, augment, labelled, names)
            check_class_names(samples.class_names, settings)
    faults.raise_if_any()
    assert samples is not None
    return samples


def check_class_names(
    names: Sequence[str] | None, settings: Settings, where: str | None = None
) -> None:
    """Checks that there is one name a class.

    Args:
        names: the class names; None: there are none to check.
        settings: say how many classes there are.
        where: where the names come from; None: the label_file of the settings, else the data.

    Raises:
        VideozooError: there are more or fewer names than num_classes.
    """
    if names is not None and len(names) != settings.num_classes:
        where = where or settings.labels or "the data"
        raise VideozooError(
            f"{where} names {len(names)} classes, but num_classes is {settings.num_classes};"
            f" give --set MODEL.num_classes={len(names)} or another label file"
        )


def read_label_file(path: str) -> list[str]:
    """Reads class names.

    Args:
        path: a text file with a name a line; a csv with the columns Index and Name (YouTube-8M's);
            or a .json, a list of names or an object of numbers by name (the original's Kinetics
            labels).

    Raises:
        VideozooError: the file is missing, is no text, or its indices are not 0, 1, 2, ...
    """
    import csv

    file = Path(path)
    if not file.is_file():
        raise VideozooError(f"label_file {path}: no such file")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise VideozooError(f"label_file {path}: is no text in UTF-8; save it as such") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise VideozooError(f"label_file {path}: is empty")
    if file.suffix.lower() == ".json":
        return _json_names(path, text)
    header = [column.strip().lower() for column in lines[0].split(",")]
    if not {"index", "name"} <= set(header):
        return lines
    names: dict[int, str] = {}
    for row in csv.DictReader(text.splitlines()):
        cells = {str(key).strip().lower(): value for key, value in row.items()}
        try:
            index = int(cells["index"])
        except (TypeError, ValueError):
            raise VideozooError(
                f"label_file {path}: index '{cells['index']}' is no number"
            ) from None
        if index in names:
            raise VideozooError(f"label_file {path}: index {index} stands in it twice")
        names[index] = cells["name"] or f"class {index}"
    return _in_order(path, names)


def _json_names(path: str, text: str) -> list[str]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise VideozooError(f"label_file {path}: is no JSON: {error}") from None
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    if not isinstance(content, dict):
        raise VideozooError(f"label_file {path}: is neither a list of names nor numbers by name")
    names: dict[int, str] = {}
    for key, value in content.items():
        # Both {"abseiling": 0} and {"0": "abseiling"} are in use.
        name, number = (value, key) if isinstance(value, str) and key.isdigit() else (key, value)
        if isinstance(number, bool) or not str(number).isdigit() or int(number) in names:
            raise VideozooError(f"label_file {path}: '{key}' has no number of its own")
        names[int(number)] = str(name)
    return _in_order(path, names)


def _in_order(path: str, names: dict[int, str]) -> list[str]:
    if sorted(names) != list(range(len(names))):
        raise VideozooError(f"label_file {path}: the indices are not 0 to {len(names) - 1}")
    return [names[i] for i in range(len(names))]


def _feature_source(
    settings: FeatureSettings,
    spec: str | Sequence[str],
    augment: bool,
    labelled: bool,
    progress: Callable[[int, int], None] | None,
) -> SampleSource:
    from videozoo.data.youtube8m.frames import sample_cluster_frames, sample_kept_frames
    from videozoo.data.youtube8m.shards import list_shards
    from videozoo.data.youtube8m.source import YouTube8MSource

    shards = list_shards(spec) if isinstance(spec, str) else _each_once(spec, list_shards)
    frames = None
    if settings.frames_sampled is not None:
        frames = partial(sample_cluster_frames, seg_num=settings.frames_sampled)
    if augment and settings.frame_drop:
        frames = partial(sample_kept_frames, drop=settings.frame_drop, frames=frames)
    return YouTube8MSource(
        shards,
        feature_names=settings.feature_names,
        feature_dims=settings.feature_dims,
        num_classes=settings.num_classes,
        frames=frames,
        labelled=labelled,
        progress=progress,
    )


def _clip_samples(
    settings: ClipSettings,
    spec: str | Sequence[str],
    augment: bool,
    labelled: bool,
    names: list[str] | None,
) -> Samples:
    from videozoo.data.clips.files import expand_paths
    from videozoo.data.clips.listing import ClipEntry, read_listing
    from videozoo.data.clips.source import ClipSource

    if isinstance(spec, str):
        folder = Path(settings.video_folder) if settings.video_folder else None
        listing = read_listing(
            spec,
            class_names=names,
            video_folder=folder,
            labelled=labelled,
            multi_label=settings.multi_label,
        )
        entries, names = listing.entries, names or listing.class_names
        _check_labels(entries, settings.num_classes, spec)
    else:
        found = _each_once(spec, lambda path: expand_paths([path]))
        entries = [ClipEntry(path, None, str(path)) for path in found]
    source = ClipSource(
        entries,
        num_classes=settings.num_classes,
        seg_num=settings.seg_num,
        seglen=settings.seglen,
        frame_interval=settings.frame_interval,
        short_size=settings.short_size,
        target_size=settings.target_size,
        resize=settings.resize,
        augment=augment,
        flip=settings.flip,
        random_resized_crop=settings.random_resized_crop,
        scale_jitter=settings.scale_jitter,
        resize_with=settings.resize_with,
        labelled=labelled,
        multi_label=settings.multi_label,
        views=None if augment else protocol_views(settings),
    )
    return Samples(source, names)


def _each_once(paths: Sequence[str], find: Callable[[str], list[Path]]) -> list[Path]:
    """Returns the files that several paths lead to, each once.

    Raises:
        VideozooError: names every path that leads to nothing.
    """
    faults = Faults()
    found: dict[Path, None] = {}
    for path in paths:
        with faults.noting():
            found.update(dict.fromkeys(find(path)))
    faults.raise_if_any()
    return list(found)


def _check_labels(entries: Sequence[ClipEntry], num_classes: int, spec: str) -> None:
    every = [entry.labels or (() if entry.label is None else (entry.label,)) for entry in entries]
    smallest = min((label for labels in every for label in labels), default=0)
    for entry, labels in zip(entries, every, strict=True):
        for label in labels:
            if not 0 <= label < num_classes:
                hint = "; it looks 1-based" if smallest == 1 and label == num_classes else ""
                raise VideozooError(
                    f"{spec}: label {label} of {entry.video} is out of range"
                    f" 0..{num_classes - 1}{hint}; check the list and num_classes"
                )
