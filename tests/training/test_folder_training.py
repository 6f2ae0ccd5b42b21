from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from videos import write_video
from videozoo.cli.main import main
from videozoo.config import load_experiment
from videozoo.errors import VideozooError
from videozoo.specs import find_spec
from videozoo.training import folder as folder_plan
from videozoo.training.folder import choose_settings, prepare_folder, resnet_at_hand
from videozoo.training.split import split_folder


def write_classes(folder: Path, videos: int) -> Path:
    """Writes clips of two classes, which differ in their size."""
    for name, size in (("tall one", (48, 64)), ("wide", (64, 48))):
        (folder / name).mkdir(parents=True)
        for i in range(videos):
            write_video(folder / name / f"{name} {i}.mp4", 6 + i, size=size)
    return folder


def test_what_is_decided_is_written_down(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "videos", 3)
    said: list[str] = []
    experiment = prepare_folder(
        folder,
        model_name=None,
        config=None,
        overrides=["TRAIN.epoch=3"],
        flags={("TRAIN", "batch_size"): (2, "--batch-size")},
        save_dir=tmp_path / "save",
        say=said.append,
    )
    assert experiment.model == "STNET"
    assert (experiment["TRAIN"].epoch, experiment["TRAIN"].batch_size) == (3, 2)
    assert (tmp_path / "save" / "labels.txt").read_text() == "tall one\nwide\n"
    lines = (tmp_path / "save" / "train.list").read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        path, label = line.rsplit(" ", 1)
        assert Path(path).is_file()
        assert Path(path).parent.name == ["tall one", "wide"][int(label)]
    again = load_experiment(find_spec("STNET").keys, str(tmp_path / "save" / "STNET_config.txt"))
    assert again.as_dict() == experiment.as_dict()
    assert (experiment["TRAIN"].schedule, experiment["TRAIN"].pretrain_base) == ("cosine", "none")
    assert "2 classes, 4 videos to train and 2 to validate" in said[0]


def test_frames_of_a_segment_are_spread_over_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            write_video(tmp_path / name / f"{name}{i}.mp4", 140 + i, size=(32, 32))
    split = split_folder(tmp_path, seed=0)
    stnet = choose_settings(split, model="STNET", gpu=False)["MODEL"]
    assert (stnet["seg_num"], stnet["seglen"], stnet["frame_interval"]) == (7, 5, 4)
    assert choose_settings(split, model="TSN", gpu=False)["MODEL"]["frame_interval"] == 1


def test_a_resnet_that_is_at_hand_is_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resnet_at_hand(18) is None
    monkeypatch.setattr(folder_plan.store, "pulled", lambda published: tmp_path / published.name)
    assert resnet_at_hand(18) == "resnet18"
    split = split_folder(write_classes(tmp_path / "videos", 3), seed=0)
    values = choose_settings(split, model="TSN", gpu=False)
    assert values["TRAIN"]["pretrain_base"] == "resnet18"


def test_feature_models_take_no_folder_of_videos(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="takes rows of features, not frames; leave"):
        prepare_folder(
            tmp_path,
            model_name="nextvlad",
            config=None,
            overrides=(),
            flags={},
            save_dir=tmp_path / "save",
            say=print,
        )
    assert not (tmp_path / "save").exists()


def run_command(line: list[str]) -> None:
    """Runs the command line, which ends by SystemExit."""
    with pytest.raises(SystemExit) as end:
        main(line)
    assert end.value.code in (0, None), line


@pytest.mark.slow
def test_train_a_folder_then_infer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "my videos", 6)
    run_command(
        ["train", "my videos", "--end-to-end", "--epoch-num", "1", "--use-gpu", "False", "--set",
         "MODEL.num_workers=0"]
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "2 classes, 10 videos to train and 2 to validate" in said
    assert "epoch 1/1  validation on 2 videos: top1" in said
    assert "\nreport: checkpoints/STNET_report.html\n" in said
    page = Path("checkpoints/STNET_report.html").read_text()
    assert page.count("data:image/jpeg") > 2
    assert "polyline" in page
    assert "STNET: 2 of 2 v" in said.split("checkpoint:")[1]  # the table of test
    (printed,) = re.findall(r"^ +(videozoo infer .*NEW_VIDEO\.mp4)$", said, flags=re.MULTILINE)

    shutil.copyfile(tmp_path / "my videos" / "wide" / "wide 0.mp4", tmp_path / "NEW_VIDEO.mp4")
    run_command([*shlex.split(printed)[1:], "--use-gpu", "False"])
    named = capsys.readouterr().out
    assert "NEW_VIDEO.mp4" in named
    assert "tall one" in named
    assert "wide" in named
