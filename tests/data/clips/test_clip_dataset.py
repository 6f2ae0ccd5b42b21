import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from videos import number_of, write_video
from videozoo.data.batch import NO_LABEL, ClipBatch
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.clips.dataset import ClipDataset
from videozoo.data.transforms import normalise_clips
from videozoo.errors import SampleError, VideozooError
from videozoo.video.reader import read_frames

GOLDEN = Path(__file__).parent / "golden"


def source_of(*paths, labels=None, **changes):
    settings = {
        "num_classes": 400,
        "seg_num": 3,
        "seglen": 1,
        "short_size": 40,
        "target_size": 32,
    }
    entries = [ClipEntry(Path(path), labels, f"listed/{Path(path).name}") for path in paths]
    return ClipDataset(entries, **(settings | changes))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", 30, size=(96, 72))


@pytest.mark.parametrize(("seg_num", "seglen"), [(3, 1), (5, 4)])
@pytest.mark.parametrize("clip", range(4))
def test_pickles_become_what_the_original_made_of_them(clip, seg_num, seglen):
    source = source_of(GOLDEN / f"kinetics_{clip}.pkl", seg_num=seg_num, seglen=seglen)
    sample = source.read(0, None)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    floats = normalise_clips(torch.from_numpy(sample.clip)[None], mean, std)[0].numpy()
    with np.load(GOLDEN / "kinetics_reader.npz") as golden:
        expected = golden[f"{clip}/seg{seg_num}_len{seglen}"]
        assert sample.labels == (golden[f"{clip}/label"],)
    assert floats.shape == expected.shape
    assert np.abs(floats - expected).max() < 1e-6
    assert sample.video == f"clip{clip}"


def numbers_in(clip, *, seglen):
    """The frame numbers that an uncropped clip of `pattern` shows."""
    frames = clip.reshape(-1, seglen, 3, *clip.shape[2:])
    return [[number_of(frame) for frame in segment] for segment in frames]


@pytest.fixture(scope="module")
def square(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "square.mp4", 30, size=(64, 64))


def test_a_video_gives_the_middle_frames_of_its_segments(square):
    source = source_of(square, labels=(5,), seglen=2, short_size=64, target_size=64)
    sample = source.read(0, None)
    assert sample.clip.shape == (3, 6, 64, 64)
    assert sample.clip.dtype == np.uint8
    assert numbers_in(sample.clip, seglen=2) == [[4, 5], [14, 15], [24, 25]]
    assert (sample.video, sample.labels) == ("listed/square.mp4", (5,))
    # a generator changes nothing where nothing is augmented
    assert np.array_equal(source.read(0, np.random.default_rng(0)).clip, sample.clip)


def test_frames_of_a_segment_lie_an_interval_apart(square):
    source = source_of(square, seglen=2, frame_interval=6, short_size=64, target_size=64)
    assert numbers_in(source.read(0, None).clip, seglen=2) == [[1, 7], [11, 17], [21, 27]]


def test_augmenting_draws_frames_from_the_generator(square):
    source = source_of(square, short_size=64, target_size=64, augment=True, flip=False)
    drawn = [
        numbers_in(source.read(0, np.random.default_rng(seed)).clip, seglen=1) for seed in range(12)
    ]
    assert all(i * 10 <= frames[i][0] < i * 10 + 10 for frames in drawn for i in range(3))
    assert len({str(frames) for frames in drawn}) > 8
    first, again = (source.read(0, np.random.default_rng([1, 2])).clip for _ in range(2))
    assert np.array_equal(first, again)
    # without a generator it is the middle, as in test
    middle = source_of(square, short_size=64, target_size=64).read(0, None)
    assert np.array_equal(source.read(0, None).clip, middle.clip)


def test_crops_and_flips_vary(video):
    source = source_of(video, augment=True, seg_num=1)
    clips = {source.read(0, np.random.default_rng(seed)).clip.tobytes() for seed in range(10)}
    assert len(clips) == 10
    assert source.read(0, np.random.default_rng(0)).clip.shape == (1, 3, 32, 32)


def test_the_resize_rule_matters(tmp_path):
    wide = write_video(tmp_path / "wide.mp4", 3, size=(160, 64))
    forced, kept = (source_of(wide, resize=rule).read(0, None).clip for rule in ("4:3", "aspect"))
    assert forced.shape == kept.shape
    assert not np.array_equal(forced, kept)


def test_pillow_resizes_videos_as_it_resizes_pickles(tmp_path):
    """To the byte: for scores that must be those of frames stored as pictures."""
    path = write_video(tmp_path / "clip.mp4", 9, size=(96, 72))
    images = []
    for frame in read_frames(path, np.arange):
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0))).save(file, "PNG")
        images.append(file.getvalue())
    pickled = tmp_path / "clip.pkl"
    pickled.write_bytes(pickle.dumps(("clip", 0, images)))
    expected = source_of(pickled).read(0, None).clip
    assert np.array_equal(source_of(path, resize_with="pillow").read(0, None).clip, expected)
    assert not np.array_equal(source_of(path).read(0, None).clip, expected)


