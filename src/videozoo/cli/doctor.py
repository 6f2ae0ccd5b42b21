"""videozoo doctor: what is installed here, and what works."""

from __future__ import annotations

import importlib
import platform
import re
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import typer

from videozoo.distributed import usable_cores

FOR_DEVELOPERS = {"dev", "docs", "fuzz"}


def doctor() -> None:
    """Print versions, devices and decoders, and try what videozoo and its extras need.

    Exit code 1 where something that videozoo needs does not work.
    """
    from rich.table import Table
    from rich.text import Text

    from videozoo import __version__
    from videozoo.terminal import Terminal

    console = Terminal()
    broken = 0
    versions = Table(title=f"videozoo {__version__}, Python {platform.python_version()}")
    for column in ("library", "for", "version"):
        versions.add_column(column, overflow="fold")
    with console.status("importing libraries"):
        modules = _modules()
        for name, extra in _libraries().items():
            works, detail = _import(name, extra, modules.get(_plain(name), _plain(name)))
            broken += not works and not extra
            style = "" if works else "dim" if "not installed" in detail and extra else "red"
            versions.add_row(name, f"[{extra}]" if extra else "", Text(detail, style))
    console.print(versions)
    checks = Table(title=f"{platform.system()} {platform.machine()}, {usable_cores()} cores")
    for column in ("what", "works", "detail"):
        checks.add_column(column, overflow="fold")
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
        mark = Text("yes", "green") if works else Text("no", "red" if needed else "")
        checks.add_row(what, mark, detail)
    console.print(checks)
    if broken:
        console.print("something that videozoo needs does not work here", style="red")
        raise typer.Exit(1)
    console.print("all that videozoo needs works here")


def _libraries() -> dict[str, str]:
    """Returns what videozoo says that it needs: library -> extra, "" for what is always there."""
    try:
        lines = metadata.requires("videozoo") or []
    except metadata.PackageNotFoundError:  # a checkout that is on the path
        lines = []
    found: dict[str, str] = {}
    for line in lines:
        name, extra = re.findall(r"^([\w.-]+).*?(?:extra == .(\w+).)?$", line)[0]
        if extra not in FOR_DEVELOPERS:
            found.setdefault(name, extra)
    return found


def _modules() -> dict[str, str]:
    """Returns distribution -> the module to import, which need not have its name."""
    found: dict[str, str] = {}
    for module, names in metadata.packages_distributions().items():
        for name in map(_plain, names):
            if name not in found or module == name:
                found[name] = module
    return found


def _plain(name: str) -> str:
    """Returns a distribution's name as all its spellings have it in common."""
    return re.sub("[-_.]+", "_", name).lower()


def _import(name: str, extra: str, module: str) -> tuple[bool, str]:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        what = f"videozoo[{extra}]" if extra else name
        return False, f"not installed: pip install '{what}'"
    works, fault = _try(lambda: (bool(importlib.import_module(module)), ""))
    return works, version if works else f"{version} does not import: {fault}"


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
    return frames == 5, f"{decoder_version()}, FFmpeg {av.ffmpeg_version_info}"


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
