"""Pages that list something list all of it."""

from __future__ import annotations

import re
import tomllib

import pytest

import videozoo
from test_docs import ROOT, tables
from videozoo.cli.doctor import FOR_DEVELOPERS


@pytest.mark.parametrize("page", ["docs/install.md", "docs/install.zh-CN.md"])
def test_the_install_page_lists_the_extras_and_what_they_bring(page: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {re.split("[<>=]", line)[0] for line in project["dependencies"]}
    ((_, rows),) = tables(ROOT / page)
    assert {row[0].strip("`") for row in rows} == {*extras} - FOR_DEVELOPERS
    for extra, libraries, _ in rows:
        brought = {re.split(r"[<>=\[]", line)[0] for line in extras[extra.strip("`")]}
        assert set(re.findall("`(.+?)`", libraries)) == brought - needed


def test_the_reference_has_every_public_name_of_the_package() -> None:
    page = (ROOT / "docs" / "reference.rst").read_text()
    named = set(re.findall(r"auto(?:function|class):: videozoo\.(\w+)$", page, re.MULTILINE))
    assert named == {*videozoo.__all__} - {"__version__", "models"}