def test_a_label_out_of_range_shows_that_the_config_is_wrong(video):
    with pytest.raises(
        VideozooError, match=r"label 4 is out of range 0\.\.3; it looks 1-based"
    ) as e:
        source_of(video, labels=(4,), num_classes=4).read(0, None)
    assert not isinstance(e.value, SampleError)  # no sample to be passed over
    with pytest.raises(VideozooError, match=r"clip.mp4: label -1 is out of range 0\.\.3$"):
        source_of(video, labels=(-1,), num_classes=4).read(0, None)
    pickled = GOLDEN / "kinetics_3.pkl"  # its label is 21
    with pytest.raises(VideozooError, match="label 21 is out of range"):
        source_of(pickled, num_classes=20).read(0, None)
    assert source_of(pickled, num_classes=20, labelled=False).read(0, None).labels is None


def test_the_label_of_the_list_goes_before_that_of_the_pickle():
    assert source_of(GOLDEN / "kinetics_3.pkl", labels=(2,)).read(0, None).labels == (2,)
    assert source_of(GOLDEN / "kinetics_3.pkl").read(0, None).labels == (21,)


def test_faults_name_the_file_and_the_reason(tmp_path, video):
    (tmp_path / "text.mp4").write_text("no video")
    for name, reason in (("none.mp4", "no such file"), ("text.mp4", "cannot be opened")):
        with pytest.raises(SampleError, match=f"{name}: {reason}"):
            source_of(tmp_path / name).read(0, None)
    with pytest.raises(SampleError, match=r"none.pkl.*No such file"):
        source_of(tmp_path / "none.pkl").read(0, None)
    with pytest.raises(SampleError, match=r"clip.mp4: frames of 53x40 .* smaller than the crop"):
        source_of(video, target_size=48).read(0, None)


def test_batches(video):
    source = source_of(video, video, labels=(1,))
    assert (len(source), source.name(1)) == (2, "listed/clip.mp4")
    batch = source.collate([source.read(i, None) for i in range(2)])
    assert isinstance(batch, ClipBatch)
    assert batch.clips.shape == (2, 3, 3, 32, 32)
    assert batch.labels.tolist() == [1, 1]
    assert batch.weights.tolist() == [1.0, 1.0]
    assert batch.unreadable == []


def test_the_placeholder_fits_into_a_batch(video):
    source = source_of(video, seglen=2)
    placeholder = source.placeholder()
    assert placeholder.clip.shape == source.read(0, None).clip.shape
    assert not placeholder.clip.any()
    batch = source.collate([placeholder])
    assert batch.labels.tolist() == [NO_LABEL]
    assert batch.labelled.tolist() == [False]


def many_of(video, *labels, **changes):
    entries = [ClipEntry(video, one or None, str(video)) for one in labels]
    sizes = {"seg_num": 2, "seglen": 1, "short_size": 40, "target_size": 32}
    return ClipDataset(entries, **(sizes | {"num_classes": 5, "multi_label": True} | changes))


def test_a_clip_of_many_classes(video):
    source = many_of(video, (1, 4), (0,), ())
    batch = source.collate([source.read(i, None) for i in range(3)])
    assert batch.labels.tolist() == [
        [False, True, False, False, True],
        [True, False, False, False, False],
        [False] * 5,
    ]
    assert batch.labelled.tolist() == [True, True, False]
    assert [source.classes(i) for i in range(3)] == [(1, 4), (0,), ()]
    assert source.collate([source.placeholder()]).labels.tolist() == [[False] * 5]


def test_every_one_of_many_classes_is_checked(video):
    with pytest.raises(VideozooError, match=r"label 5 is out of range 0\.\.4; it looks 1-based"):
        many_of(video, (1, 5)).read(0, None)


def test_the_class_of_a_pickle_is_inside_it():
    assert source_of(GOLDEN / "kinetics_0.pkl").classes(0) == (
        source_of(GOLDEN / "kinetics_0.pkl").read(0, None).labels
    )


@pytest.mark.parametrize("key", ["random_resized_crop", "scale_jitter"])
def test_crops_of_any_size_become_the_models_input(key, video):
    source = source_of(video, augment=True, **{key: [0.3, 0.6]})
    clips = [source.read(0, np.random.default_rng(n)).clip for n in range(4)]
    assert {clip.shape for clip in clips} == {(3, 3, 32, 32)}
    assert len({clip.tobytes() for clip in clips}) == 4
    assert source.read(0, np.random.default_rng(2)).clip.tobytes() == clips[2].tobytes()
    test = source_of(video, **{key: [0.3, 0.6]})
    assert test.read(0, None).clip.tobytes() == source_of(video).read(0, None).clip.tobytes()
