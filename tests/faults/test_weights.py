"""State dicts as people have them are taken whole; what else lies in their files does nothing."""

from __future__ import annotations

import copy
import datetime
import enum
import pickle
import zipfile
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from videozoo.checkpoints.backbones import start_from, whole_state_dict
from videozoo.checkpoints.native import kind_of
from videozoo.checkpoints.torch_files import read_torch_file
from videozoo.errors import VideozooError
from videozoo.models import TSN, StNet
from videozoo.models.resnet import ResNet
from videozoo.training.state import load_state

State = dict[str, Tensor]
LAYERS = 18


def trunk(layers: int = LAYERS) -> State:
    torch.manual_seed(0)
    state = ResNet(num_layers=layers).state_dict()
    return {k: torch.rand_like(v) if "running" in k else v for k, v in state.items()}


def image(classes: int = 1000) -> State:
    return trunk() | {"fc.weight": torch.randn(classes, 512), "fc.bias": torch.zeros(classes)}


def behind(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def conv_modules(state: State) -> State:
    """The names of ResNets made of MMAction2's ConvModules."""
    named = {}
    for key, value in state.items():
        key = key.replace("downsample.0.", "downsample.conv.").replace(
            "downsample.1.", "downsample.bn."
        )
        for n in "123":
            key = key.replace(f"bn{n}.", f"conv{n}.bn.")
            if key.endswith(f"conv{n}.weight"):
                key = key.replace(f"conv{n}.", f"conv{n}.conv.")
        named[key] = value
    return named


def children(state: State) -> State:
    """The names in torch.nn.Sequential(*resnet.children())."""
    places = {"conv1": "0", "bn1": "1", "fc": "9"} | {f"layer{n}": f"{n + 3}" for n in range(1, 5)}
    return {
        ".".join([places[first], rest]): value
        for key, value in state.items()
        for first, _, rest in [key.partition(".")]
    }


def transformers(state: State) -> State:
    """The names of Transformers' ResNetForImageClassification."""
    named = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] in ("conv1", "bn1"):
            kind = "convolution" if parts[0] == "conv1" else "normalization"
            named[f"resnet.embedder.embedder.{kind}.{parts[1]}"] = value
            continue
        if parts[0] == "fc":
            named[f"classifier.1.{parts[1]}"] = value
            continue
        stage, block, what = int(parts[0][-1]) - 1, parts[1], parts[2]
        place = f"resnet.encoder.stages.{stage}.layers.{block}"
        if what == "downsample":
            kind = ("convolution", "normalization")[int(parts[3])]
            named[f"{place}.shortcut.{kind}.{parts[4]}"] = value
        else:
            kind = "convolution" if what.startswith("conv") else "normalization"
            named[f"{place}.layer.{int(what[-1]) - 1}.{kind}.{parts[3]}"] = value
    return named


def head(name: str, classes: int = 400) -> State:
    return {f"{name}.weight": torch.ones(classes, 512), f"{name}.bias": torch.zeros(classes)}


class Colour(enum.Enum):
    RED = 1


class Odd:
    def __init__(self) -> None:
        self.path, self.more = Path("a"), {1, 2}


class Trap:
    def __reduce__(self) -> Any:
        return print, ("code ran",)


class MethodTrap:
    def __reduce__(self) -> Any:
        return Path.write_text, (Path("ran"), "code ran")


