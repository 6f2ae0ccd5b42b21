"""The peers of encoders.py: stages of the road, and engines for the same network.

Each has two threads; what videozoo's commands settle for themselves is settled for all.
"""

from __future__ import annotations

import logging
import multiprocessing
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from models_peers import THREADS, two_threads, two_torch_threads
from turns import Bench

BATCH, SIDE = 32, 224
FRAMES = 8  # of each video


@dataclass(frozen=True)
class StageWork:
    """Videos of which FRAMES frames each are described."""

    videos: tuple[Path, ...]


@dataclass(frozen=True)
class EngineWork:
    """How often a batch is encoded in a round."""

    passes: int


def made_pixels() -> np.ndarray:
    """Returns uint8 [BATCH, 3, SIDE, SIDE] of coarse colours."""
    coarse = np.random.default_rng(0).integers(0, 256, (BATCH, 3, 14, 14), dtype=np.uint8)
    return coarse.repeat(SIDE // 14, axis=2).repeat(SIDE // 14, axis=3)


class TorchEngine(Bench):
    """videozoo's encoder, or the network as it is written.

    Args:
        precision: "32" or "bf16".
        engine: "torch" or "openvino", as the encoder names them, or "written".
    """

    def __init__(self, precision: str, engine: str) -> None:
        two_torch_threads()
        import torch

        from videozoo.encoders import lite0_encoder
        from videozoo.encoders.efficientnet_lite0 import load_efficientnet_lite0

        self.pixels = torch.from_numpy(made_pixels())
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        if engine == "written":
            rows = lite0_encoder.FrameRows(load_efficientnet_lite0()[0].to(dtype), dtype)
            self.encode = torch.inference_mode()(rows)
        else:
            encoder = lite0_encoder.EfficientNetLite0Encoder(torch.device("cpu"), precision, engine)
            self.encode = lambda pixels: encoder(pixels[:, None])

    def run(self, case: EngineWork) -> None:
        for _ in range(case.passes):
            self.rows = self.encode(self.pixels)[0]

    def check(self, case: EngineWork) -> np.ndarray:
        self.run(case)
        return self.rows.float().numpy()


class OpenVino(Bench):
    """OpenVINO as its first page shows it: the whole batch in one request.

    Args:
        precision: "32", or "bf16": its default hint where the processor has bfloat16.
    """

    def __init__(self, precision: str) -> None:
        two_threads()
        import openvino
        import torch

        from videozoo.encoders.efficientnet_lite0 import load_efficientnet_lite0
        from videozoo.encoders.lite0_encoder import FrameRows

        self.pixels = made_pixels()
        shape = list(self.pixels.shape)
        model = openvino.convert_model(
            FrameRows(load_efficientnet_lite0()[0], torch.float32),
            example_input=torch.from_numpy(self.pixels),
            input=[(shape, openvino.Type.u8)],
        )
        hints = {"INFERENCE_NUM_THREADS": THREADS}
        if precision == "32":
            hints["INFERENCE_PRECISION_HINT"] = "f32"
        self.request = openvino.Core().compile_model(model, "CPU", hints).create_infer_request()

    def run(self, case: EngineWork) -> None:
        for _ in range(case.passes):
            self.request.infer([self.pixels])

    def check(self, case: EngineWork) -> np.ndarray:
        self.run(case)
        return self.request.get_output_tensor(0).data.copy()


def write_onnx(path: Path) -> None:
    """Writes the network for ONNX Runtime, in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=_write_onnx, args=(path,))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the network could not be written for ONNX Runtime")


def _write_onnx(path: Path) -> None:
    import torch

    from videozoo.encoders.efficientnet_lite0 import load_efficientnet_lite0
    from videozoo.encoders.lite0_encoder import FrameRows

    rows = FrameRows(load_efficientnet_lite0()[0], torch.float32).eval()
    pixels = torch.from_numpy(made_pixels())
    logging.disable(logging.WARNING)  # of torchvision, which is not used
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            rows, (pixels,), str(path), dynamo=True, input_names=["pixels"], verbose=False
        )


class Onnx(Bench):
    """ONNX Runtime with all graph optimisations; PyTorch is not loaded beside it."""

    def __init__(self, path: Path) -> None:
        two_threads()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.pixels = made_pixels()

    def run(self, case: EngineWork) -> None:
        for _ in range(case.passes):
            self.rows = self.session.run(None, {"pixels": self.pixels})[0]

    def check(self, case: EngineWork) -> np.ndarray:
        self.run(case)
        return self.rows


class Stage(Bench):
    """A part of the road from video files to rows, on two threads.

    Args:
        stage: "decode", "decode and resize", "encode", "one after the other": all of it, or
            "both at once": decoding beside encoding, as commands do it.
    """

    def __init__(self, stage: str) -> None:
        two_torch_threads()
        import torch

        from videozoo.encoders import lite0_encoder

        self.stage, self.cache = stage, {}
        self.encoder = lite0_encoder.EfficientNetLite0Encoder(torch.device("cpu"))

    def run(self, case: StageWork) -> None:
        from concurrent.futures import ThreadPoolExecutor

        if self.stage == "both at once":
            self.at_once(case)
            return
        if self.stage == "encode":
            frames = [self.cache.get(path) for path in case.videos]
            if frames[0] is None:
                frames = [self.read(path) for path in case.videos]
                self.cache = dict(zip(case.videos, frames, strict=True))
        else:
            with ThreadPoolExecutor(THREADS) as pool:
                frames = list(pool.map(self.read, case.videos))
        if self.stage in ("encode", "one after the other"):
            self.encode(np.concatenate(frames))

    def at_once(self, case: StageWork) -> None:
        """Gives the videos to what encodes them for commands; nothing is kept."""
        from videozoo.data.clips.clip_list import ClipEntry
        from videozoo.encoders.engine import Encoding
        from videozoo.encoders.find import recipe_of
        from videozoo.encoders.recipe import Sampling
        from videozoo.encoders.row_store import RowStore

        sampling = Sampling(rate=30, most=FRAMES, spread=True, sound=False)
        recipe = recipe_of(self.encoder, sampling)
        encoding = Encoding(recipe, lambda: self.encoder, RowStore(None), THREADS)
        entries = [ClipEntry(path, None, str(path)) for path in case.videos]
        for encoded in encoding(entries):
            assert len(encoded.rows["rgb"])  # FRAMES where a video has as many

    def read(self, path: Path) -> np.ndarray:
        """Returns FRAMES frames, evenly spread; "decode" leaves them as large as they are."""
        from videozoo.data.framing import Crop
        from videozoo.video.reader import read_clip

        framing = self.encoder.framing
        keeps = self.stage == "decode"
        return read_clip(
            path,
            lambda count: (np.arange(FRAMES) * count // FRAMES).astype(np.int64),
            resize=(lambda width, height: (width, height)) if keeps else framing.resize,
            crop=Crop(16) if keeps else framing.cut,
        )

    def encode(self, frames: np.ndarray) -> None:
        import torch

        for part in torch.split(torch.from_numpy(frames), self.encoder.batch):
            self.encoder(part[:, None])

    def check(self, case: StageWork) -> int:
        return FRAMES * len(case.videos)
