"""The site: the Markdown pages of both languages as they are, and the reference from docstrings."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

from videozoo import __version__

project = "videozoo"
author = "The videozoo authors"
release = __version__
root_doc = "docs/index"
# The pages link to files of the whole repository, so it is the source folder; these are read of it.
include_patterns = ["*.md", "docs/**.md", "docs/*.rst"]
exclude_patterns = [".venv", ".git", "build", "demo", "docs/_build", "examples", "src", "tests"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_heading_anchors = 4  # as a code host names them, so that links to headings are checked
napoleon_use_ivar = True
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
html_theme = "furo"
html_title = f"videozoo {release}"
html_copy_source = False


def _index(app: Sphinx, error: Exception | None) -> None:
    """Writes the page that opens the site: the pages themselves lie as in the repository."""
    if error is None and app.builder.format == "html":
        page = '<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html">\n'
        Path(app.outdir, "index.html").write_text(page)


def setup(app: Sphinx) -> None:
    """Is called by Sphinx."""
    app.connect("build-finished", _index)