TRUNK, STATE = trunk(), image()
OTHER = {key: value + 1 for key, value in TRUNK.items()}
MODEL = TSN(num_classes=6, num_layers=LAYERS)
BESIDE: dict[str, Any] = {
    "epoch": 3,
    "best_acc": np.float64(0.5),
    "matrix": np.zeros((2, 2), dtype=object),
    "args": Namespace(lr=0.1, out=Path("x")),
    "when": datetime.datetime(2024, 1, 2),
    "names": OrderedDict(a=1),
    "count": Counter("aab"),
    "lists": defaultdict(list, {"a": [1]}),
    "kinds": {Colour.RED, frozenset([1])},
    "odd": Odd(),
    "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
}
FILES: dict[str, Any] = {
    "plain": STATE,
    "ddp": behind("module.", STATE),
    "compiled": behind("_orig_mod.", STATE),
    "compiled ddp": behind("module._orig_mod.", STATE),
    "ddp compiled": behind("_orig_mod.module.", STATE),
    "compiled inside": behind("backbone._orig_mod.", TRUNK) | head("head"),
    "in model": {"model": STATE},
    "in state_dict": {"state_dict": STATE, "epoch": 3},
    "in model_state_dict": {"model_state_dict": STATE},
    "in net": {"net": behind("module.", STATE), "acc": 93.1, "epoch": 7},
    "in ema": {"ema": STATE, "updates": 12},
    "in a name of one's own": {"snapshot": {"generator": {"weights_of": STATE}}},
    "nested": {"checkpoint": {"model": {"state_dict": behind("module.net.", STATE)}}},
    "model and ema": {"model": STATE, "ema": OTHER},
    "timm": {"state_dict": STATE, "state_dict_ema": OTHER, "arch": "resnet18"},
    "Lightning": {"state_dict": behind("model.", STATE), "hyper_parameters": Namespace(a=1)},
    "Lightning, with a loss": {
        "state_dict": behind("net.", STATE) | {"loss.weight": torch.ones(9)}
    },
    "averaged": {"n_averaged": torch.tensor(7)} | behind("module.", STATE),
    "MMAction2, torchvision's ResNet": {
        "meta": {},
        "state_dict": behind("backbone.", TRUNK) | head("cls_head.fc_cls"),
    },
    "MMAction2": {
        "meta": {"when": datetime.date(2024, 1, 2)},
        "state_dict": behind("backbone.", conv_modules(TRUNK)) | head("cls_head.fc_cls"),
    },
    "TSN of 2017": {"state_dict": behind("module.base_model.", TRUNK) | head("module.new_fc")},
    "children": children(STATE),
    "children of a trunk": behind("features.", children(TRUNK)) | head("classifier"),
    "Transformers": transformers(STATE),
    "half": {k: v.half() if v.is_floating_point() else v for k, v in STATE.items()},
    "bfloat16": {k: v.bfloat16() if v.is_floating_point() else v for k, v in STATE.items()},
    "double": {k: v.double() if v.is_floating_point() else v for k, v in STATE.items()},
    "no counters": {k: v for k, v in STATE.items() if "num_batches" not in k},
    "parameters": {k: nn.Parameter(v, requires_grad=False) for k, v in STATE.items()},
    "numpy scalar": {"state_dict": STATE, "best_acc": np.float64(0.5)},
    "namespace": {"state_dict": STATE, "args": Namespace(lr=0.1)},
    "much beside": {"state_dict": OrderedDict(STATE)} | BESIDE,
    "code beside": {"state_dict": STATE, "trap": Trap(), "another": MethodTrap()},
}


