"""A clip's score over crops and mirror images is the mean of what each is given alone."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from videozoo.classifier import Classifier, build_classifier, load_weights, save_weights
from videozoo.config import Experiment, load_experiment
from videozoo.data.batch import Batch, ClipBatch
from videozoo.data.framing import Views
from videozoo.errors import VideozooError
from videozoo.evaluate import evaluate
from videozoo.families import family_of
from videozoo.inputs import open_samples
from videozoo.models import resnet
from videozoo.models.layers import mean_logits
from videozoo.predict import Predictor
from videozoo.scoring import score_batches
from videozoo.specs import find_spec

Frames = np.ndarray  # uint8 [n, H, W, 3]
CPU = torch.device("cpu")
SIZES = {"wide": (36, 48), "upright": (48, 36), "square": (36, 36), "long": (36, 150)}
CONFIG = """
[MODEL]
num_layers = 18
num_classes = 3
seg_num = 2
seglen = {seglen}
short_size = 36
target_size = 32
use_gpu = False
num_workers = 0
batch_size = 4
"""


def frames_of(name: str, count: int = 6) -> Frames:
    """Returns the made-up frames of a video: noise that differs from place to place."""
    rng = np.random.default_rng(len(name))
    height, width = SIZES[name]
    small = rng.integers(0, 256, (count, 3, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(s).resize((width, height))) for s in small])


def write_pickle(path: Path, frames: Frames) -> Path:
    """Writes frames that are read as they are: their short side needs no resizing."""
    images = []
    for frame in frames:
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "PNG")
        images.append(file.getvalue())
    path.write_bytes(pickle.dumps((path.stem, len(path.stem) % 3, images)))
    return path


class Models:
    """A model with weights of its own, whatever the settings of a run."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.config = folder / "config.txt"
        self.config.write_text(CONFIG.format(seglen=1 if name == "TSN" else 2))
        torch.manual_seed(5)
        self.classifier = build_classifier(self.experiment()["INFER"])
        with torch.no_grad():
            self.classifier.model.fc.weight.mul_(8)  # scores that differ from crop to crop

    def experiment(self, **changes: object) -> Experiment:
        overrides = [f"MODEL.{key}={value!r}" for key, value in changes.items()]
        return load_experiment(find_spec(self.name).keys, str(self.config), overrides=overrides)

    def predictor(self, **changes: object) -> Predictor:
        settings = self.experiment(**changes)["INFER"]
        return Predictor(classifier=self.classifier, settings=settings, labels=None, device=CPU)

    def scores(self, paths: list[Path], **changes: object) -> Tensor:
        """Returns the scores of each video, float32 [B, K]."""
        results = self.predictor(**changes).predict(paths)
        assert [result.unreadable for result in results] == [None] * len(paths)
        rows = [sorted((p.index, p.score) for p in result.predictions) for result in results]
        return torch.tensor([[score for _, score in row] for row in rows])

    def write(self, name: str, frames: Frames) -> Path:
        return write_pickle(self.folder / f"{name}.pkl", frames)


@pytest.fixture(params=["TSN", "STNET"])
def models(request: pytest.FixtureRequest, tmp_path: Path) -> Models:
    return Models(request.param, tmp_path)


@pytest.fixture
def tsn(tmp_path: Path) -> Models:
    return Models("TSN", tmp_path)


def corners(frames: Frames, size: int) -> list[Frames]:
    """Returns the four corners and the middle."""
    height, width = frames.shape[1:3]
    bottom, right = height - size, width - size
    places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    return [frames[:, top : top + size, left : left + size] for top, left in places]


