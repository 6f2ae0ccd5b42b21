"""What strangers' files can do: end in one sentence, within 10 s and 1 GB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import NESTED_LIST, NESTED_TUPLE, PICKLES, record, text

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


def test_values_that_cannot_be_written_out_are_refused(tmp_path: Path) -> None:
    for key in (b"label", b"video", b"nframes", b"feature", b"x"):
        for name, value in (("list", NESTED_LIST), ("tuple", NESTED_TUPLE)):
            (tmp_path / f"{key.decode()}-{name}.pkl").write_bytes(record(key, value))
    code = """
from videozoo.data.youtube8m.dataset import YouTube8MDataset
for path in sorted(Path(sys.argv[2]).iterdir()):
    data = YouTube8MDataset([path], feature_names=["rgb"], feature_dims=[8], num_classes=9)
    try:
        data.read(0)
    except VideozooError as error:
        assert str(error).startswith(f"{path}: record 0: "), error
        assert "damaged" not in str(error) and len(str(error)) < 1000
    else:
        raise AssertionError(path)
raise VideozooError("all refused")
"""
    assert limited(code, tmp_path).startswith("all refused")


def test_clips_whose_parts_cannot_be_written_out_are_refused(tmp_path: Path) -> None:
    for name, value in (("list", NESTED_LIST), ("tuple", NESTED_TUPLE)):
        for place in range(3):
            parts = [text(b"id"), b"K\x01", b"](" + text(b"x") + b"e"]
            parts[place] = value
            content = b"\x80\x04(" + b"".join(parts) + b"t."
            (tmp_path / f"{name}{place}.pkl").write_bytes(content)
    code = """
from videozoo.data.clips.clip_pickles import load_clip
for path in sorted(Path(sys.argv[2]).iterdir()):
    try:
        assert len(load_clip(path).video) <= 80 and path.stem[-1] == "0"
        continue  # a name is what it may be
    except VideozooError as error:
        assert "damaged" not in str(error) and len(str(error)) < 1000
raise VideozooError("all refused")
"""
    assert limited(code, tmp_path).startswith("all refused")