def emptied(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for value in model.state_dict().values():
            value.fill_(7)
    return model


def taken(model: nn.Module, wanted: State) -> None:
    own = model.state_dict()
    checked = 0
    for key, value in wanted.items():
        if "num_batches" not in key:
            torch.testing.assert_close(own["backbone." + key], value, atol=1e-2, rtol=1e-2)
            checked += 1
    assert checked == 100


@pytest.mark.parametrize("name", FILES)
def test_state_dicts_as_people_have_them_are_taken(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.pth"
    torch.save(FILES[name], path)
    said = start_from(emptied(MODEL), path, model_name="TSN")
    taken(MODEL, TRUNK)
    assert any(sentence.startswith("head replaced: weights have") for sentence in said)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["MMAction2", "nested", "Transformers"])
def test_another_model_takes_the_image_network(name: str, tmp_path: Path) -> None:
    torch.save(FILES[name], tmp_path / "w.pth")
    stnet = emptied(StNet(num_classes=6, num_layers=LAYERS, seglen=1))
    said = start_from(stnet, tmp_path / "w.pth", model_name="STNET")
    taken(stnet, TRUNK)
    assert "start fresh" in said[-1]


@pytest.mark.parametrize("form", ["older", "protocol 4", "safetensors"])
def test_other_forms_of_files_are_taken(form: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    if form == "safetensors":
        save_file(behind("model.", STATE), path)
    elif form == "older":
        file = {"net": behind("module.", STATE)} | BESIDE
        torch.save(file, path, _use_new_zipfile_serialization=False)
    else:
        torch.save({"net": behind("module.", STATE)} | BESIDE, path, pickle_protocol=4)
    start_from(emptied(MODEL), path, model_name="TSN")
    taken(MODEL, TRUNK)


def test_what_is_left_aside_is_said(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"

    def said(file: Any) -> list[str]:
        torch.save(file, path)
        return start_from(TSN(num_classes=1000, num_layers=LAYERS), path, model_name="TSN")

    assert said(STATE) == []
    assert said({"model": STATE, "ema": OTHER}) == ["left aside: weights under 'ema'"]
    assert said(FILES["Lightning, with a loss"]) == ["left aside: loss.weight"]
    beside = said({"model": STATE, "trap": Trap()})
    assert beside == ["not read beside the weights: __builtin__.print"]
    assert said(FILES["numpy scalar"]) == []


def test_a_model_of_ours_in_a_state_dict_is_taken_whole(tmp_path: Path) -> None:
    old, new = (StNet(num_classes=6, num_layers=LAYERS, seglen=2) for _ in range(2))
    path = tmp_path / "w.pth"
    torch.save({"model": behind("module.", old.state_dict())}, path)
    assert start_from(new, path, model_name="STNET") == []
    for key, value in old.state_dict().items():
        assert torch.equal(new.state_dict()[key], value), key


def test_weights_for_use_are_taken_whole_or_refused(tmp_path: Path) -> None:
    path, own = tmp_path / "w.pth", TSN(num_classes=400, num_layers=LAYERS).state_dict()
    torch.save(FILES["MMAction2"], path)
    found = whole_state_dict(path, own)
    assert found.keys() == own.keys()
    assert torch.equal(found["fc.weight"], torch.ones(400, 512))
    torch.save(FILES["TSN of 2017"], path)
    assert torch.equal(whole_state_dict(path, own)["backbone.conv1.weight"], TRUNK["conv1.weight"])
    with pytest.raises(VideozooError, match=r"weights are for 400 classes.* num_classes = 6"):
        whole_state_dict(path, TSN(num_classes=6, num_layers=LAYERS).state_dict())
    torch.save(trunk(), path)
    with pytest.raises(VideozooError, match=r"2 missing: fc\.weight, fc\.bias"):
        whole_state_dict(path, own)


def test_what_fits_twice_or_not_is_refused_with_names(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"

    def refused(file: Any) -> str:
        torch.save(file, path)
        with pytest.raises(VideozooError) as caught:
            start_from(MODEL, path, model_name="TSN")
        return str(caught.value)

    twice = {"state_dict": behind("encoder_q.", STATE) | behind("encoder_k.", STATE)}
    assert "several networks that fit: 'state_dict.encoder_k', 'state_dict.enc" in refused(twice)
    assert "holds a ResNet-34" in refused({"net": behind("module.", trunk(34))})
    one_gone = {k: v for k, v in STATE.items() if k != "layer3.1.bn2.bias"}
    assert "1 missing: backbone.layer3.1.bn2.bias" in refused({"model": behind("x.", one_gone)})
    shifted = {k.replace("conv1.w", "conv1.net.w"): v for k, v in behind("m.", STATE).items()}
    assert "missing" in refused(shifted)
    more = {"state_dict": behind("backbone.", TRUNK | {"layer4.3.conv1.weight": torch.ones(1)})}
    assert "1 surplus: backbone.layer4.3.conv1.weight" in refused(more)
    assert "no state dict" in refused({"epoch": 3})
    whole = refused(TSN(num_classes=2, num_layers=LAYERS))
    assert "videozoo.models.tsn.TSN" in whole
    assert "torch.save(model.state_dict(), 'weights.pth')" in whole


def test_no_advice_of_pytorch_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    for file in (Trap(), TSN(num_classes=2, num_layers=LAYERS), {"w": Trap()}, [Namespace(a=1)]):
        for new in (True, False):
            torch.save(file, path, _use_new_zipfile_serialization=new)
            with pytest.raises(VideozooError) as caught:
                start_from(MODEL, path, model_name="TSN")
            error: BaseException | None = caught.value
            while error is not None:  # what a traceback would show
                assert not {"weights_only", "safe_globals", "\x1b"} & set(str(error).split())
                assert "weights_only" not in str(error)
                error = None if error.__suppress_context__ else error.__context__


def as_bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


@pytest.mark.parametrize("new", [True, False])
def test_a_state_that_carries_code_says_nothing_of_pytorch(new: bool, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").touch()
    state = {"format": 2, "position": {}, "model": {"w": Trap()}}
    torch.save(state, tmp_path / "x.state", _use_new_zipfile_serialization=new)
    with pytest.raises(
        VideozooError, match=r"holds more than weights \(__builtin__\.print\)"
    ) as said:
        load_state(tmp_path / "x.safetensors", "TSN")
    assert "weights_only" not in str(said.value)


def test_tensors_come_as_torch_load_gives_them(tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    file: dict[str, Any] = {
        "view": base[1:3, ::2],
        "transposed": base.t(),
        "expanded": torch.ones(1).expand(5),
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 4),
        "parameter": nn.Parameter(base.clone()),
        "values": [1, -2, 2**40, 1.5, True, None, "ö", b"x", (1, (2, 3))],
    }
    for dtype in (
        *(torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
        *(torch.float8_e4m3fn, torch.uint16, torch.uint32),
    ):
        file[str(dtype)] = torch.tensor([0, 1, 3], dtype=torch.float32).to(dtype)
    file["same"] = [base, base[0]]
    untyped = {"torch.float8_e4m3fn", "torch.uint16", "torch.uint32"}  # not in the older form
    for new in (True, False):
        file = file if new else {k: v for k, v in file.items() if k not in untyped}
        torch.save(file, tmp_path / "w", _use_new_zipfile_serialization=new)
        ours, unread = read_torch_file(tmp_path / "w")
        theirs = torch.load(tmp_path / "w", weights_only=True)
        assert ours.keys() == theirs.keys()
        assert ours["values"] == theirs["values"]
        compared = [(ours[k], theirs[k]) for k in theirs if k not in ("values", "same")]
        compared += list(zip(ours["same"], theirs["same"], strict=True))
        for mine, wanted in compared:
            assert (mine.dtype, mine.shape) == (wanted.dtype, wanted.shape)
            assert mine.stride() == wanted.stride()
            assert torch.equal(as_bytes(mine), as_bytes(wanted))
        assert unread == []


def zipped(path: Path, pickled: bytes, storages: dict[str, bytes] = {}, **how: Any) -> None:  # noqa: B006
    with zipfile.ZipFile(path, "w", **how) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)


def tensor_of(size: int, stride: int = 0, numbers: int = 4) -> bytes:
    """A pickle of {"w": a tensor}."""
    return (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(("
        b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + b"J"
        + numbers.to_bytes(4, "little")
        + b"tQK\x00\x8a\x08"
        + size.to_bytes(8, "little")
        + b"\x85\x8a\x08"
        + stride.to_bytes(8, "little")
        + b"\x85\x89}tRs."
    )


LAUGHS = b"\x80\x02}((q\x00tq\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"K\x01u."
HOSTILE: dict[str, Callable[[Path], None]] = {
    "a key that is hashed for ever": lambda p: zipped(p, LAUGHS),
    "bytes that are cleared": lambda p: zipped(
        p, b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x04\x85R."
    ),
    "a length that is a lie": lambda p: zipped(p, b"\x80\x02X\xff\xff\xff\x7fabc."),
    "one number a thousand million times": lambda p: zipped(
        p, tensor_of(1 << 40), {"0": bytes(16)}
    ),
    "numbers behind the end": lambda p: zipped(p, tensor_of(1 << 20, 1), {"0": bytes(16)}),
    "no storage": lambda p: zipped(p, tensor_of(4, 1)),
    "compressed": lambda p: zipped(
        p, tensor_of(4, 1), {"0": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED
    ),
    "steps without end": lambda p: zipped(p, b"\x80\x02" + b"]0" * 3_000_000 + b"."),
    "a long pickle": lambda p: zipped(p, b"\x80\x02" + bytes(17 << 20)),
    "an older one that claims storages": lambda p: p.write_bytes(
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."
        + tensor_of(4, 1, numbers=0x7FFFFFFF)
        + b"\x80\x02]X\x01\x00\x00\x000a."
    ),
    "pixels": lambda p: zipped(p, pickle.dumps(np.zeros(3), 2)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_a_sentence_at_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    HOSTILE[name](path)
    with pytest.raises(VideozooError) as caught:
        start_from(MODEL, path, model_name="TSN")
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 500


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(VideozooError, match="bytes of it have changed"):
        start_from(MODEL, path, model_name="TSN")


def test_other_files_are_named_for_what_they_are(tmp_path: Path) -> None:
    def told(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        try:
            kind_of(path)
            read_torch_file(path)
        except VideozooError as error:
            return str(error)
        return "was read"

    assert "is an ONNX model" in told("a.onnx", b"\x08\x07\x12\x07pytorch")
    assert "is an HDF5 file" in told("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(9))
    assert "is a file of Paddle 2" in told("a.pdiparams", bytes(20))
    assert "is a web page" in told("w.pth", b"<!DOCTYPE html><html>")
    assert "git lfs pull" in told("w.safetensors", b"version https://git-lfs.github.com/spec/v1\n")
    assert "is a pickle, but no file of torch.save" in told("w.pth", pickle.dumps([1], 2))
    torch.jit.script(nn.Linear(1, 1)).save(tmp_path / "s.pt")
    assert "is a program of TorchScript" in told("s.pt", (tmp_path / "s.pt").read_bytes())
    np.savez(tmp_path / "n.npz", a=np.zeros(2))
    assert "is a file of numpy" in told("n.npz", (tmp_path / "n.npz").read_bytes())


def test_a_folder_of_checkpoints_and_a_state_say_what_to_give(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name in ("STNET_best", "STNET_last", "STNET_epoch1"):
        save_file({"a": torch.zeros(1)}, folder / f"{name}.safetensors")
    (folder / "STNET_last.state").write_bytes(b"PK\x03\x04")
    with pytest.raises(VideozooError) as caught:
        kind_of(folder)
    assert f"give {folder / 'STNET_best.safetensors'} (or one of the 2 others" in str(caught.value)
    with pytest.raises(VideozooError) as caught:
        kind_of(folder / "STNET_last.state")
    assert f"lie beside it: {folder / 'STNET_last.safetensors'}" in str(caught.value)


def test_nothing_of_a_file_changes_what_reads_it(tmp_path: Path) -> None:
    """BUILD would set attributes of the functions and classes that a pickle names."""
    before = copy.copy(torch._utils._rebuild_tensor_v2.__defaults__)
    for name in (b"torch._utils\n_rebuild_tensor_v2", b"collections\nOrderedDict", b"a\nB"):
        zipped(tmp_path / "w", b"\x80\x02c" + name + b"\n}X\x0c\x00\x00\x00__defaults__)sb.")
        read_torch_file(tmp_path / "w")
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before
    assert OrderedDict([(1, 2)]) == {1: 2}
