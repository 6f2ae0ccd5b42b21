"""What strangers' files can do: end in one sentence, within 10 s and 1 GB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import NESTED_LIST, NESTED_TUPLE, PICKLES, record

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
from pathlib import Path
from videozoo.errors import VideozooError
try:
    exec(sys.argv[1])
except VideozooError as error:
    print(error)
    assert len(str(error)) < 2000
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, "MB")
    sys.exit(2)
"""


def limited(code: str, path: Path) -> str:
    """Runs code on a path with 1 GB of addresses and 10 s; it must end in a VideozooError."""
    words = [sys.executable, "-c", LIMITED, code, str(path)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, check=False, env=quiet()
    )
    assert done.returncode == 2, done.stdout[-500:] + done.stderr[-1000:]
    assert "MemoryError" not in done.stdout
    return done.stdout


def quiet() -> dict[str, str]:
    # each thread of OpenBLAS takes addresses of its own
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_that_would_grow_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(PICKLES[name])
    said = limited(
        "from videozoo.data.youtube8m.pickles import load_shard; load_shard(Path(sys.argv[2]))",
        path,
    )
    assert said.startswith(f"{path}: ")


@pytest.mark.parametrize("key", [b"label", b"video", b"nframes", b"feature", b"x"])
@pytest.mark.parametrize("value", [NESTED_LIST, NESTED_TUPLE])
def test_a_value_that_cannot_be_written_out_is_refused(
    key: bytes, value: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(record(key, value))
    code = """
from videozoo.data.youtube8m.dataset import YouTube8MDataset
data = YouTube8MDataset([Path(sys.argv[2])], feature_names=["rgb"], feature_dims=[8], num_classes=9)
data.read(0)
"""
    assert limited(code, path).startswith(f"{path}: ")


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", [NESTED_LIST, NESTED_TUPLE])
def test_a_clip_whose_parts_cannot_be_written_out_is_refused(
    place: int, value: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x.pkl"
    parts = [b"K\x01", b"X\x01\x00\x00\x00a", b"]"]
    parts[place] = value
    path.write_bytes(b"\x80\x04(" + b"".join(parts) + b"t.")
    code = "from videozoo.data.clips.clip_pickles import load_clip; load_clip(Path(sys.argv[2]))"
    assert limited(code, path).startswith(f"{path}: ")
