"""Config files: the original's values, its habits of writing, and every fault named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from videozoo.config import bundled_config, find_config, load_experiment, resolve
from videozoo.errors import VideozooError
from videozoo.specs import SPECS, find_spec, guess_model


def written(tmp_path: Path, text: str, name: str = "config.txt") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def refused(model: str, path: str | None, **changes: Any) -> str:
    with pytest.raises(VideozooError) as caught:
        load_experiment(find_spec(model).keys, path, **changes)
    return str(caught.value)


# Spelled as people do: comments, blanks, colons, any case of keys and sections, literals.
OLD_STYLE = """
# a comment
; another
[model]
name = "AttentionLSTM"
dataset = "YouTube-8M"
bone_nework = None
Drop_Rate: 0.25
FEATURE_NUM = 2
feature_names = ['rgb',
                 'audio']
feature_dims = [ 1024, 128 ]
embedding_size = 0x200   # as a literal may be written
lstm_size = 1024
num_classes = 3862
topk = 20

[TRAIN]
Learning_Rate = 1
batch_size = 1_024
use_gpu = True
weight_decay = 8e-4
pretrain_base = None
"""


def test_an_old_file_runs_unchanged(tmp_path: Path) -> None:
    experiment = load_experiment(find_spec("attentionlstm").keys, written(tmp_path, OLD_STYLE))
    train, test = experiment["TRAIN"], experiment["TEST"]
    assert (train.learning_rate, train.batch_size, train.use_gpu) == (1, 1024, True)
    assert (train.weight_decay, train.pretrain_base) == (8e-4, None)
    assert test.model_arguments() == {
        "feature_dims": [1024, 128],
        "num_classes": 3862,
        "embedding_size": 512,
        "lstm_size": 1024,
        "drop_rate": 0.25,
        "hidden_sizes": [8192, 4096],
    }
    assert test.batch_size == 1  # TRAIN's own value stays in TRAIN


def test_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbf[MODEL]\r\nnum_classes = 7\r\n")
    assert load_experiment(find_spec("TSN").keys, str(path))["TEST"].num_classes == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[MODEL]\nnum_clases = 4",
            "[MODEL] num_clases: TSN has no such key; did you mean 'num_cl",
        ),
        ("[MODEL]\nnum_classes = 4\n[TRIAN]\nepoch = 1", "[TRIAN]; did you mean 'TRAIN'"),
        ("[MODEL]\nnum_classes = '4'", "[MODEL] num_classes: input should be a valid integer"),
        ("[MODEL]\nnum_classes = True", "num_classes: input should be a valid integer (it is True"),
        ("[MODEL]\nnum_classes = 0", "num_classes: input should be greater than or equal to 1"),
        (
            "[MODEL]\nnum_classes = 4\nfilelist = a.list",
            "filelist = a.list is not a Python literal",
        ),
        ("[MODEL]\nnum_classes = 2 + 2", "num_classes = 2 + 2 is not a Python literal"),
        ("[MODEL]\nnum_classes = __import__('os').getpid()", "is not a Python literal"),
        ("[MODEL]\nseg_num = 3", "num_classes is missing"),
        ("[MODEL]\nnum_classes = 4\nseglen = 5", "TSN takes one frame a segment"),
        ("[MODEL]\nnum_classes = 4\nframe_interval = 5", "TSN takes one frame a segment"),
        ("[MODEL]\nnum_classes = 4\n[TEST]\ntarget_size = 300", "[TEST] target_size 300 is larger"),
        ("[MODEL]\nnum_classes = 4\nnum_layers = 51", "num_layers"),
        ("[MODEL]\nnum_classes = 4\nformat = 'avi'", "format"),
        ("num_classes = 4", "not a readable config file"),
        ("[MODEL]\nnum_classes = 4\nnum_classes = 5", "not a readable config file"),
    ],
)
def test_faults_of_a_file_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    message = refused("TSN", path)
    assert said in message
    assert path in message
    assert "pydantic" not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused("TSN", str(tmp_path / "none.txt")).endswith("none.txt: no such config file")


def test_several_faults_are_all_named(tmp_path: Path) -> None:
    path = written(
        tmp_path, "[MODEL]\nnum_classes = 4\nmomentums = 1\nseg_nums = 3\n[TEST]\nbatchsize = 1\n"
    )
    message = refused("TSN", path)
    assert message.startswith("3 things are wrong:")
    assert all(word in message for word in ("'momentum'", "'seg_num'", "'batch_size'"))
    path = written(tmp_path, "[MODEL]\nnum_classes = 'a'\nmomentum = 2.0\nflip = 1\n")
    message = refused("TSN", path)
    # a fault in MODEL shows in four modes, and is said once
    assert message.startswith("3 things are wrong:")
    assert [message.count(key) for key in ("num_classes", "momentum", "flip")] == [1, 1, 1]


def test_unknown_model_names_the_nearest() -> None:
    message = refused("AttentionClusters", None)
    assert "did you mean 'AttentionCluster'" in message
    assert "NEXTVLAD" in message


def test_what_stands_above_what(tmp_path: Path) -> None:
    path = written(tmp_path, "[MODEL]\nnum_classes=4\nseg_num=3\nbatch_size=2\n[TEST]\nseg_num=7\n")
    file = load_experiment(find_spec("TSN").keys, path)
    assert [file[m].seg_num for m in ("VALID", "TEST", "INFER")] == [3, 7, 3]
    typed = load_experiment(
        find_spec("TSN").keys,
        path,
        overrides=["model.SEG_NUM=9", "TEST.label_file=names with blanks.txt", "TRAIN.epoch=1"],
        flags={("TRAIN", "epoch"): (8, "--epoch-num")},
    )
    # --set MODEL stands above the file's TEST; a flag above --set
    assert [typed[m].seg_num for m in ("VALID", "TEST", "INFER")] == [9, 9, 9]
    assert typed["TEST"].label_file == "names with blanks.txt"
    assert (typed["TRAIN"].epoch, typed["VALID"].epoch) == (8, 1)
    mode = load_experiment(
        find_spec("TSN").keys, path, overrides=["MODEL.seg_num=9", "TEST.seg_num=25"]
    )
    assert [mode[m].seg_num for m in ("VALID", "TEST")] == [9, 25]
    origins = typed.origins
    assert str(origins["TEST"]["seg_num"]) == "--set MODEL.seg_num"
    assert str(origins["TRAIN"]["epoch"]) == "--epoch-num"
    assert str(origins["TRAIN"]["batch_size"]) == f"{path} [MODEL]"
    assert str(file.origins["TEST"]["seg_num"]) == f"{path} [TEST]"
    assert str(file.origins["TEST"]["momentum"]) == "default"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("TEST.seg_nums=3", "TSN has no such key; did you mean 'seg_num'"),
        ("TST.seg_num=3", "unknown section; did you mean 'TEST'"),
        ("seg_num=3", "write it as SECTION.key=value"),
        ("TEST.seg_num", "write it as SECTION.key=value"),
        ("TEST.seg_num=many", "input should be a valid integer (it is 'many')"),
        (
            "MODEL.decoder=torchcodec",
            "PyAV alone from 0.2.0 on, which is faster by our figures; leave",
        ),
    ],
)
def test_faults_of_set_are_named(setting: str, said: str) -> None:
    message = refused("TSN", None, overrides=[setting])
    assert said in message
    assert message.startswith("--set")


def test_the_only_decoder_may_still_be_named() -> None:
    assert load_experiment(find_spec("TSN").keys, None, overrides=["MODEL.decoder=pyav"])["TEST"]


def test_nextvlad_takes_its_dims_from_the_sizes(tmp_path: Path) -> None:
    sizes = "[MODEL]\nnum_classes=4\nvideo_feature_size=16\naudio_feature_size=8\n"
    arguments = load_experiment(find_spec("NEXTVLAD").keys, written(tmp_path, sizes))[
        "TEST"
    ].model_arguments()
    assert arguments["feature_dims"] == [16, 8]
    more = sizes + "feature_names=['rgb','audio','flow']\nfeature_dims=[24, 8, 16]\n"
    arguments = load_experiment(find_spec("NEXTVLAD").keys, written(tmp_path, more))[
        "TEST"
    ].model_arguments()
    assert arguments["feature_dims"] == [24, 8, 16]


@pytest.mark.parametrize(("size", "said"), [("'x'", "a valid integer"), ("0", "equal to 1")])
def test_nextvlads_sizes_are_checked_once(tmp_path: Path, size: str, said: str) -> None:
    path = written(tmp_path, f"[MODEL]\nnum_classes=4\nvideo_feature_size={size}\n")
    message = refused("NEXTVLAD", path)
    assert f"{path} [MODEL] video_feature_size: " in message
    assert said in message
    assert "things are wrong" not in message


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("feature_dims=[8]", "feature_dims has 1 entries, feature_names 2"),
        ("feature_num=3", "feature_num is 3, feature_names has 2 entries"),
        ("cluster_nums=[4]", "cluster_nums has 1 entries, feature_names 2"),
    ],
)
def test_one_entry_a_modality(tmp_path: Path, keys: str, said: str) -> None:
    path = written(tmp_path, f"[MODEL]\nnum_classes=4\n{keys}\n")
    assert said in refused("AttentionCluster", path)


def test_groups_must_divide(tmp_path: Path) -> None:
    path = written(tmp_path, "[MODEL]\nnum_classes=4\ngroups=7\n")
    assert "groups = 7 does not divide 1024 x expansion 2" in refused("NEXTVLAD", path)


@pytest.mark.parametrize("model", SPECS)
def test_a_config_comes_back_from_a_checkpoint(model: str) -> None:
    before = load_experiment(find_spec(model).keys, None, overrides=["TEST.topk=3"])
    kept = json.loads(json.dumps(before.as_dict()))
    after = resolve(find_spec(model).keys, kept, source="x.safetensors")
    assert after.modes == before.modes
    changed = resolve(
        find_spec(model).keys,
        kept,
        source="x.safetensors",
        overrides={("MODEL", "topk"): 5},
        flags={("TEST", "batch_size"): (3, "--batch-size")},
    )
    assert [changed[m].topk for m in ("TRAIN", "TEST")] == [5, 5]
    assert (changed["TEST"].batch_size, changed["VALID"].batch_size) == (
        3,
        before["VALID"].batch_size,
    )
    assert str(changed.origins["TEST"]["batch_size"]) == "--batch-size"
    assert str(changed.origins["TEST"]["num_classes"]) == "x.safetensors [TEST]"


def test_where_configs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tsn = find_spec("TSN").keys
    assert find_config(None, find_spec("STNET").keys) == bundled_config("stnet.txt")
    assert find_config("./configs/tsn.txt", tsn) == bundled_config("tsn.txt")
    (tmp_path / "configs").mkdir()
    own = written(tmp_path / "configs", "[MODEL]\nnum_classes = 3\nname = 'stnet'\n", "tsn.txt")
    assert find_config("configs/tsn.txt", tsn) == Path("configs/tsn.txt")
    assert guess_model(Path(own)) == "STNET"  # its name key tells more than the file's name
    assert guess_model(Path("nextvlad.txt")) == "NEXTVLAD"
    assert guess_model(Path("mine.txt")) is None
