"""The clips of a list as samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from videozoo.data.augment import draw_crop
from videozoo.data.batch import ClipBatch
from videozoo.data.clips.clip_files import PICKLE_SUFFIXES
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.clips.clip_pickles import load_clip
from videozoo.data.collate import Empty, collate_clips, empty_array
from videozoo.data.dataset import VideoDataset
from videozoo.data.framing import Crop, Views, resized_size
from videozoo.data.sample import ClipSample, Int64Array, label_fault
from videozoo.data.sampling import segment_frames
from videozoo.errors import SampleError, VideozooError
from videozoo.video.chosen_frames import by_count
from videozoo.video.geometry import Cut
from videozoo.video.reader import FramePlan, find_damage, read_timed_clip


class ClipDataset(VideoDataset):
    """Videos and Kinetics pickles, by number, in the order of the list.

    Args:
        entries: the files and their labels.
        num_classes: K; labels must lie in 0..K-1.
        seg_num: T, the segments that a video is cut into.
        seglen: frames taken of each segment.
        frame_interval: distance of a segment's frames, see `segment_frames`.
        short_size: pixels that a frame's short side is resized to.
        target_size: pixels of the sides of the square crop.
        resize: what becomes of the other side, see `resized_size`.
        augment: draw the frames, the crop and a flip at random; otherwise all are the middle.
        flip: let augment mirror half of the clips.
        random_resized_crop: areas of the crops that augment draws, see `draw_crop`.
        scale_jitter: scales of the crops that augment draws, see `draw_crop`.
        resize_with: for video files, see `read_clip`.
        labelled: give labels; False leaves them out unchecked, as infer has no use for them.
        multi_label: a clip may have many classes.
        views: what is scored of each clip where nothing is augmented; None: the middle.
    """

    def __init__(
        self,
        entries: Sequence[ClipEntry],
        *,
        num_classes: int,
        seg_num: int,
        seglen: int,
        short_size: int,
        target_size: int,
        frame_interval: int = 1,
        resize: str = "4:3",
        augment: bool = False,
        flip: bool = True,
        random_resized_crop: Sequence[float] | None = None,
        scale_jitter: Sequence[float] | None = None,
        resize_with: str = "swscale",
        labelled: bool = True,
        multi_label: bool = False,
        views: Views | None = None,
    ) -> None:
        self.entries = entries
        self.num_classes = num_classes
        self.seg_num = seg_num
        self.seglen = seglen
        self.frame_interval = frame_interval
        self.short_size = short_size
        self.target_size = target_size
        self.resize: str = resize
        self.augment = augment
        self.draw_crop = partial(
            draw_crop, size=target_size, flip=flip, areas=random_resized_crop, scales=scale_jitter
        )
        self.resize_with = resize_with
        self.labelled = labelled
        self.multi_label = multi_label
        self.views = None if augment else views

    def __len__(self) -> int:
        """Returns how many clips are listed."""
        return len(self.entries)

    def name(self, index: int) -> str:
        """Returns what a clip is called in reports: its path as listed."""
        return self.entries[index].video

    def file(self, index: int) -> Path:
        """Returns the file of a clip."""
        return self.entries[index].path

    def read(self, index: int, rng: np.random.Generator | None = None) -> ClipSample:
        """Reads one clip.

        Args:
            index: its place in the list.
            rng: draws frames, crop and flip where this data set augments; None takes the middle.

        Returns:
            The sample; its clip is uint8 [T, seglen * 3, target_size, target_size], or with `views`
            whole frames that they are to be cut out of.

        Raises:
            SampleError: the file cannot be read.
            VideozooError: its label is out of range: num_classes is wrong, or the labels are.
        """
        entry = self.entries[index]
        draw = rng if self.augment else None
        pickled = load_clip(entry.path) if self._is_pickle(entry) else None
        listed = entry.labels if entry.labels is not None or not pickled else pickled.labels
        labels = self._checked(listed, entry) if self.labelled else None
        plan = self._plan(draw)
        damage = None
        try:
            if pickled is not None:
                choose = partial(self.choose_frames, rng=draw)
                frames = pickled.read_clip(choose, resize=plan.resize, crop=plan.crop)
            else:
                # [T*seglen, 3, H, W]
                frames, _, damage = read_timed_clip(entry.path, **vars(plan))
        except SampleError as error:
            raise error.at(entry.path) from error
        clip = frames.reshape(self.seg_num, -1, *frames.shape[2:])  # [T, seglen*3, H, W]
        video = pickled.video if pickled else entry.video
        return ClipSample(video, clip, labels, None if damage is None else str(damage))

    def frame_plan(self, index: int) -> FramePlan | None:
        """Returns which frames of a clip's file are seen; None: it is a pickle."""
        return None if self._is_pickle(self.entries[index]) else self._plan(None)

    def _plan(self, rng: np.random.Generator | None) -> FramePlan:
        return FramePlan(
            by_count(partial(self.choose_frames, rng=rng)),
            resize=partial(resized_size, short_size=self.short_size, rule=self.resize),
            crop=self.crop if rng is None else self.draw_crop(rng),
            resize_with=self.resize_with,
            square_pixels=self.resize == "aspect",
        )

    def damage(self, index: int) -> str | None:
        """Decodes a whole video for what is missing of it, see VideoDataset.damage."""
        self.read(index, None)
        entry = self.entries[index]
        damage = None if self._is_pickle(entry) else find_damage(entry.path)
        return None if damage is None else str(damage)

    @staticmethod
    def _is_pickle(entry: ClipEntry) -> bool:
        return entry.path.suffix.lower() in PICKLE_SUFFIXES

    def classes(self, index: int) -> tuple[int, ...]:
        """Returns the classes of a clip, without decoding it; none where none is known.

        Raises:
            SampleError: only its pickle would tell, and that cannot be read.
            VideozooError: one is out of range.
        """
        entry = self.entries[index]
        labels = entry.labels
        if labels is None and self._is_pickle(entry):
            labels = load_clip(entry.path).labels
        return self._checked(labels, entry) or ()

    def listed_classes(self, index: int) -> tuple[int, ...] | None:
        """Returns the classes of a clip as its list names them; None: it does not."""
        return self.entries[index].labels

    def _checked(self, labels: tuple[int, ...] | None, entry: ClipEntry) -> tuple[int, ...] | None:
        if fault := label_fault(labels or (), self.num_classes):
            raise VideozooError(f"{entry.video}: {fault}")
        return labels

    @property
    def crop(self) -> Cut:
        """What is kept of each frame where nothing is augmented."""
        return Crop(self.target_size) if self.views is None else self.views

    def choose_frames(self, n: int, rng: np.random.Generator | None) -> Int64Array:
        """Returns which of n frames a clip is made of, [T, seglen], see `segment_frames`."""
        return segment_frames(
            n,
            seg_num=self.seg_num,
            seglen=self.seglen,
            frame_interval=self.frame_interval,
            rng=rng,
        )

    def placeholder(self) -> ClipSample:
        """Returns a black clip without a label, for a batch in which no sample can be read."""
        side = self.target_size if self.views is None else self.views.size
        zeros = np.zeros((self.seg_num, self.seglen * 3, side, side), dtype=np.uint8)
        return ClipSample("", zeros, None)

    def collate(
        self,
        samples: Iterable[ClipSample],
        *,
        indices: Sequence[int] | None = None,
        empty: Empty = empty_array,
    ) -> ClipBatch:
        """Makes a batch of samples, see `collate_clips`."""
        return collate_clips(
            samples,
            multi_label=self.num_classes if self.multi_label else None,
            views=self.views,
            empty=empty,
        )
