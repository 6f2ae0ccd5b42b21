"""What is said to people, and the fields that code reads."""

from __future__ import annotations

import pickle
from pathlib import Path

from videozoo.errors import SampleError
from videozoo.text import escaped, harmless


def test_a_sample_error_says_its_place_once() -> None:
    bare = SampleError("is cut off")
    assert str(bare) == "is cut off"
    placed = bare.at(Path("a.tfrecord"), 3)
    assert str(placed) == "a.tfrecord: record 3: is cut off"
    assert (placed.path, placed.record, placed.reason) == (Path("a.tfrecord"), 3, "is cut off")
    assert str(placed.at("b", 4)) == str(placed)


def test_a_sample_error_comes_whole_from_another_process() -> None:
    error = SampleError("is cut off", path="a", record=1)
    assert str(pickle.loads(pickle.dumps(error))) == "a: record 1: is cut off"


def test_text_of_strangers_cannot_command_the_terminal() -> None:
    told = harmless("a\x1b]0;x\x07\r\nb\x9b2J\u202ec\u2028\udce9 \t")
    assert told == "a\\x1b]0;x\\x07\\r\nb\\x9b2J\\u202ec\\u2028\\xe9 \t"
    plain = "naïve 跳舞 'quoted' \\n 👩‍🚒.mp4"
    assert harmless(plain) == plain
    assert escaped("one\ntwo") == "one\\ntwo"
