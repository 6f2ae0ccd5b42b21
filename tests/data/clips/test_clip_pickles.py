import io
import pickle

import numpy as np
import pytest
from PIL import Image

from videozoo.data.clips.clip_pickles import load_clip
from videozoo.data.framing import Crop
from videozoo.errors import SampleError, VideozooError


def jpeg(level, *, kind="JPEG", mode="RGB"):
    file = io.BytesIO()
    Image.new("RGB", (16, 12), (level, level, level)).convert(mode).save(file, kind)
    return file.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(record, protocol=2):
        path = tmp_path / "clip.pkl"
        path.write_bytes(record if isinstance(record, bytes) else pickle.dumps(record, protocol))
        return path

    return write


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_python_3(write, protocol):
    clip = load_clip(write(("name", 7, [jpeg(0), jpeg(99)]), protocol))
    assert (clip.video, clip.labels, len(clip.frames)) == ("name", (7,), 2)


def test_a_pickle_of_python_2(write):
    # as cPickle of Python 2 writes ("caf\xc3\xa9", 3, [image]) in protocol 0
    image = repr(jpeg(50)).removeprefix("b").encode("ascii")
    clip = load_clip(write(b"(S'caf\\xc3\\xa9'\nI3\n(lp1\nS" + image + b"\natp2\n."))
    assert (clip.video, clip.labels) == ("café", (3,))
    assert clip.image(0).size == (16, 12)


@pytest.mark.parametrize(
    ("label", "expected"), [(None, None), (np.int64(5), (5,)), (np.array([6]), (6,)), (-1, (-1,))]
)
def test_labels(write, label, expected):
    assert load_clip(write(("name", label, [jpeg(0)]))).labels == expected


def test_only_wanted_frames_are_decoded_and_each_once(write):
    clip = load_clip(write(("name", 0, [jpeg(0), b"damaged", jpeg(90, kind="PNG"), jpeg(200)])))
    asked = []

    def resize(width, height):
        asked.append((width, height))
        return width // 2, height // 2

    frames = clip.read_clip(
        lambda n: np.array([[n - 1, 2], [2, 0]]), resize=resize, crop=Crop(4)
    )  # [4, 3, 4, 4]
    assert asked == [(16, 12)] * 3
    assert frames.shape == (4, 3, 4, 4)
    assert frames[:, 0, 0, 0].tolist() == [200, 90, 90, 0]


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_every_frame_becomes_rgb(write, mode):
    clip = load_clip(write(("name", 0, [jpeg(77, mode=mode)])))
    image = clip.image(0)
    assert image.mode == "RGB"
    assert abs(image.getpixel((3, 3))[0] - 77) <= 2


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (["name", 0], "is no Kinetics pickle"),
        ({"video": 1}, "is no Kinetics pickle"),
        (("name", 0, []), "holds no frames"),
        (("name", 0, "frames"), "must be a list of JPEG images"),
        (("name", 0, [1, 2]), "must be a list of JPEG images"),
        (("name", "dog", [b"x"]), "its label must be a class number, not 'dog'"),
        (("name", 1.5, [b"x"]), "its label must be a class number"),
        (("name", [1], [b"x"]), "its label must be a class number, not list"),
        (b"\x80\x02X", "pickle"),
    ],
)
def test_what_is_no_clip_is_one_sentence(write, record, message):
    path = write(record)
    with pytest.raises(SampleError, match=message) as caught:
        load_clip(path)
    assert str(path) in str(caught.value)


def test_a_pickle_that_runs_something_ends_the_reading(write):
    with pytest.raises(VideozooError, match=r"wants to run posix\.system"):
        load_clip(write(b"cposix\nsystem\n(S'true'\ntR."))


@pytest.mark.parametrize("content", [b"", b"text", jpeg(3)[:100], b"P6 2 2 255 aaaaaaaaaaaa"])
def test_a_damaged_image_is_named(write, content):
    path = write(("name", 0, [jpeg(0), content]))
    with pytest.raises(SampleError, match="frame 1 is a damaged image") as caught:
        load_clip(path).image(1)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(SampleError, match="No such file"):
        load_clip(tmp_path / "none.pkl")
