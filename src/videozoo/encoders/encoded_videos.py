"""Videos as samples of rows: each is encoded once, before the first is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from videozoo.data.batch import FeatureBatch
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.collate import Empty, collate_features, empty_array
from videozoo.data.dataset import Report, VideoDataset
from videozoo.data.sample import FeatureSample, Int64Array
from videozoo.distributed import gathered, process_place, usable_cores
from videozoo.encoders.engine import Encoding
from videozoo.encoders.find import computed_by, encoder_of
from videozoo.encoders.quantiser import fit_scale
from videozoo.encoders.recipe import Recipe
from videozoo.encoders.row_clock import RowClock
from videozoo.encoders.row_store import KeptRows, Rows, RowStore, rows_folder
from videozoo.errors import SampleError, VideozooError
from videozoo.video.frame_times import FrameTimes
from videozoo.video.reader import FramePlan

ChooseRows = Callable[[int, np.random.Generator | None], Int64Array]


class EncodedVideos(VideoDataset):
    """The videos of a list as rows of features, in one byte a value like YouTube-8M's records.

    Args:
        entries: the videos.
        recipe: how they become rows; where it has no scale, `fit_scale` gives it one.
        feature_names: the modalities that are wanted, of those that the recipe has.
        num_classes: K.
        multi_label: a video may have many classes.
        rows: picks the indices of the wanted rows, given their number and a random generator (None
            in test); None takes all.
        cached: keep rows for other runs; False: for this object alone.
        threads: that read videos ahead of the encoder; None: the cores.

    Attributes:
        draws: whether `read` draws from the generator that it is given.
        kept_before: of the videos that were prepared last, how many had rows already.
    """

    kept_before = 0

    def __init__(
        self,
        entries: Sequence[ClipEntry],
        *,
        recipe: Recipe,
        feature_names: Sequence[str],
        num_classes: int,
        multi_label: bool = True,
        rows: ChooseRows | None = None,
        cached: bool = True,
        threads: int | None = None,
    ) -> None:
        self.recipe = recipe
        self.feature_names = tuple(feature_names)
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.draws = rows is not None
        self._rows = rows
        self._cached = cached
        self._threads = threads or usable_cores()
        self._entries = list(entries)
        self._store: RowStore | None = None
        self._found: dict[int, str | SampleError] = {}  # what a video's rows are kept by

    def __len__(self) -> int:
        """Returns the number of listed videos."""
        return len(self._entries)

    def name(self, index: int) -> str:
        """Returns the path of a video as it was listed."""
        return self._entries[index].video

    def path(self, index: int) -> Path:
        """Returns the file of a video."""
        return self._entries[index].path

    def file(self, index: int) -> Path:
        """Returns the file of a video."""
        return self.path(index)

    def frame_plan(self, index: int) -> FramePlan:
        """Returns which frames of a video the encoder sees for the rows that `read` gives."""
        sampling, framing = self.recipe.sampling, self.recipe.framing

        def choose(times: FrameTimes) -> Int64Array:
            clock = RowClock.of(
                times, rate=sampling.rate, most=sampling.most, spread=sampling.spread
            )
            moments = clock.moments(self.recipe.window)  # [n, window]
            return times.on_screen(
                moments if self._rows is None else moments[self._rows(clock.count, None)]
            )

        return FramePlan(
            choose,
            resize=framing.resize,
            crop=framing.cut,
            resize_with=framing.resize_with,
            resample=framing.resample,
            square_pixels=framing.square_pixels,
        )

    def classes(self, index: int) -> tuple[int, ...]:
        """Returns the classes of a video, which the list names."""
        return self._entries[index].labels or ()

    def listed_classes(self, index: int) -> tuple[int, ...] | None:
        """Returns the classes of a video as its list names them; None: it does not."""
        return self._entries[index].labels

    def prepare(
        self,
        device: torch.device,
        report: Report | None = None,
        indices: Sequence[int] | None = None,
    ) -> None:
        """Encodes the videos whose rows are not kept yet; several processes share them.

        Raises:
            VideozooError: the encoder cannot be opened, or rows cannot be kept.
        """
        rank, world = process_place()
        folder = rows_folder() / self.recipe.key(computed_by(device)) if self._cached else None
        self._store = RowStore(folder)
        encoding = Encoding(
            self.recipe, partial(encoder_of, self.recipe, device), self._store, self._threads
        )
        self.kept_before = 0
        wanted = range(len(self)) if indices is None else indices
        mine = wanted[rank::world] if self._cached else wanted
        self._encode(encoding, mine, len(wanted), report)
        for share in gathered({i: c for i, c in self._found.items() if isinstance(c, str)}):
            self._found.update(share)
        self._encode(encoding, [i for i in wanted if not self._is_here(i)], 0)

    def _is_here(self, index: int) -> bool:
        """Says whether a video is known to be unreadable, or its rows lie on this machine."""
        assert self._store is not None
        found = self._found.get(index)
        return isinstance(found, SampleError) or (found is not None and self._store.has(found))

    def _encode(
        self, encoding: Encoding, indices: Sequence[int], total: int, report: Report | None = None
    ) -> None:
        entries, all_kept = [self._entries[index] for index in indices], True
        for done, (index, encoded) in enumerate(zip(indices, encoding(entries), strict=True), 1):
            rows = encoded.rows
            self._found[index] = rows if isinstance(rows, SampleError) else encoded.content
            self.kept_before += encoded.kept
            all_kept = all_kept and encoded.kept
            if report is not None and not all_kept:  # of what is there already nobody need be told
                report(done * total // len(indices), total)

    def subset(
        self, indices: Sequence[int], entries: Sequence[ClipEntry] | None = None
    ) -> EncodedVideos:
        """Returns some of the videos as a data set that is prepared as this one is.

        Args:
            indices: of the videos.
            entries: what a list says of each; None: what this one's says.
        """
        part = copy(self)
        part._entries = list(entries or [self._entries[index] for index in indices])
        part._found = {k: self._found[i] for k, i in enumerate(indices) if i in self._found}
        return part

    def fit_scale(self) -> None:
        """Fits the scale on which rows become bytes, where the recipe has none.

        Raises:
            VideozooError: no video can be read.
        """
        if self.recipe.scale:
            return
        faults = [fault for fault in self._found.values() if isinstance(fault, SampleError)]
        if len(faults) == len(self):
            raise VideozooError(
                f"not one of {len(self)} videos to train on can be read; the first fault:"
                f" {faults[0]}"
            )
        readable = (i for i, found in self._found.items() if isinstance(found, str))
        self.recipe = self.recipe.scaled(fit_scale(map(self.stored, readable)))

    def stored(self, index: int) -> Rows:
        """Returns the rows of a video as the encoder gave them, float16 [n, D] by modality.

        Raises:
            SampleError: the video cannot be read.
        """
        return self._kept(index).rows

    def _kept(self, index: int) -> KeptRows:
        assert self._store is not None, "prepare comes first"
        found = self._found[index]
        if isinstance(found, SampleError):
            raise found
        kept = self._store.get(found)
        if kept is None:
            reason = f"its rows are gone from {self._store.folder}; run the same command again"
            raise SampleError(reason, path=self._entries[index].path)
        return kept

    def read(self, index: int, rng: np.random.Generator | None = None) -> FeatureSample:
        """Reads a video.

        Args:
            index: 0 to len(self) - 1.
            rng: given to `rows`.

        Raises:
            SampleError: it could not be decoded.
        """
        kept, entry = self._kept(index), self._entries[index]
        sample = self.sample(kept.rows, entry.video, labels=entry.labels, rng=rng)
        return replace(sample, damage=kept.damage)

    def sample(
        self,
        stored: Rows,
        video: str,
        *,
        labels: Sequence[int] | None = None,
        rng: np.random.Generator | None = None,
    ) -> FeatureSample:
        """Makes a sample of rows.

        Args:
            stored: as the encoder gave them, float16 [n, D] by modality.
            video: what it is called.
            labels: its classes; None: not known.
            rng: given to `rows`.

        Raises:
            VideozooError: their scale is not known.
        """
        if not self.recipe.scale:
            raise VideozooError(
                f"{video}: the weights were not trained on rows of videos, so the scale of"
                " its rows is not known; give records of features, or train on videos"
            )
        features = [
            self.recipe.scale[name](stored[name].astype(np.float32)) for name in self.feature_names
        ]
        if self._rows is not None:
            chosen = self._rows(len(features[0]), rng)
            features = [feature[chosen] for feature in features]
        classes = None if labels is None else np.array(labels, dtype=np.int64)
        return FeatureSample(video=video, features=tuple(features), labels=classes)

    def placeholder(self) -> FeatureSample:
        """Returns a video of one row of zeros, for a process that has none."""
        widths = (self.recipe.dims[name] for name in self.feature_names)
        zeros = tuple(np.zeros((1, width), dtype=np.uint8) for width in widths)
        return FeatureSample(video="", features=zeros, labels=None)

    def collate(
        self,
        samples: Iterable[FeatureSample],
        *,
        indices: Sequence[int] | None = None,
        empty: Empty = empty_array,
    ) -> FeatureBatch:
        """Pads samples to the longest of them: features uint8 [B, L, D_m]."""
        return collate_features(
            samples,
            num_classes=self.num_classes,
            multi_label=self.multi_label,
            count=None if indices is None else len(indices),
            empty=empty,
        )
