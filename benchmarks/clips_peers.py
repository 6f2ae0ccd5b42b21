"""The peers of clips.py, each as its own users would write it for speed, on one thread.

Every peer opens a file, finds out its number of frames the way its users do, picks the frames of
the test protocol and gives one contiguous uint8 clip [T, seglen * 3, 224, 224]. Peers are told
the size that frames must be resized to; videozoo finds it out by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from turns import Bench

from videozoo.data.sampling import segment_frames

SHORT, CROP = 256, 224
Answer = tuple[np.ndarray, int]  # a clip, and how many frames the file is believed to have


@dataclass(frozen=True)
class Video:
    """A file, and the width and height that its frames are resized to."""

    path: str
    width: int
    height: int


@dataclass(frozen=True)
class Work:
    """Videos read one after another; clips of `seg_num` times `seglen` frames."""

    videos: tuple[Video, ...]
    seg_num: int
    seglen: int
    checked: int = 4  # videos whose clips are compared

    def wanted(self, n: int) -> list[int]:
        """Returns the frames of a video of n frames."""
        frames = segment_frames(n, seg_num=self.seg_num, seglen=self.seglen, rng=None)
        return [int(i) for i in frames.ravel()]


class Clips(Bench):
    """A peer that gives a clip and a number of frames."""

    def read(self, video: Video, work: Work) -> Answer:
        raise NotImplementedError

    def run(self, case: Work) -> None:
        for video in case.videos:
            self.read(video, case)

    def check(self, case: Work) -> list[Answer]:
        answers = [self.read(video, case) for video in case.videos[: case.checked]]
        shape = (case.seg_num, case.seglen * 3, CROP, CROP)
        for clip, _ in answers:
            if clip.shape != shape or clip.dtype != np.uint8 or not clip.flags.c_contiguous:
                raise TypeError(f"a clip is {clip.dtype} {clip.shape}, not uint8 {shape}")
        return answers


def stacked(frames: Sequence[np.ndarray], work: Work) -> np.ndarray:
    """Crops the middle out of RGB frames [H, W, 3] and puts them into a clip."""
    height, width = frames[0].shape[:2]
    top, left = round((height - CROP) / 2), round((width - CROP) / 2)
    clip = np.empty((len(frames), 3, CROP, CROP), dtype=np.uint8)
    for place, frame in zip(clip, frames, strict=True):
        place[:] = frame[top : top + CROP, left : left + CROP].transpose(2, 0, 1)
    return clip.reshape(work.seg_num, work.seglen * 3, CROP, CROP)  # [T, seglen*3, H, W]


class Videozoo(Clips):
    """Ours, as test and infer use it."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)

    def read(self, video: Video, work: Work) -> Answer:
        from videozoo.video.reader import probe_video

        return self._source([video], work).read(0, None).clip, probe_video(Path(video.path)).frames

    def run(self, case: Work) -> None:
        source = self._source(case.videos, case)
        for i in range(len(source)):
            source.read(i, None)

    def _source(self, videos: Sequence[Video], work: Work) -> Any:
        from videozoo.data.clips.clip_list import ClipEntry
        from videozoo.data.clips.dataset import ClipDataset

        return ClipDataset(
            [ClipEntry(Path(video.path), (0,), video.path) for video in videos],
            num_classes=1,
            seg_num=work.seg_num,
            seglen=work.seglen,
            short_size=SHORT,
            target_size=CROP,
        )


