"""A model that was trained on rows of videos takes videos, and scores them as their rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import videozoo
from cli.commands import Run, run
from tiny import FEATURE_SIZES, World, clip_world, write_list
from toy_encoder import ToyEncoder
from videozoo.checkpoints.native import load_native, read_native_header
from videozoo.encoders import find
from videozoo.errors import VideozooError
from videozoo.training import folder_encoder

__all__ = ["run"]

MODELS = ("AttentionCluster", "AttentionLSTM", "NEXTVLAD")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toy = ToyEncoder()
    for module in (find, folder_encoder):
        monkeypatch.setattr(module, "open_encoder", lambda name, device: toy)
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clips(tmp_path: Path) -> World:
    return clip_world(tmp_path)


def train(run: Run, model: str, save_dir: str, train_list: object, *more: str) -> Path:
    sizes = FEATURE_SIZES[model]
    if model == "NEXTVLAD":
        sizes = [*sizes, "groups=1", "eigen_file=None"]
    if model == "AttentionCluster":
        sizes = ["seg_num=5", "cluster_nums=[3]", "hidden_sizes=[12, 10]"]
    keys = ["feature_num=1", "feature_names=['rgb']", "feature_dims=[6]", "num_classes=3", *sizes]
    run(
        "train", "--model-name", model, "--epoch-num", 2, "--batch-size", 8, "--use-gpu", "false",
        *[f"--set=MODEL.{key}" for key in [*keys, "num_workers=0", *more]],
        f"--set=TRAIN.filelist={train_list}", f"--set=VALID.filelist={train_list}",
        "--save-dir", save_dir,
    )  # fmt: skip
    return Path(save_dir) / f"{model}_best.safetensors"


RECIPE = ("encoder=toy", "rows_per_second=5", "sound=False")


@pytest.mark.parametrize("model", MODELS)
def test_videos_score_as_their_shards_do(run: Run, clips: World, model: str) -> None:
    run("prepare", "features", "rows", clips.listing, "--encoder", "toy", "--rate", 5, "--no-sound")
    weights = train(run, model, "trained", "rows/clips.list")
    shards = videozoo.infer("rows/clips.list", weights)
    videos = videozoo.infer([str(path) for path in clips.files], weights)
    by_hand = videozoo.load(weights, use_gpu=False).predict(clips.files)
    assert [r.video for r in videos] == [str(path) for path in clips.files]
    for one, other, third in zip(shards, videos, by_hand, strict=True):
        assert [p.index for p in one.predictions] == [p.index for p in other.predictions]
        for a, b, c in zip(one.predictions, other.predictions, third.predictions, strict=True):
            assert abs(a.score - b.score) <= 1e-5
            assert abs(a.score - c.score) <= 1e-5
    on_shards = videozoo.test(weights, filelist="rows/clips.list")
    on_videos = videozoo.test(weights, filelist=clips.listing)
    assert on_videos.metrics == pytest.approx(on_shards.metrics, abs=1e-5)


def test_training_on_videos_is_training_on_their_rows(run: Run, clips: World) -> None:
    run("prepare", "features", "rows", clips.listing, "--encoder", "toy", "--rate", 5, "--no-sound")
    from_shards = load_native(
        train(run, "AttentionLSTM", "one", "rows/clips.list", "drop_rate=0.0")
    )
    from_videos = load_native(
        train(run, "AttentionLSTM", "two", clips.listing, *RECIPE, "drop_rate=0.0")
    )
    for key, value in from_shards.state_dict.items():
        torch.testing.assert_close(from_videos.state_dict[key], value, rtol=1e-4, atol=1e-6)
    assert from_videos.recipe == from_shards.recipe
    assert from_videos.extra.keys() == from_shards.extra.keys()


def test_the_recipe_rides_in_the_checkpoint(run: Run, clips: World) -> None:
    weights = train(run, "AttentionLSTM", "trained", clips.listing, *RECIPE)
    recipe = read_native_header(weights).recipe
    assert recipe is not None
    assert recipe["encoder"] == "toy"
    assert recipe["sha256"] == ToyEncoder.sha256
    assert recipe["sampling"] == {
        "rate": 5.0,
        "most": 300,
        "spread": False,
        "sound": False,
        "motion": False,
    }
    assert set(load_native(weights).extra) >= {"recipe.scale.rgb.centre", "recipe.scale.rgb.reach"}
    for file in Path("home").rglob("*.safetensors"):
        file.unlink()
    again = videozoo.load(weights, use_gpu=False)
    assert len(again.predict(clips.files)) == 5


def test_another_encoder_of_that_name_is_refused(
    run: Run, clips: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = train(run, "AttentionLSTM", "trained", clips.listing, *RECIPE)
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(ToyEncoder, "sha256", "1" * 64)
    with pytest.raises(VideozooError, match="encoder toy has other weights than those"):
        videozoo.infer([str(clips.files[0])], weights)


def test_a_model_of_other_rows_says_what_it_needs(run: Run, clips: World) -> None:
    sentence = "takes records of features .* train a model that takes videos: videozoo train FOLDER"
    run("prepare", "features", "rows", clips.listing, "--encoder", "toy", "--rate", 5, "--no-sound")
    Path("rows/features.json").unlink()
    weights = train(run, "AttentionLSTM", "trained", "rows/clips.list")
    for given in (clips.files[0], clips.folder, clips.listing):
        with pytest.raises(VideozooError, match=sentence):
            videozoo.infer([str(given)] if given != clips.listing else None, weights,
                           filelist=given if given == clips.listing else None)  # fmt: skip


def test_an_encoder_that_gives_something_else(run: Run, clips: World) -> None:
    said = run(
        "train", "--model-name", "AttentionLSTM", "--set=MODEL.encoder=toy",
        f"--set=TRAIN.filelist={clips.listing}", "--set=MODEL.num_classes=3", code=2,
    )  # fmt: skip
    assert "ask for rgb (1024), the encoder toy gives rgb (6), lower (3), audio (64)" in said


def test_a_video_that_cannot_be_read_is_listed(run: Run, clips: World) -> None:
    weights = train(run, "AttentionLSTM", "trained", clips.listing, *RECIPE)
    Path("bad.mp4").write_text("no video")
    listing = write_list(Path("some.list"), ["bad.mp4 0", f"{clips.files[0]} 1"])
    found = videozoo.test(weights, filelist=listing)
    assert (found.listed, found.evaluated) == (2, 1)
    assert "bad.mp4" in found.unreadable[0].reason


def test_records_are_made_as_a_models_own_rows_are(run: Run, clips: World) -> None:
    for number, path in enumerate(clips.files):
        folder = Path("videos", "ab"[number % 2])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).symlink_to(path.absolute())
    run("train", "videos", "--encoder", "toy", "--head", "LINEAR", "--save-dir", "trained")
    weights = Path("trained/LINEAR_best.safetensors")
    said = run(
        "prepare", "features", "own", clips.listing, "--encoder", weights, "--rate", 2, code=2
    )
    assert "--rate: trained/LINEAR_best.safetensors says this itself; leave it out" in said
    run("prepare", "features", "own", clips.listing, "--encoder", weights)
    shards = videozoo.infer("own/clips.list", weights)
    videos = videozoo.infer([str(path) for path in clips.files], weights)
    for one, other in zip(shards, videos, strict=True):
        for a, b in zip(one.predictions, other.predictions, strict=True):
            assert abs(a.score - b.score) <= 1e-5


def test_records_of_another_recipe_are_refused(run: Run, clips: World) -> None:
    weights = train(run, "AttentionLSTM", "trained", clips.listing, *RECIPE)
    half = write_list(Path("half.list"), clips.listing.read_text().splitlines()[:2])
    how = ["--encoder", "toy", "--no-sound"]
    run("prepare", "features", "slow", clips.listing, *how, "--rate", 1)
    run("prepare", "features", "scale", half, *how, "--rate", 5)
    for listing, names in (("slow/clips.list", "rate and scale"), ("scale/half.list", "scale")):
        with pytest.raises(VideozooError, match=f"made with another {names} than those"):
            videozoo.test(weights, filelist=listing)


def test_keys_that_the_checkpoint_answers_are_refused(run: Run, clips: World) -> None:
    weights = train(run, "AttentionLSTM", "trained", clips.listing, *RECIPE)
    said = run("test", "--weights", weights, "--set=TEST.max_rows=1", code=2)
    assert "--set TEST.max_rows: the weights say how videos become their rows" in said
