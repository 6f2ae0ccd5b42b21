"""Every Python example of the pages runs, in a folder that holds what the pages speak of."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import videozoo
from test_library import write_youtube8m
from tiny import clip_world
from videos import write_video
from videozoo.classifier import build_classifier, export_fluid, load_weights, save_weights
from videozoo.config import load_experiment
from videozoo.specs import find_spec
from videozoo.zoo import store

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not page.name.endswith(".zh-CN.md")  # has the same examples: tests/test_docs.py
)
EXAMPLES = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE), 1
    )
]
CLASSES = ("jump", "move left")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Holds the files that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("VIDEOZOO_HOME", str(folder / "home"))
        make_videos()
        make_features()
        make_weights()
        yield folder


def make_videos() -> None:
    for number, name in enumerate(CLASSES):
        for side, count in (("train", 4), ("test", 1)):
            (Path("toy") / side / name).mkdir(parents=True)
            for i in range(count):
                size = (64 + 16 * i, 48 + 32 * number)
                write_video(Path("toy", side, name, f"{side}{number}{i}.mp4"), 12, size=size)
    shutil.copytree("toy/train", "videos")
    shutil.copytree("toy/test", "folder/of/clips")
    for name in ("a.mp4", "video.mp4", "match.mp4"):
        write_video(Path(name), 120)
    Path("dataset/kinetics").mkdir(parents=True)
    Path("dataset/kinetics/test.list").write_text("a.mp4 0\nvideo.mp4 1\n")


def make_features() -> None:
    write_youtube8m(Path("features"))
    Path("dataset/youtube8m").mkdir()
    for side, shard in (("train", "a"), ("val", "b")):
        Path(f"dataset/youtube8m/{side}.list").write_text(f"features/{shard}.tfrecord\n")


def make_weights() -> None:
    for head, save_dir in (("LINEAR", "checkpoints"), ("AttentionCluster", "cluster")):
        videozoo.train("toy/train", head=head, save_dir=save_dir)
    Path("small").mkdir()
    shutil.copy(clip_world(Path("small"), "STNET").weights, "checkpoints/STNET_best.safetensors")
    published = load_experiment(find_spec("TSN").keys, None, overrides=['MODEL.format="mp4"'])
    weights = Path("checkpoints/TSN_best.safetensors")
    save_weights(weights, build_classifier(published["INFER"]), published, labels=None)
    export_fluid(Path("tsn_kinetics.tar.gz"), load_weights(weights))
    by_hand = store.folder() / "tsn_kinetics.tar.gz"
    by_hand.parent.mkdir(parents=True)
    shutil.copy("tsn_kinetics.tar.gz", by_hand)
    Path("configs").mkdir()
    shutil.copy(ROOT / "configs" / "tsn.txt", "configs")


@pytest.mark.slow
@pytest.mark.parametrize("code", EXAMPLES)
def test_the_example_runs(code: str, place: Path) -> None:
    if "push_to_hub" in code:
        pytest.skip("needs the Hub; tests/zoo/test_sharing.py tries what it calls")
    exec(compile(code, "example", "exec"), {"__name__": "example"})  # noqa: S102 (our own page)


def test_the_pages_have_examples() -> None:
    assert len(EXAMPLES) > 20
