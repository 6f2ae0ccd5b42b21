"""Class names and image ResNets, which come with published weights."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import pytest
import torch

from published import archive_of, image_resnet, left, refused, weights_of
from served import Served, serving
from tiny import FEATURE_CLASSES, World
from videozoo.checkpoints.fluid import write_fluid
from videozoo.checkpoints.names import FluidName, resnet_table, to_fluid
from videozoo.checkpoints.native import load_native, read_safetensors
from videozoo.zoo import archives, store
from videozoo.zoo.archives import ImageResNet
from videozoo.zoo.convert import class_names
from videozoo.zoo.store import pull


@pytest.fixture
def archive(feature_data: World, tmp_path: Path) -> bytes:
    return archive_of(feature_data, tmp_path)


def test_class_names_of_kinetics() -> None:
    names = class_names(archives.of_model("TSN"))
    assert names is not None
    assert len(names) == 400
    assert names == sorted(names)  # the order of the class numbers
    assert (names[0], names[232], names[399]) == ("abseiling", "playing guitar", "zumba")
    assert len(set(names)) == 400


def vocabulary(names: list[str]) -> bytes:
    rows = [f'{i},1,/m/{i},"{name}",http://x,a,,,text' for i, name in enumerate(names)]
    header = "Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,V1,V2,V3,WikiDescription"
    return "\n".join([header, *rows, ""]).encode()


def test_class_names_of_youtube8m_are_fetched_once(
    feature_data: World, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"tiny.tar.gz": Served(archive), "vocabulary.csv": Served(vocabulary(FEATURE_CLASSES))}
    with serving(files) as site:
        monkeypatch.setenv("VIDEOZOO_ZOO_MIRROR", site.address)
        published = weights_of(feature_data, labels="youtube8m")
        path = pull(published)
        assert load_native(path).labels == FEATURE_CLASSES
        path.unlink()
        pull(published)
    assert site.asked.count("vocabulary.csv") == 1
    assert left() == ["tiny.json", "tiny.safetensors", "vocabulary.csv"]


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        (None, "answers 404 Not Found"),
        (Served(b"<html>\nlog in"), "gives no class names: .*num_classes is 8"),
        (Served(vocabulary(FEATURE_CLASSES[:5])), "gives no class names: .*num_classes is 8"),
    ],
)
def test_without_class_names_the_weights_are_kept_all_the_same(
    feature_data: World,
    archive: bytes,
    served: Served | None,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    files = {"tiny.tar.gz": Served(archive)} | ({"vocabulary.csv": served} if served else {})
    with serving(files) as site:
        monkeypatch.setenv("VIDEOZOO_ZOO_MIRROR", site.address)
        path = pull(weights_of(feature_data, labels="youtube8m"), say=said.append)
    assert load_native(path).labels is None
    assert re.match(rf"tiny is kept without class names \(.*{reason}", said[-1])
    assert "MODEL.label_file" in said[-1]
    assert left() == ["tiny.json", "tiny.safetensors"]


def resnet_of(file: str, url: str = "http://127.0.0.1:9/x", **more: str) -> ImageResNet:
    return ImageResNet(
        name="small", num_layers=18, file=file, addresses=(url,), data="", scores="", **more
    )


def test_image_resnets_of_both_kinds(tmp_path: Path) -> None:
    state = image_resnet()
    torch.save(state, tmp_path / "r.pth")
    head = {"fc.weight": FluidName("fc_0.w_0", transpose=True), "fc.bias": FluidName("fc_0.b_0")}
    write_fluid(tmp_path / "r.tar.gz", to_fluid(state, resnet_table(state) | head))
    for name in ("r.pth", "r.tar.gz"):
        data = (tmp_path / name).read_bytes()
        with serving({name: Served(data)}) as site:
            published = resnet_of(name, site.url(name))
            path = pull(published)
        found = read_safetensors(path)
        assert all(torch.equal(found[k], v) for k, v in state.items() if v.is_floating_point())
        path.unlink()
        store.record_path(published).unlink()


def test_a_resnet_that_torchvision_has_fetched(tmp_path: Path) -> None:
    file = tmp_path / "torch" / "hub" / "checkpoints" / "r.pth"
    file.parent.mkdir(parents=True)
    torch.save(image_resnet(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    path = pull(resnet_of("r.pth", sha256=digest))
    assert "fc.weight" in read_safetensors(path)
    path.unlink()
    file.write_bytes(file.read_bytes() + b"x")  # then it is fetched, not taken
    assert "cannot be reached" in refused(resnet_of("r.pth", sha256=digest))


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("escaped"),))


def test_a_resnet_that_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"fc.weight": Trap()}, tmp_path / "r.pth")
    with serving({"r.pth": Served((tmp_path / "r.pth").read_bytes())}) as site:
        said = refused(resnet_of("r.pth", site.url("r.pth")))
    assert "holds more than weights" in said
    assert not Path("escaped").exists()


def test_a_resnet_of_another_depth(tmp_path: Path) -> None:
    torch.save(image_resnet(), tmp_path / "r.pth")
    with serving({"r.pth": Served((tmp_path / "r.pth").read_bytes())}) as site:
        published = dataclasses.replace(resnet_of("r.pth", site.url("r.pth")), num_layers=34)
        assert "holds a ResNet-18" in refused(published)