def along(frames: Frames, size: int) -> list[Frames]:
    """Returns the two ends and the middle of the longer side."""
    height, width = frames.shape[1:3]
    if width >= height:
        return [frames[:, :, x : x + size] for x in (0, (width - size) // 2, width - size)]
    return [frames[:, y : y + size] for y in (0, (height - size) // 2, height - size)]


def middle(frames: Frames, size: int) -> list[Frames]:
    return corners(frames, size)[4:]


@pytest.mark.parametrize(
    ("protocol", "size", "cut", "mirror"),
    [
        ({"test_crop": "ten"}, 32, corners, True),
        ({"test_crop": "ten", "test_flip": True}, 32, corners, True),
        ({"test_crop": "three"}, 36, along, False),
        ({"test_crop": "three", "test_flip": True}, 36, along, True),
        ({"test_flip": True}, 32, middle, True),
    ],
)
def test_a_score_is_the_mean_of_its_crops_scores(
    models: Models,
    protocol: dict[str, object],
    size: int,
    cut: Callable[[Frames, int], list[Frames]],
    mirror: bool,
) -> None:
    videos, crops = [], []
    for name in SIZES:
        frames = frames_of(name)
        videos.append(models.write(name, frames))
        cuts = cut(frames, size)
        cuts += [piece[:, :, ::-1] for piece in cuts] if mirror else []
        crops += [models.write(f"{name}-{i}", piece) for i, piece in enumerate(cuts)]
    found = models.scores(videos, **protocol)  # frames of four sizes in one batch
    alone = models.scores(crops, short_size=size, target_size=size)
    expected = alone.view(len(videos), -1, 3)  # [B, V, K]
    assert expected.shape[1] == len(Views(size, str(protocol.get("test_crop", "centre")), mirror))
    assert (expected.std(dim=1) > 1e-3).any(), "the crops must not look alike"
    assert torch.allclose(found, expected.mean(dim=1), rtol=0, atol=1e-5)


def test_the_centre_alone_is_what_it_was(models: Models) -> None:
    frames = frames_of("wide")
    video, crop = models.write("a", frames), models.write("b", middle(frames, 32)[0])
    settings = models.experiment()["TEST"]
    samples = open_samples(settings, [str(video)], labelled=False)
    batch = samples.dataset.collate([samples.dataset.read(0, None)])
    assert isinstance(batch, ClipBatch)
    assert batch.views is None
    assert batch.clips.shape[-2:] == (32, 32)
    assert torch.equal(models.scores([video]), models.scores([crop], short_size=32))


@pytest.mark.parametrize("most", [1, 2, 7, 1000])
def test_how_many_images_go_at_once_changes_nothing(
    models: Models, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    videos = [models.write(name, frames_of(name)) for name in SIZES]
    expected = models.scores(videos, test_crop="ten")
    monkeypatch.setattr(resnet, "IMAGES_AT_ONCE_CPU", most)
    assert torch.allclose(models.scores(videos, test_crop="ten"), expected, rtol=0, atol=1e-5)


class Largest(TorchDispatchMode):
    """Records the largest float tensor that any operation gives, and the most float images."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.images = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.is_floating_point() and out.dim() > 3:
            self.numbers = max(self.numbers, out.numel())
            if out.shape[-3:] == (3, 32, 32):
                self.images = max(self.images, out.shape[:-3].numel())
        return out


def largest(models: Models, paths: list[Path], **changes: object) -> Largest:
    predictor = models.predictor(**changes)
    predictor.predict(paths[:1])  # weights are folded and laid out
    with Largest() as seen:
        predictor.predict(paths)
    return seen


def test_memory_does_not_grow_with_crops_and_videos(tsn: Models) -> None:
    names = ("wide", "upright", "square")
    videos = [tsn.write(name, frames_of(name, count=30)) for name in names]
    one = largest(tsn, videos[:1], seg_num=25)
    assert one.images == 25  # a clip's own segments
    many = largest(tsn, videos, seg_num=25, test_crop="ten")  # 750 images
    assert (many.images, many.numbers) == (one.images, one.numbers)


def test_short_clips_share_a_pass(tsn: Models) -> None:
    videos = [tsn.write(name, frames_of(name)) for name in SIZES]
    assert largest(tsn, videos, seg_num=3, test_crop="ten").images == 15  # 5 crops; 16 fit
    assert largest(tsn, videos, seg_num=3).images == 12


def test_every_command_scores_the_same_views(
    tsn: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [tsn.write(name, frames_of(name)) for name in SIZES]
    listing = tmp_path / "videos.list"
    listing.write_text("".join(f"{video}\n" for video in videos))
    experiment = tsn.experiment(test_crop="ten")
    settings = experiment["TEST"]
    dataset = open_samples(settings, str(listing)).dataset
    scoring = tsn.classifier.for_inference("32")
    batches = score_batches(scoring, dataset, settings=settings, device=CPU)
    ((batch, logits),) = batches
    scores = tsn.classifier.scores(logits)
    assert torch.allclose(scores, tsn.scores(videos, test_crop="ten"), rtol=0, atol=1e-6)
    found = evaluate(tsn.classifier, dataset, settings=settings, device=CPU)
    expected = -scores.log().gather(1, batch.labels[:, None]).mean()
    assert found.metrics["loss"] == pytest.approx(float(expected), abs=1e-5)
    losses = family_of(settings).loss(logits, batch.labels)
    assert torch.allclose(losses.mean(), expected, atol=1e-5)
    # the protocol rides with the weights
    path = tmp_path / "TSN.safetensors"
    save_weights(path, tsn.classifier, experiment, None)
    stored = load_weights(path).experiment["INFER"]
    assert stored.test_crop == "ten"
    assert family_of(stored).describe()["views"] == 10
    assert family_of(stored).describe()["crop"].startswith("32 px four corners")


def test_out_of_memory_halves_the_crops_at_once(
    tsn: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [tsn.write(name, frames_of(name)) for name in SIZES]
    expected = tsn.scores(videos, test_crop="ten")
    forward = Classifier.forward
    sizes: list[int] = []

    def small(self: Classifier, batch: Batch) -> Tensor:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("made up")
        return forward(self, batch)

    monkeypatch.setattr(Classifier, "forward", small)
    said: list[str] = []
    settings = tsn.experiment(test_crop="ten")["INFER"]
    dataset = open_samples(settings, [str(v) for v in videos], labelled=False).dataset
    scoring = tsn.classifier.for_inference("32")
    batches = score_batches(scoring, dataset, settings=settings, device=CPU, say=said.append)
    ((_, logits),) = batches
    assert sizes[:4] == [8, 4, 2, 2]
    assert said[-1] == "out of memory: crops of videos at once from now on: 2"
    assert torch.allclose(tsn.classifier.scores(logits), expected, rtol=0, atol=1e-6)


def test_memory_for_not_even_one_crop(tsn: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Classifier, batch: Batch) -> Tensor:
        raise torch.OutOfMemoryError("made up")

    monkeypatch.setattr(Classifier, "forward", never)
    with pytest.raises(VideozooError, match="single video; use --use-gpu False"):
        tsn.scores([tsn.write("wide", frames_of("wide"))], test_crop="ten")


def test_frames_of_several_sizes_are_named(tsn: Models) -> None:
    images = [*pickle.loads(tsn.write("a", frames_of("wide", 3)).read_bytes())[2]]
    images += pickle.loads(tsn.write("b", frames_of("upright", 3)).read_bytes())[2]
    mixed = tsn.folder / "mixed.pkl"
    mixed.write_bytes(pickle.dumps(("mixed", 0, images)))
    (result,) = tsn.predictor(test_crop="ten").predict(mixed)  # none of the batch can be read
    assert f"{mixed}: has frames of different sizes" in str(result.unreadable)
    (result,) = tsn.predictor().predict(mixed)
    assert result.unreadable is None


def test_the_mean_of_sigmoids() -> None:
    logits = torch.randn(4, 5, 6) * 3
    assert torch.allclose(mean_logits(logits, True).sigmoid(), logits.sigmoid().mean(1), atol=1e-6)


def test_a_score_of_nearly_nothing_has_a_logit() -> None:
    logits = torch.tensor([[[0.0, 500.0], [0.0, 400.0]]])
    assert mean_logits(logits, False).isfinite().all()
    assert mean_logits(logits, True).isfinite().all()
