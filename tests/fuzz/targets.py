"""What reads files of strangers, each as a function of bytes: it returns, or says what is wrong.

`TARGETS` has them by name; each has a small corpus of the same name beside this file.
"""

from __future__ import annotations

import atexit
import gzip
import io
import json
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from videozoo.checkpoints.exports import export_text
from videozoo.checkpoints.fluid import read_fluid
from videozoo.checkpoints.native import read_native_header
from videozoo.checkpoints.pdparams import read_pdparams
from videozoo.checkpoints.pt2 import check_pt2
from videozoo.checkpoints.state_dicts import find_state_dict
from videozoo.checkpoints.torch_files import TorchFile, read_torch_file
from videozoo.config import load_experiment
from videozoo.config.ini import parse_overrides
from videozoo.data.clips.clip_list import read_listing
from videozoo.data.clips.clip_pickles import load_clip
from videozoo.data.clips.metadata import read_metadata
from videozoo.data.labels import read_label_file
from videozoo.data.youtube8m.example import parse_example
from videozoo.data.youtube8m.index import index_shards
from videozoo.data.youtube8m.pickles import load_shard, parse_record
from videozoo.data.youtube8m.tfrecord import RecordReader, index_shard
from videozoo.encoders.hub_frames import frames_wanted
from videozoo.encoders.recipe import stored_recipe
from videozoo.errors import VideozooError
from videozoo.pickling.unpickle import load_pickle
from videozoo.specs import find_spec, stored_experiment
from videozoo.timeline.writing import read_segments
from videozoo.training.log import Curves
from videozoo.training.state import load_state
from videozoo.video.bitstream import packet_facts, unit_length_size
from videozoo.zoo import archives, store

NAMES = ("rgb", "audio")
CLASSES = ["jump", "run"]


@cache
def folder() -> Path:
    """Returns a folder in memory, where there is one, that the process leaves empty."""
    memory = Path("/dev/shm")
    made = tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def written(name: str, data: bytes) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


def config_file(data: bytes) -> None:
    load_experiment(find_spec("TSN").keys, str(written("tsn.txt", data)))


def overrides(data: bytes) -> None:
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    load_experiment(find_spec("NEXTVLAD").keys, None, overrides=lines)
    parse_overrides(lines)


def label_file(data: bytes) -> None:
    suffix = ".json" if data.lstrip()[:1] in (b"[", b"{") else ".csv"
    read_label_file(str(written(f"labels{suffix}", data)))


def clip_list(data: bytes) -> None:
    path = written("list.csv" if b"path" in data[:200] else "list.txt", data)
    written("a.mp4", b"")
    for labelled in (True, False):
        try:
            read_listing(path, labelled=labelled, multi_label=labelled)
        except VideozooError:
            continue
    read_listing(path, class_names=CLASSES)


def example(data: bytes) -> None:
    parse_example(data, NAMES)


def tfrecord(data: bytes) -> None:
    path = written("a.tfrecord", data)
    index, reader = index_shard(path), RecordReader()
    for record in range(min(len(index.lengths), 50)):
        parse_example(reader.read(path, *reader.place(index, record)), NAMES)


def shard_cache(data: bytes) -> None:
    """What a cache says of a shard is what the shard is, or is not believed."""
    os.environ["VIDEOZOO_CACHE"] = str(folder() / "cache")
    path = written("one.tfrecord", SHARD)
    os.utime(path, ns=(10**18, 10**18))
    (truth,), _ = index_shards([path])
    (file,) = (folder() / "cache").rglob("*.index")
    written_before = file.read_bytes()
    file.write_bytes(data.replace(b"PATH", os.path.abspath(path).encode()))
    (found,), _ = index_shards([path])
    file.write_bytes(written_before)
    assert list(found.records.lengths) == list(truth.records.lengths)


def plain_pickle(data: bytes) -> None:
    load_pickle(data, what="it")


def shard_pickle(data: bytes) -> None:
    for record in load_shard(written("a.pkl", data)):
        parse_record(record, NAMES)


def clip_pickle(data: bytes) -> None:
    load_clip(written("clip.pkl", data))


def fluid_variable(data: bytes) -> None:
    (folder() / "fluid").mkdir(exist_ok=True)
    read_fluid(written("fluid/fc_0.w_0", data).parent)


def fluid_archive(data: bytes) -> None:
    read_fluid(written("a.tar.gz", data if data[:1] == b"\x1f" else gzip.compress(data, 1)))