class OpenCV(Clips):
    """VideoCapture: reads every frame, as the original library does.

    With `grab` the number of frames is asked of the header, frames that are not wanted are decoded
    but not converted, and nothing is decoded behind the last wanted one.
    """

    def __init__(self, grab: bool) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._cv2, self._grab = cv2, grab

    def read(self, video: Video, work: Work) -> Answer:
        cv2 = self._cv2
        capture = cv2.VideoCapture(video.path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if self._grab:
            n = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            frames = self._grabbed(capture, set(work.wanted(n)))
        else:
            frames = {}
            while (answer := capture.read())[0]:
                frames[len(frames)] = answer[1]
            n = len(frames)
        wanted = work.wanted(n)
        images = {i: self._image(frames[i], video) for i in set(wanted)}
        return stacked([images[i] for i in wanted], work), n

    def _grabbed(self, capture: Any, wanted: set[int]) -> dict[int, np.ndarray]:
        frames = {}
        for i in range(max(wanted) + 1):
            if not capture.grab():
                raise OSError(f"frame {i} cannot be read, the header promised it")
            if i in wanted:
                frames[i] = capture.retrieve()[1]
        return frames

    def _image(self, frame: np.ndarray, video: Video) -> np.ndarray:
        size = (video.width, video.height)
        if (frame.shape[1], frame.shape[0]) != size:
            frame = self._cv2.resize(frame, size, interpolation=self._cv2.INTER_LINEAR)
        return self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)


class Decord(Clips):
    """VideoReader.get_batch; its decoder resizes."""

    def __init__(self) -> None:
        import decord

        self._decord = decord

    def read(self, video: Video, work: Work) -> Answer:
        cpu = self._decord.cpu(0)
        size = {"width": video.width, "height": video.height}
        reader = self._decord.VideoReader(video.path, ctx=cpu, num_threads=1, **size)
        n = len(reader)
        return stacked(reader.get_batch(work.wanted(n)).asnumpy(), work), n


class TorchCodec(Clips):
    """VideoDecoder.get_frames_at.

    `seek_mode` exact walks through the file's packets first, approximate believes the header. With
    `native` the decoder resizes and crops; otherwise torch resizes the wanted frames.
    """

    def __init__(self, seek_mode: str, native: bool) -> None:
        import torch
        from torchcodec.decoders import VideoDecoder
        from torchcodec.transforms import CenterCrop, Resize

        torch.set_num_threads(1)
        self._torch, self._decoder, self._native = torch, VideoDecoder, native
        self._seek_mode, self._resize, self._crop = seek_mode, Resize, CenterCrop

    def read(self, video: Video, work: Work) -> Answer:
        size = (video.height, video.width)
        native = [self._resize(size), self._crop((CROP, CROP))] if self._native else None
        decoder = self._decoder(
            video.path, seek_mode=self._seek_mode, num_ffmpeg_threads=1, transforms=native
        )
        n = len(decoder)
        frames = decoder.get_frames_at(work.wanted(n)).data  # [T*seglen, 3, H, W]
        if not self._native:
            if frames.shape[2:] != size:
                frames = self._torch.nn.functional.interpolate(
                    frames, size=size, mode="bilinear", antialias=True
                )  # [T*seglen, 3, height, width]
            top, left = round((size[0] - CROP) / 2), round((size[1] - CROP) / 2)
            frames = frames[:, :, top : top + CROP, left : left + CROP]
        clip = np.ascontiguousarray(frames.numpy())  # decoders give colours last, in disguise
        return clip.reshape(work.seg_num, work.seglen * 3, CROP, CROP), n


class PyAV(Clips):
    """container.decode: all frames, of which the wanted ones are resized and converted in one step.

    With `header` the number of frames is asked of the header and nothing is decoded behind the last
    wanted one.
    """

    def __init__(self, header: bool) -> None:
        import av

        self._av, self._header = av, header

    def read(self, video: Video, work: Work) -> Answer:
        with self._av.open(video.path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            n, frames = stream.frames, {}
            last = max(work.wanted(n)) if self._header else None
            for i, frame in enumerate(container.decode(stream)):
                frames[i] = frame
                if i == last:
                    break
        if not self._header:
            n = len(frames)
        wanted = work.wanted(n)
        images = {i: self._image(frames[i], video) for i in set(wanted)}
        return stacked([images[i] for i in wanted], work), n

    def _image(self, frame: Any, video: Video) -> np.ndarray:
        small = frame.reformat(video.width, video.height, "rgb24", interpolation="BILINEAR")
        return small.to_ndarray()
