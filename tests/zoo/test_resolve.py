"""What `--weights` means: a path, a name of the zoo, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from published import archive_of, weights_of
from served import Served, serving
from tiny import World
from videozoo.errors import VideozooError
from videozoo.experiments import Weights
from videozoo.inputs import open_weights
from videozoo.zoo import archives, store
from videozoo.zoo.archives import VideoWeights
from videozoo.zoo.resolve import find_weights, resolve_weights


def test_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_weights("tsn") is find_weights("TSN_kinetics") is archives.of_model("TSN")
    Path("tsn").touch()
    assert find_weights("tsn") == resolve_weights("tsn") == Path("tsn")
    assert resolve_weights(tmp_path) == tmp_path


@pytest.mark.parametrize("find", [find_weights, resolve_weights])
def test_what_there_is_not(find: object, tmp_path: Path) -> None:
    for given, said in (
        ("tsn_kinetcs", "tsn_kinetcs: there is no such checkpoint; did you mean 'tsn_kinetics'?"),
        (tmp_path / "x", f"{tmp_path / 'x'}: there is no such checkpoint"),
        ("resnet50", "resnet50: is an image ResNet, no video model; give it to --pretrain"),
        (None, "no weights and no model are given; give --weights"),
    ):
        with pytest.raises(VideozooError) as error:
            find(given)  # type: ignore[operator]
        assert str(error.value) == said


def test_nothing_given_means_what_was_published_of_the_model(
    feature_data: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[VideoWeights] = []
    with serving({"tiny.tar.gz": Served(archive_of(feature_data, tmp_path))}) as site:
        published = weights_of(feature_data, site.url("tiny.tar.gz"))
        monkeypatch.setattr(archives, "WEIGHTS", (published,))
        monkeypatch.setattr(
            archives, "check_weights", lambda found, *_, **__: checked.append(found)
        )
        for given in (None, "tiny"):
            loaded = open_weights(Weights.named(given), feature_data.experiment)
            assert loaded.path == store.pulled(published)
    assert site.asked == ["tiny.tar.gz"]
    assert checked == [published, published]
    with pytest.raises(VideozooError, match="no weights of TSN are given, and none were published"):
        find_weights(None, model="TSN")


def test_weights_that_do_not_fit_are_not_fetched(
    feature_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(published: VideoWeights, *_: object, **__: object) -> None:
        raise VideozooError(f"{published.name} does not fit")

    monkeypatch.setattr(archives, "check_weights", check)
    with pytest.raises(VideozooError, match="tsn_kinetics does not fit"):
        open_weights(Weights.named("tsn"), feature_data.experiment)
