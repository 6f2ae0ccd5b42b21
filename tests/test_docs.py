"""The pages say what is true of the code, in both languages."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.main import get_command

from videozoo.cli.arguments import expand
from videozoo.cli.main import app
from videozoo.config import load_experiment
from videozoo.config.clip_keys import ClipSettings
from videozoo.config.experiment import DEFAULT
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.ini import MODES, parse_overrides
from videozoo.config.keys import Settings, SharedSettings
from videozoo.specs import SPECS, find_spec
from videozoo.specs.attention_cluster import AttentionClusterSettings
from videozoo.specs.attention_lstm import AttentionLSTMSettings
from videozoo.specs.linear import LinearSettings
from videozoo.specs.nextvlad import NeXtVLADSettings
from videozoo.specs.stnet import StNetSettings
from videozoo.specs.tsn import TSNSettings

ROOT = Path(__file__).parents[1]
ENGLISH_ONLY = {"results.md", "benchmarks.md"}
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ENGLISH = [
    page
    for page in [ROOT / "README.md", *(p for p in PAGES if "docs" in p.parts)]
    if not page.name.endswith(".zh-CN.md") and page.name not in ENGLISH_ONLY
]
# of others
FOREIGN_FLAGS = {
    "--device",
    "--extra-index-url",
    "--gpus",
    "--local-addr",
    "--node-rank",
    "--rdzv-conf",
    "--strict",
    "--user",
}
BENCHMARK_FLAGS = {
    flag
    for script in (ROOT / "benchmarks").glob("*.py")
    for flag in re.findall(r'"(--[a-z][\w-]*)"', script.read_text())
}
MODEL_PAGES = {
    "attention_cluster": "AttentionCluster",
    "attention_lstm": "AttentionLSTM",
    "linear": "LINEAR",
    "nextvlad": "NEXTVLAD",
    "stnet": "STNET",
    "tsn": "TSN",
}
# The classes whose own keys the tables of docs/config.md list, in their order.
CONFIG_TABLES = (
    SharedSettings,
    Settings,
    FeatureSettings,
    AttentionClusterSettings,
    AttentionLSTMSettings,
    LinearSettings,
    NeXtVLADSettings,
    ClipSettings,
    StNetSettings,
)
Row = list[str]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def chinese(page: Path) -> Path:
    return page.with_name(page.name.removesuffix(".md") + ".zh-CN.md")


@cache
def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and content of each code block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@cache
def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> list[tuple[int, str]]:
    return [(len(m[1]), m[2]) for m in re.finditer(r"^(#+) (.+)$", prose(page), re.MULTILINE)]


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings in links."""
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for _, h in headings(page)}


