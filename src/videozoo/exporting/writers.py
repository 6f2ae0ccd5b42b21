"""Graphs as files: traced once by torch.export, then written in one of three forms."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram
from torch.torch_version import TorchVersion

from videozoo.checkpoints.exports import KEY, PT2_FILE
from videozoo.errors import VideozooError
from videozoo.exporting.graphs import Graph
from videozoo.extras import EXPORT, imported


def traced(graph: Graph) -> ExportedProgram:
    """Traces a graph, its named sizes free.

    Raises:
        VideozooError: it cannot be traced, or this PyTorch is too old to do it.
    """
    if TorchVersion(torch.__version__) < "2.9.0a0":
        raise VideozooError(
            f"export needs PyTorch 2.9 or later, and this is {torch.__version__}: "
            'pip install "videozoo[export]" installs it'
        )
    names = {size for one in graph.inputs for size in one.shape if isinstance(size, str)}
    free = {name: Dim(name) for name in sorted(names)}
    shapes = tuple(
        {place: free[size] for place, size in enumerate(one.shape) if isinstance(size, str)}
        for one in graph.inputs
    )
    example = graph.example(dict.fromkeys(names, 3))
    try:
        with _quiet():  # with gradients, as trunks cut batches into parts without
            program = torch.export.export(graph.module, example, dynamic_shapes=(shapes,))
    except Exception as error:  # of a dozen kinds
        reason = str(error).strip().partition("\n")[0][:200]
        raise VideozooError(
            f"the {graph.part} cannot be traced by torch.export ({reason})"
        ) from error
    program.example_inputs = None  # they would be a pickle in a .pt2
    return program


def write_onnx(path: Path, graph: Graph, program: ExportedProgram, text: str) -> None:
    """Writes an ONNX file; the description is metadata_props' entry "videozoo"."""
    imported("onnxscript", "ONNX", EXPORT)
    with _quiet():
        found = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            # Its optimiser takes 1e-12 for 0 and leaves it out; engines have their own.
            optimize=False,
            input_names=[one.name for one in graph.inputs],
            output_names=graph.outputs,
        )
    assert found is not None
    _rename_sizes(found.model, graph)
    found.model.metadata_props[KEY] = text
    found.save(str(path), external_data=False)


def _rename_sizes(model: Any, graph: Graph) -> None:
    """Names the free sizes of a graph's ends as the description does."""
    import onnx_ir

    for value, one in zip(model.graph.inputs, graph.inputs, strict=True):
        value.shape = onnx_ir.Shape(one.shape)
    first = graph.inputs[0].shape[0]
    for value in model.graph.outputs:
        value.shape = onnx_ir.Shape((first, *tuple(value.shape)[1:]))


def write_pt2(path: Path, graph: Graph, program: ExportedProgram, text: str) -> None:
    """Writes a .pt2 file; the description is its extra file videozoo.json."""
    with _quiet():
        torch.export.save(program, path, extra_files={PT2_FILE: text})


def write_openvino(path: Path, graph: Graph, program: ExportedProgram, text: str) -> None:
    """Writes OpenVINO's .xml and .bin by way of ONNX; the description is rt_info's "videozoo".

    OpenVINO's own reader of PyTorch programs does not know scan; that of ONNX does.
    """
    openvino = imported("openvino", "OpenVINO", EXPORT)
    onnx = path.with_suffix(".onnx")
    write_onnx(onnx, graph, program, text)
    model = openvino.Core().read_model(onnx)  # convert_model tries PyTorch's readers first
    model.set_rt_info(text, [KEY])
    openvino.save_model(model, path, compress_to_fp16=False)
    onnx.unlink()


WRITERS: dict[str, Callable[[Path, Graph, ExportedProgram, str], None]] = {
    "onnx": write_onnx,
    "pt2": write_pt2,
    "openvino": write_openvino,
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps PyTorch's exporters from telling about libraries that nobody needs here."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