def description(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    head = json.dumps({"__metadata__": {"videozoo": text}}).encode()
    path = written("w.safetensors", struct.pack("<Q", len(head)) + head)
    header = read_native_header(path)
    stored_experiment(header, source=str(path))


def safetensors_file(data: bytes) -> None:
    read_torch_file(written("x.safetensors", data))
    read_native_header(folder() / "x.safetensors")


def torch_pickle(data: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", data)
        archive.writestr("a/data/0", bytes(range(64)))
    file = read_torch_file(written("w.pth", buffer.getvalue()))
    find_state_dict(file, WANTED, "w.pth")


def torch_file(data: bytes) -> None:
    find_state_dict(read_torch_file(written("v.pth", data)), WANTED, "v.pth")


def state_dict(data: bytes) -> None:
    """Dicts in dicts; every number is a tensor with so many dimensions."""
    find_state_dict(TorchFile(tensors_of(_json(data)), []), WANTED, "w.pth")


def pdparams(data: bytes) -> None:
    read_pdparams(written("w.pdparams", data), wanted=lambda name, shape: True, most=1 << 20)


def exported(data: bytes) -> None:
    """What an exported file says of itself, and whether PyTorch may open it."""
    for suffix in (".onnx", ".xml"):
        export_text(written(f"e{suffix}", data))
    with zipfile.ZipFile(folder() / "e.pt2", "w") as archive:
        archive.writestr("e/models/model.json", data)
        archive.writestr("e/extra/videozoo.json", data)
    export_text(folder() / "e.pt2")
    check_pt2(folder() / "e.pt2")


def metadata(data: bytes) -> None:
    (folder() / "videos").mkdir(exist_ok=True)
    for name in ("metadata.csv", "metadata.jsonl"):
        read_metadata(written(f"videos/{name}", data).parent)
        (folder() / "videos" / name).unlink()


def segments(data: bytes) -> None:
    read_segments(written("x_infer_timeline.json", data))


def curves(data: bytes) -> None:
    Curves(written("curves.csv", data), folder(), after_step=5, within_epoch=True)


def training_state(data: bytes) -> None:
    """A state whose values are other ones; every list of numbers is a tensor."""
    torch.save(tensors_of(_json(data), lists=True), folder() / "x.state")
    written("x.safetensors", b"")
    load_state(folder() / "x.safetensors", "TSN")


def packets(data: bytes) -> None:
    """No packet may end a reading; an empty one has no header."""
    key, size, data = data[:1] < b"\x80", data[1:2], data[2:] or b"\0"
    for codec in ("h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "prores", "other"):
        unit_length_size(codec, data)
        packet_facts(codec, data, is_key=key, unit_length_size=sum(size) % 5)


def preprocessor(data: bytes) -> None:
    for name in ("preprocessor_config.json", "processor_config.json"):
        written(name, data)
    for video in (True, False):
        frames_wanted(folder(), video=video, processor="CLIP")


def recipe(data: bytes) -> None:
    (folder() / "rows").mkdir(exist_ok=True)
    (folder() / "rows" / "scale.safetensors").write_bytes(SCALE)
    written("rows/features.json", data)
    stored_recipe(folder() / "rows")


def pull_record(data: bytes) -> None:
    os.environ["VIDEOZOO_HOME"] = str(folder())
    (folder() / "zoo").mkdir(exist_ok=True)
    published = archives.named("resnet18")
    assert published is not None
    store.record_path(published).write_bytes(data)
    store.pulled(published)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def tensors_of(value: Any, *, lists: bool = False) -> Any:
    if isinstance(value, dict):
        return {key: tensors_of(each, lists=lists) for key, each in value.items()}
    if lists and isinstance(value, list) and value and all(type(n) is float for n in value):
        return torch.tensor(value)
    if not lists and type(value) is int and 0 <= value < 5:
        return torch.zeros((2,) * value)
    return value


WANTED = ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer1.0.downsample.0.weight"]
CORPUS = Path(__file__).with_name("corpus")
SHARD = (CORPUS / "tfrecord" / "two").read_bytes()
SCALE = struct.pack("<Q", 2) + b"{}"

TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        *(config_file, overrides, label_file, clip_list, example, tfrecord, shard_cache),
        *(plain_pickle, shard_pickle, clip_pickle, fluid_variable, fluid_archive, description),
        *(safetensors_file, torch_pickle, torch_file, state_dict, curves, training_state),
        *(packets, preprocessor, recipe, pull_record, pdparams, exported, metadata, segments),
    )
}


def one_input(name: str, data: bytes) -> None:
    """Gives one input to a target: a sentence may come of it, and nothing else."""
    sentence = ""
    try:
        TARGETS[name](data)
    except VideozooError as error:
        sentence = str(error)
    assert "weights_only" not in sentence
    assert len(sentence) < 100_000
