"""The examples of programs without PyTorch name videos as videozoo does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import videozoo
from sounds import tone, write_sound
from tiny import World, feature_world
from toy_encoder import ToyEncoder
from videos import write_video
from videozoo.answers import Result
from videozoo.classifier import build_classifier, save_weights
from videozoo.config.experiment import load_experiment
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.encoders import find
from videozoo.encoders.encoded_videos import EncodedVideos
from videozoo.encoders.recipe import Recipe, Sampling
from videozoo.specs import find_spec

CPU = torch.device("cpu")
EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ["hum", "jump", "run"]
BLOCKED = """
import json, runpy, sys
sys.modules.update({"torch": None, "videozoo": None})
sys.argv = sys.argv[1:]
found = runpy.run_path(sys.argv[0], run_name="__main__")
print(json.dumps(found["scores"].tolist()))
"""


def run(example: str, model: Path, video: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, EXAMPLES / example, model, video]
    return subprocess.run(command, capture_output=True, text=True)


def check(example: str, model: Path, video: Path, result: Result) -> None:
    done = run(example, model, video)
    assert done.returncode == 0, done.stderr
    *lines, scores = done.stdout.splitlines()
    best = sorted(json.loads(scores), reverse=True)
    assert best == pytest.approx([p.score for p in result.predictions], rel=0, abs=1e-4)
    assert [line.split("  ")[1] for line in lines] == [p.label for p in result.predictions]


def test_a_tsn_names_videos_without_pytorch(clip_data: World, tmp_path: Path) -> None:
    (file,) = videozoo.export(clip_data.weights, out=tmp_path / "TSN.onnx")
    results = videozoo.infer([str(f) for f in clip_data.files], weights=clip_data.weights)
    for video, result in zip(clip_data.files, results, strict=True):
        check("onnx_alone.py", file.path, video, result)


class ToyNetwork(nn.Module):
    """What the toy encoder computes, as a graph."""

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        values = frames[:, 0].float() / 255  # [n, 3, 12, 16]
        means = [values.mean(dim=(2, 3)), values.std(dim=(2, 3))]
        return torch.cat(means, dim=1), values[:, :, 6:].mean(dim=(2, 3))


class ExportedToy(ToyEncoder):
    def network(self) -> nn.Module:
        return ToyNetwork()


def model_of_rows(model: str, keys: str, recipe: Recipe, folder: Path) -> Path:
    """Writes weights that nobody trained, for the modalities that a model takes."""
    taken = {n: d for n, d in recipe.dims.items() if model == "LINEAR" or n in ("rgb", "audio")}
    config = folder / "model.txt"
    config.write_text(
        f'[MODEL]\nname = "{model}"\nfeature_names = {list(taken)}\n{keys}\n'
        f"feature_dims = {list(taken.values())}\nnum_classes = 3\nuse_gpu = False\n"
        "num_workers = 0\nmulti_label = False\ncache_rows = False\n"
    )
    experiment = load_experiment(find_spec(model).keys, str(config))
    torch.manual_seed(3)
    classifier = build_classifier(experiment["INFER"])
    classifier.recipe = recipe
    save_weights(folder / "M.safetensors", classifier, experiment, NAMES)
    return folder / "M.safetensors"


@pytest.mark.parametrize(
    ("model", "keys", "sampling"),
    [
        ("LINEAR", "", Sampling(rate=10.0, most=12, spread=True, motion=True)),
        pytest.param("LINEAR", "", Sampling(rate=4.0, sound=False), marks=pytest.mark.slow),
        pytest.param(
            "AttentionCluster",
            "seg_num = 5\ncluster_nums = [3, 2]\nhidden_sizes = [8, 8]",
            Sampling(rate=10.0, most=12, spread=True, motion=True),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_model_of_rows_names_videos_without_pytorch(
    model: str, keys: str, sampling: Sampling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = ExportedToy()
    monkeypatch.setattr(find, "open_encoder", lambda name, device: toy)
    long, later = range(3, 28), [0, 1, 2, 5, 6, 9, 15]
    videos = [
        write_sound(tmp_path / "a.mp4", (0.0, tone(440, 3.0)), codec="aac", pictures=long),
        write_sound(tmp_path / "b.mkv", (0.3, tone(2000, 0.4)), pictures=later),
        write_video(tmp_path / "silent.mp4", 40),
        write_video(tmp_path / "one.mp4", 1),
    ]
    rows = EncodedVideos(
        [ClipEntry(video, None, str(video)) for video in videos],
        recipe=find.recipe_of(toy, sampling),
        feature_names=[],
        num_classes=3,
        cached=False,
    )
    rows.prepare(CPU)
    rows.fit_scale()
    weights = model_of_rows(model, keys, rows.recipe, tmp_path)
    results = videozoo.infer([str(video) for video in videos], weights=weights)
    assert len({result.predictions[0].score for result in results}) == len(videos)
    exported = videozoo.export(weights)[0].path
    for video, result in zip(videos, results, strict=True):
        check("onnx_rows_alone.py", exported, video, result)
    (tmp_path / "M.encoder.onnx").unlink()
    assert "M.encoder.onnx: is missing" in run("onnx_rows_alone.py", exported, videos[0]).stderr


def test_what_takes_no_videos_is_one_sentence(tmp_path: Path) -> None:
    (file,) = videozoo.export(feature_world(tmp_path, "LINEAR").weights)
    done = run("onnx_rows_alone.py", file.path, tmp_path / "any.mp4")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{file.path}: takes no rows of videos; see onnx_alone.py\n"
