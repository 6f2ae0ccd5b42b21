"""videozoo as a library: functions, torch data sets, and a training loop of one's own."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader

import videozoo
from tiny import World, clip_data, feature_data, features  # noqa: F401 (fixtures)
from videozoo.data.batch import Batch
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.errors import VideozooError
from videozoo.inputs import open_samples
from videozoo.models import NeXtVLAD

PAGE = Path(__file__).parents[1] / "docs" / "api.md"


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["feature_data", "clip_data"])
def world(request: pytest.FixtureRequest) -> World:
    """A feature model, and a clip model."""
    made: World = request.getfixturevalue(request.param)
    return made


def test_torchs_loader_takes_a_data_set_as_it_is(world: World) -> None:
    dataset = open_samples(world.experiment["TEST"], str(world.listing)).dataset
    assert isinstance(dataset, torch.utils.data.Dataset)
    loader = DataLoader(dataset, batch_size=2, shuffle=True, collate_fn=dataset.collate)
    batches = list(loader)
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert all(isinstance(batch, Batch) for batch in batches)
    videos = {video for batch in batches for video in batch.videos}
    ordered = DataLoader(dataset, batch_size=5, collate_fn=dataset.collate, num_workers=1)
    (whole,) = ordered
    assert set(whole.videos) == videos
    assert len(videos) == 5


def test_train_test_infer_and_load_are_functions(world: World) -> None:
    trained = videozoo.train(config=world.config, save_dir="runs", pretrain="none")
    weights = trained.best or trained.last
    assert Path(weights).is_file()
    found = videozoo.test(str(weights), save_dir="out")
    assert (found.listed, found.evaluated) == (5, 5)
    assert found.metrics == trained.evaluation.metrics
    results = videozoo.infer(list(map(str, world.files)), str(weights), top_k=2, save_dir="out")
    assert [len(result.predictions) for result in results] == [2] * 5
    model = world.experiment.model
    rows = json.loads(Path("out", f"{model}_infer_result.json").read_text())
    assert [row["video"] for row in rows] == [result.video for result in results]
    predictor = videozoo.load(weights, use_gpu=False)
    again = predictor.predict(list(world.files), top_k=2)
    assert [r.predictions for r in again] == [r.predictions for r in results]


def test_functions_print_nothing_and_write_nothing_unasked(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    videozoo.test(str(world.weights))
    videozoo.infer([str(world.files[1])], str(world.weights))
    assert capfd.readouterr().out == ""
    assert {path.name for path in Path().iterdir()} <= {"cache"}


@pytest.mark.parametrize("name", ["train", "test", "infer", "load", "build_model"])
def test_every_argument_of_a_function_has_a_type(name: str) -> None:
    signature = inspect.signature(getattr(videozoo, name))
    for parameter in (*signature.parameters.values(),):
        assert parameter.annotation is not parameter.empty, parameter
    assert signature.return_annotation is not signature.empty


def test_a_predictor_is_called_with_a_path(clip_data: World, tmp_path: Path) -> None:  # noqa: F811
    predictor = videozoo.load(clip_data.weights, use_gpu=False)
    path = clip_data.files[1]
    wanted = [{"label": p.label, "score": p.score} for p in predictor.predict(path)[0].predictions]
    assert predictor(str(path)) == predictor(path) == wanted
    assert {type(answer["score"]) for answer in wanted} == {float}
    assert [answer["score"] for answer in wanted] == sorted(
        (answer["score"] for answer in wanted), reverse=True
    )
    two = predictor(clip_data.files[:2], top_k=1)
    assert [len(answers) for answers in two] == [1, 1]
    assert two[1] == wanted[:1]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(VideozooError, match="broken"):
        predictor(broken)


def code_under(heading: str) -> str:
    """Returns the first python block under a heading of docs/api.md."""
    section = PAGE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def write_youtube8m(folder: Path) -> None:
    """Writes two small shards of the sizes of YouTube-8M."""
    folder.mkdir()
    for part, numbers in (("a", range(5)), ("b", range(5, 8))):
        records = [
            encode_example(
                video=f"v{i}",
                labels=[i, 3861 - i],
                features=features(i, 3 + i, rgb=1024, audio=128),
            )
            for i in numbers
        ]
        write_tfrecord(folder / f"{part}.tfrecord", records)


@pytest.mark.skipif(not PAGE.is_file(), reason="no source tree: no pages")
def test_the_loop_of_the_page_trains(tmp_path: Path) -> None:
    code = code_under("Your own loop")
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 20
    imports = [line for line in lines if re.match(r"(from|import) ", line)]
    assert len(imports) <= 3
    write_youtube8m(tmp_path / "features")
    steps: list[torch.optim.Optimizer] = []
    hook = register_optimizer_step_post_hook(lambda optimizer, *_: steps.append(optimizer))
    names: dict[str, object] = {"__name__": "own_loop"}
    try:
        exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 (our own page)
    finally:
        hook.remove()
    model = names["model"]
    assert isinstance(model, NeXtVLAD)
    assert steps
    assert all(steps[-1].state[p] for p in model.parameters())  # each has been stepped
    assert all(p.isfinite().all() for p in model.parameters())
