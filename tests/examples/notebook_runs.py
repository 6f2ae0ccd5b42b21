"""Executes the example notebook; run as a script, stores it with what it gave.

.venv/bin/python tests/examples/notebook_runs.py
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

NOTEBOOK = Path(__file__).parents[2] / "examples" / "own_videos.ipynb"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(
    folder: Path, settings: Mapping[str, str], *, timeout: int, ask: str = ""
) -> NotebookNode:
    """Returns the notebook with the outputs of a run in `folder`, on one thread.

    Args:
        folder: where its kernel runs and writes.
        settings: environment variables besides those of this process.
        timeout: seconds that one cell may take.
        ask: code of one more cell at the end.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if ask:
        notebook.cells.append(new_code_cell(ask))
    kept = {key: v for key, v in os.environ.items() if not key.startswith("VIDEOZOO_NOTEBOOK_")}
    # The notebook finds the demo beside it, but it does not run beside it here.
    paths = [str(NOTEBOOK.parent / "demo"), *filter(None, [kept.get("PYTHONPATH")])]
    kept["PYTHONPATH"] = os.pathsep.join(paths)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(
        env={
            **kept,
            "OMP_NUM_THREADS": "1",
            "IPYTHONDIR": str(folder / ".ipython"),
            "PYTHONWARNINGS": "ignore:IProgress",  # tqdm's, where ipywidgets is not installed
            **settings,
        }
    )
    return notebook


def store(notebook: NotebookNode) -> None:
    """Writes the notebook with its outputs, without what differs from machine to machine."""
    notebook.metadata = NotebookNode(METADATA)
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as run_in:
        store(execute(Path(run_in), {}, timeout=3600))