def tables(page: Path) -> list[tuple[Row, list[Row]]]:
    """Header and rows of each table."""
    found = []
    for table in re.findall(r"(?:^\|.*\|\n?)+", prose(page), re.MULTILINE):
        rows = [
            [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table.strip().splitlines()
        ]
        found.append((rows[0], rows[2:]))
    return found


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Command and arguments of every call of videozoo in the page's shell blocks."""
    for language, block in blocks(page):
        if language != "bash":
            continue
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["python"] and words[1].startswith(("examples/", "benchmarks/")):
                assert (ROOT / words[1]).exists(), words[1]
            elif words[:1] == ["python"] and words[1].endswith(".py"):
                yield words[1].removesuffix(".py"), words[2:]
            elif "videozoo" in words and words[0] in ("videozoo", "torchrun"):
                place = words.index("videozoo") + 1
                stop = place + (2 if words[place] in GROUPS else 1)
                yield " ".join(words[place:stop]), words[stop:]


@cache
def known_commands() -> dict[str, Any]:
    """Returns the commands by name, those of a group as "group command"."""
    known: dict[str, Any] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        if command.hidden:  # left the package
            continue
        inside = getattr(command, "commands", {})
        known |= {f"{name} {part}": c for part, c in inside.items()} or {name: command}
    return known


GROUPS = {name.split()[0] for name in known_commands() if " " in name}


def options_of(name: str) -> list[str]:
    parameters = known_commands()[name].params
    return [o for p in parameters for o in (*p.opts, *p.secondary_opts) if o.startswith("--")]


def own_keys(cls: type[SharedSettings]) -> dict[str, tuple[str, str]]:
    """Default and meaning of the keys that a class adds to its parent, or changes."""
    parent = cls.__mro__[1].model_fields if cls is not SharedSettings else {}
    return {
        key: (default_of(cls, key), field.description or "")
        for key, field in cls.model_fields.items()
        if key not in parent
        or (field.default, field.description) != (parent[key].default, parent[key].description)
    }


def default_of(cls: type[SharedSettings], key: str) -> str:
    field = cls.model_fields[key]
    return "required" if field.is_required() else f"`{field.default!r}`"


def config_value(model: str, key: str) -> str:
    """What the config that comes with a model says, by mode where the modes differ."""
    experiment = load_experiment(find_spec(model).keys, None)
    said: dict[str, list[str]] = {}
    for mode in MODES:
        if experiment.origins[mode][key] != DEFAULT:
            said.setdefault(repr(getattr(experiment[mode], key)), []).append(mode)
    if len(said) == 1:
        return f"`{next(iter(said))}`"
    return ", ".join(f"{' '.join(modes)} `{value}`" for value, modes in said.items())


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/config.md"} <= {name_of(p) for p in PAGES}
    assert len(ENGLISH) >= 11


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist_and_nothing_is_of_one_machine(page: Path) -> None:
    for path in re.findall(r"`((?:src|tests|configs|docs)/[\w./-]+)`", prose(page)):
        # "NAME" stands for a file to be written.
        assert "NAME" in path or (ROOT / path).exists(), path
    assert not re.search(r"(?<![\w.])/(?:work|tmp|root|home)/", page.read_text())


@pytest.mark.parametrize("page", ENGLISH, ids=name_of)
def test_both_languages_have_the_same_structure(page: Path) -> None:
    other = chinese(page)
    assert other.exists()
    assert [level for level, _ in headings(page)] == [level for level, _ in headings(other)]
    assert blocks(page) == blocks(other)
    sizes = [(len(header), len(rows)) for header, rows in tables(page)]
    assert sizes == [(len(header), len(rows)) for header, rows in tables(other)]
    assert f"]({other.name})" in page.read_text()
    assert f"]({page.name})" in other.read_text()


@pytest.mark.parametrize("page", ENGLISH, ids=name_of)
def test_both_languages_name_the_same_code(page: Path) -> None:
    spans = [sorted(set(re.findall(r"`([^`\n]+)`", prose(p)))) for p in (page, chinese(page))]
    assert spans[0] == spans[1]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(page: Path) -> None:
    known = known_commands()
    for name, arguments in commands(page):
        assert name in known
        expanded = expand(arguments, options_of(name))
        context = known[name].make_context(name, expanded)
        chosen = context.params.get("set_") or []
        model = context.params.get("model_name")
        classes = [SPECS[model].keys] if model else [spec.keys for spec in SPECS.values()]
        for _, key in parse_overrides(chosen):
            assert any(key in cls.model_fields for cls in classes), key


def test_the_pages_show_every_command() -> None:
    shown = {name for page in PAGES for name, _ in commands(page)}
    assert {*known_commands()} <= shown


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_flags_in_the_text_exist(page: Path) -> None:
    known = {o for name in known_commands() for o in options_of(name)}
    known |= {"--help", "--version", "--traceback"} | FOREIGN_FLAGS | BENCHMARK_FLAGS
    for span in re.findall(r"`([^`\n]*--[^`\n]*)`", prose(page)):
        for flag in re.findall(r"(?<!\S)--[a-z][\w-]*", span):
            spelled = flag.replace("_", "-")
            assert any(option.startswith(spelled) for option in known), flag


@pytest.mark.parametrize("page", ["docs/config.md", "docs/config.zh-CN.md"])
def test_the_config_page_lists_every_key_as_it_is(page: str) -> None:
    listed = [rows for header, rows in tables(ROOT / page) if header[1] in ("default", "默认值")]
    assert len(listed) == len(CONFIG_TABLES)
    for rows, cls in zip(listed, CONFIG_TABLES, strict=True):
        english = own_keys(cls)
        assert [row[0].strip("`") for row in rows] == list(english)
        for key, default, meaning in rows:
            expected, text = english[key.strip("`")]
            assert default == expected.replace("required", "必填" if "zh" in page else "required")
            assert "zh" in page or meaning == text
    assert not own_keys(TSNSettings)


@pytest.mark.parametrize("file", MODEL_PAGES)
@pytest.mark.parametrize("end", [".md", ".zh-CN.md"])
def test_the_key_tables_of_the_model_pages(file: str, end: str) -> None:
    model = MODEL_PAGES[file]
    cls = SPECS[model].keys
    page = ROOT / "docs" / "models" / f"{file}{end}"
    listed = [rows for header, rows in tables(page) if header[1] in ("default", "默认值")]
    (rows,) = listed
    for quoted, default, value, meaning in rows:
        key = quoted.strip("`")
        assert default.replace("必填", "required") == default_of(cls, key), key
        assert value == config_value(model, key), key
        assert end != ".md" or meaning == cls.model_fields[key].description
    assert {row[0].strip("`") for row in rows} >= set(own_keys(cls)) | {"num_classes"}


@pytest.mark.parametrize("page", ["docs/config", "docs/from-the-original"])
@pytest.mark.parametrize("end", [".md", ".zh-CN.md"])
def test_new_keys_belong_to_the_models_named(page: str, end: str) -> None:
    named = [t for t in tables(ROOT / f"{page}{end}") if t[0][1] in ("models", "模型")]
    ((_, rows),) = named
    assert len(rows) > 10
    for quoted, models, _ in rows:
        every = models in ("all", "全部")
        for model in SPECS if every else re.split(", |、", models):
            assert quoted.strip("`") in SPECS[model].keys.model_fields


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_imports_in_python_examples_work(page: Path) -> None:
    for language, block in blocks(page):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                assert all(importlib.import_module(alias.name) for alias in node.names)


@pytest.mark.parametrize("file", MODEL_PAGES)
def test_the_number_of_parameters(file: str) -> None:
    inference = load_experiment(find_spec(MODEL_PAGES[file]).keys, None)["INFER"]
    with torch.device("meta"):
        model = find_spec(inference.NAME).build(inference)
    number = f"{sum(p.numel() for p in model.parameters()):,}"
    page = ROOT / "docs" / "models" / f"{file}.md"
    assert number in page.read_text()
    assert number in chinese(page).read_text()
