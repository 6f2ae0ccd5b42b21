"""`videozoo train FOLDER`: rows of a pretrained encoder, a head chosen by cross-validation."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import av
import numpy as np
import pytest

import videozoo
from cli.commands import Command, Outcome, command
from videozoo.checkpoints.native import load_native, read_native_header
from videozoo.config import load_experiment
from videozoo.specs import find_spec

__all__ = ["command"]

CLASSES = {"left": -3, "right": 3}


def write_moving(path: Path, *, step: int, seed: int, frames: int = 20) -> None:
    """Writes a square that moves sideways over noise of its own: what is seen is no help."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 120, (64, 96, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height = 96, 64
        stream.codec_context.thread_count = 1
        top = int(rng.integers(5, 40))
        for number in range(frames):
            image = ground.copy()
            across = 40 + step * (number - frames // 2)
            image[top : top + 18, across : across + 18] = 230
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        file.mux(stream.encode(None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("moving")
    for number, (name, step) in enumerate(CLASSES.items()):
        for i in range(8):
            write_moving(place / "videos" / name / f"{chr(97 + i)}x.mp4", step=step,
                         seed=10 * i + number)  # fmt: skip
    (place / "videos" / "left" / "broken.mp4").write_text("no video")
    return place


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@pytest.fixture
def train(
    command: Command, folder: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Runs `videozoo train videos MORE` in a folder of its own; rows are computed once."""
    monkeypatch.setenv("VIDEOZOO_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").symlink_to(folder / "videos")

    def run(*more: object) -> Outcome:
        return command("train", "videos", "--set", "MODEL.use_gpu=False", *more)

    return run


@pytest.mark.slow
def test_a_folder_becomes_a_classifier(train: Command, command: Command) -> None:
    done = train("--head", "linear")
    assert done.code == 0, done.err
    assert "efficientnet_lite0 describes 20 frames of each video\n" in done.out
    assert re.search(r"LINEAR +[01]\.\d+ \+- [01]\.\d+  \(\d folds", done.out)
    assert "1 training samples could not be read" in done.out or "unreadable: 1" in done.out
    assert "by class, the worst first" in done.out
    weights = Path("checkpoints/LINEAR_best.safetensors")
    header = read_native_header(weights)
    assert header.labels == ["left", "right"]
    assert header.recipe is not None
    assert header.recipe["encoder"] == "efficientnet_lite0"
    assert "calibration.temperature" in load_native(weights).extra
    assert "\nreport: checkpoints/LINEAR_report.html\n" in done.out
    assert "data:image/jpeg" in Path("checkpoints/LINEAR_report.html").read_text()
    result = json.loads(Path("checkpoints/LINEAR_test_result.json").read_text())
    assert result["macro_f1"] == 1.0  # though only the direction tells them apart
    (printed,) = re.findall(r"^ +(videozoo infer .*) NEW_VIDEO\.mp4$", done.out, re.MULTILINE)
    write_moving(Path("new.mp4"), step=3, seed=99)
    named = command(*shlex.split(printed)[1:], "new.mp4", "--reject", 0.4)
    assert named.code == 0, named.err
    assert "new.mp4: right" in named.out
    by_hand = videozoo.load(weights, use_gpu=False)("new.mp4", top_k=1)
    assert by_hand[0]["label"] == "right"


@pytest.mark.slow
def test_what_was_decided_is_written_down(train: Command) -> None:
    assert train("--head", "LINEAR", "--set", "MODEL.motion=False", "--save-dir", "out").code == 0
    config = load_experiment(find_spec("LINEAR").keys, "out/LINEAR_config.txt")
    settings = config["TRAIN"]
    assert settings.feature_names == ["rgb", "quarters"]
    assert (settings.encoder, settings.spread_rows, settings.motion) == (
        "efficientnet_lite0", True, False,
    )  # fmt: skip
    assert Path(str(settings.filelist)).read_text().count("mp4") >= 12
    assert "videozoo train videos --head LINEAR" in Path("out/LINEAR_config.txt").read_text()
    again = train("--head", "LINEAR", "--set", "MODEL.motion=False", "--save-dir", "again")
    assert again.code == 0
    one, two = (load_native(f"{n}/LINEAR_best.safetensors") for n in ("out", "again"))
    assert all(two.state_dict[key].equal(value) for key, value in one.state_dict.items())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--epoch-num", 3], "--epoch-num: only train FOLDER --end-to-end, or a training"),
        (["--pretrain", "x", "--batch-size", 2], "--batch-size, --pretrain: only train FOLDER"),
        (["--end-to-end", "--encoder", "resnet18"], "--encoder: only train FOLDER without"),
        (["--model-name", "TSN", "--no-cache"], "--no-cache: only train FOLDER without"),
        (["--set", "TRAIN.epoch=3"], "--set epoch: only train FOLDER --end-to-end"),
        (["--head", "nextvlat"], "--head nextvlat: is none of LINEAR"),
        (["--encoder", "resnet19"], "resnet19: there is no such encoder"),
        (["--encoder", "nothing.pth"], "nothing.pth: there is no such encoder"),
        (["--group-by", "("], "--group-by ("),
    ],
)
def test_what_only_the_other_way_reads_is_refused(
    train: Command, more: list[object], said: str
) -> None:
    done = train(*more)
    assert done.code == 2
    assert said in done.err
    assert not Path("checkpoints/LINEAR_best.safetensors").exists()


def test_options_of_folders_need_a_folder(command: Command) -> None:
    done = command("train", "--model-name", "TSN", "--encoder", "resnet18")
    assert done.code == 2
    assert "--encoder: only train FOLDER reads this" in done.err
