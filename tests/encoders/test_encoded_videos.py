"""Videos become rows: once, the same alone and among others, and go on after a stop."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from toy_encoder import ToyEncoder, toy_recipe
from videos import write_video
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.youtube8m.frames import sample_cluster_frames
from videozoo.encoders import encoded_videos
from videozoo.encoders.encoded_videos import EncodedVideos
from videozoo.encoders.engine import Encoded, Encoding
from videozoo.encoders.recipe import Recipe, store_recipe, stored_recipe
from videozoo.encoders.row_store import RowStore, rows_folder
from videozoo.errors import SampleError, VideozooError

CPU = torch.device("cpu")
LENGTHS = (5, 30, 12, 50, 1, 26)  # frames, at 25 a second: 1, 6, 2, 10, 1 and 5 rows


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ToyEncoder:
    toy = ToyEncoder()
    monkeypatch.setattr(encoded_videos, "encoder_of", lambda recipe, device: toy)
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    return toy


@pytest.fixture
def entries(tmp_path: Path) -> list[ClipEntry]:
    paths = [write_video(tmp_path / f"{n}.mp4", length) for n, length in enumerate(LENGTHS)]
    return [ClipEntry(path, (n % 2,), str(path)) for n, path in enumerate(paths)]


def videos(
    entries: list[ClipEntry], recipe: Recipe | None = None, **options: object
) -> EncodedVideos:
    how = {"feature_names": ["rgb", "lower"], "num_classes": 2} | options
    return EncodedVideos(entries, recipe=recipe or toy_recipe(), **how)  # type: ignore[arg-type]


def prepared(entries: list[ClipEntry], **options: object) -> EncodedVideos:
    dataset = videos(entries, **options)
    dataset.prepare(CPU)
    dataset.fit_scale()
    return dataset


def encoding(encoder: ToyEncoder, folder: Path | None = None) -> Encoding:
    return Encoding(toy_recipe(), lambda: encoder, RowStore(folder), 2)


def test_each_video_has_its_rows(encoder: ToyEncoder, entries: list[ClipEntry]) -> None:
    dataset = prepared(entries)
    assert [len(dataset.read(n).features[0]) for n in range(6)] == [1, 6, 2, 10, 1, 5]
    assert encoder.batches == 7  # of four rows each; the last holds one
    sample = dataset.read(3)
    assert [feature.shape for feature in sample.features] == [(10, 6), (10, 3)]
    assert sample.labels is not None
    assert (sample.video, sample.labels.tolist()) == (entries[3].video, [1])
    whole = np.concatenate([dataset.read(n).features[0] for n in range(6)])
    assert whole.dtype == np.uint8
    # the fitted ends of each dimension are what -2 and 2 become
    assert set(whole.max(axis=0).tolist()) == {255}
    assert set(whole.min(axis=0).tolist()) == {0}


def test_rows_do_not_depend_on_what_else_there_is(
    encoder: ToyEncoder, entries: list[ClipEntry]
) -> None:
    together = {e.content: e.rows for e in encoding(encoder)(entries)}
    for entry in entries:
        (alone,) = encoding(encoder)([entry])
        rows = together[alone.content]
        assert not isinstance(alone.rows, SampleError)
        assert not isinstance(rows, SampleError)
        for name in ("rgb", "lower"):
            assert alone.rows[name].tobytes() == rows[name].tobytes()


def test_rows_are_computed_once(encoder: ToyEncoder, entries: list[ClipEntry]) -> None:
    first = prepared(entries)
    batches = encoder.batches
    again = prepared([*entries, ClipEntry(entries[0].path, None, "the same")])
    assert encoder.batches == batches
    np.testing.assert_array_equal(again.read(1).features[0], first.read(1).features[0])
    other = toy_recipe(rate=10.0)
    videos(entries, other).prepare(CPU)
    assert encoder.batches > batches


def test_what_was_done_before_a_stop_stays_done(
    encoder: ToyEncoder, entries: list[ClipEntry], tmp_path: Path
) -> None:
    whole = [e.rows for e in encoding(encoder, tmp_path / "whole")(entries)]
    running: Iterator[Encoded] = encoding(encoder, tmp_path / "rows")(entries)
    done = [next(running) for _ in range(3)]
    running.close()  # type: ignore[attr-defined]
    found = list(encoding(encoder, tmp_path / "rows")(entries))
    assert [e.kept for e in found[: len(done)]] == [True] * 3
    assert not found[-1].kept
    for one, other in zip(found, whole, strict=True):
        assert not isinstance(one.rows, SampleError)
        assert not isinstance(other, SampleError)
        assert one.rows["rgb"].tobytes() == other["rgb"].tobytes()


def test_two_at_once_do_not_disturb_each_other(
    encoder: ToyEncoder, entries: list[ClipEntry]
) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(prepared, [entries, entries[::-1]])
    np.testing.assert_array_equal(one.read(0).features[0], two.read(5).features[0])
    assert not list(rows_folder().rglob("*.tmp"))


def test_a_damaged_file_of_rows_is_made_again(
    encoder: ToyEncoder, entries: list[ClipEntry]
) -> None:
    wanted = prepared(entries).read(3).features[0]
    files = list(rows_folder().rglob("*.safetensors"))
    assert len(files) == len(entries)
    for file in files:
        file.write_bytes(file.read_bytes()[:50])
    np.testing.assert_array_equal(prepared(entries).read(3).features[0], wanted)


def test_without_a_cache_nothing_stays(encoder: ToyEncoder, entries: list[ClipEntry]) -> None:
    dataset = prepared(entries, cached=False)
    assert len(dataset.read(1).features[0]) == 6
    assert not rows_folder().exists()


def test_a_video_that_cannot_be_read_says_why(
    encoder: ToyEncoder, entries: list[ClipEntry], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    gone = ClipEntry(tmp_path / "gone.mp4", (0,), "gone.mp4")
    dataset = prepared([ClipEntry(bad, (0,), str(bad)), *entries, gone])
    for index, name in ((0, "bad.mp4"), (7, "gone.mp4")):
        with pytest.raises(SampleError, match=name):
            dataset.read(index)
    assert len(dataset.read(2).features[0]) == 6
    none = videos([gone])
    none.prepare(CPU)
    with pytest.raises(VideozooError, match=r"not one of 1 videos to train on .*gone\.mp4"):
        none.fit_scale()


def test_it_is_known_how_many_had_their_rows(encoder: ToyEncoder, entries: list[ClipEntry]) -> None:
    assert prepared(entries[:2]).kept_before == 0
    assert prepared(entries).kept_before == 2
    assert prepared(entries).kept_before == len(entries)


def test_rows_that_went_away_are_told(encoder: ToyEncoder, entries: list[ClipEntry]) -> None:
    dataset = prepared(entries)
    for file in rows_folder().rglob("*.safetensors"):
        file.unlink()
    with pytest.raises(SampleError, match=r"rows are gone from .*run the same command again"):
        dataset.read(0)


def test_a_folder_that_cannot_be_written_to(
    encoder: ToyEncoder, entries: list[ClipEntry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "file"))
    with pytest.raises(VideozooError, match=r"cannot be made: .*VIDEOZOO_HOME"):
        prepared(entries)


def test_rows_are_sampled_as_records_are(encoder: ToyEncoder, entries: list[ClipEntry]) -> None:
    def four(n: int, rng: np.random.Generator | None) -> np.ndarray:
        return sample_cluster_frames(n, rng, seg_num=4)

    dataset = prepared(entries, rows=four)
    batch = dataset.collate([dataset.read(n) for n in (0, 3)])
    assert [tuple(f.shape) for f in batch.features] == [(2, 4, 6), (2, 4, 3)]
    all_rows = prepared(entries).read(3).features[0]
    np.testing.assert_array_equal(batch.features[0][1].numpy(), all_rows[[1, 3, 6, 8]])


def test_a_recipe_is_kept_whole(
    encoder: ToyEncoder, entries: list[ClipEntry], tmp_path: Path
) -> None:
    recipe = prepared(entries).recipe
    store_recipe(tmp_path, recipe)
    kept = stored_recipe(tmp_path)
    assert kept is not None
    assert kept.differences(recipe) == []
    assert kept.key("x") == recipe.key("x") != recipe.key("y")
    np.testing.assert_array_equal(kept.scale["rgb"].reach, recipe.scale["rgb"].reach)
    assert kept.differences(toy_recipe(rate=1.0)) == ["rate"]
    assert stored_recipe(tmp_path / "elsewhere") is None
    (tmp_path / "scale.safetensors").write_bytes(b"")
    with pytest.raises(VideozooError, match="prepare the features anew"):
        stored_recipe(tmp_path)


def test_a_video_is_known_by_its_content(
    encoder: ToyEncoder, entries: list[ClipEntry], tmp_path: Path
) -> None:
    prepared(entries)
    batches = encoder.batches
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(entries[3].path.read_bytes())
    prepared([ClipEntry(moved, (0,), "moved.mp4")])
    assert encoder.batches == batches
