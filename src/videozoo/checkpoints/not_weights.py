"""What people name as weights and is none: what it is, and what to name instead."""

from __future__ import annotations

from pathlib import Path

from videozoo.errors import FileError

KNOWN = ".safetensors files, Fluid folders, .tar.gz archives of one, .pdparams, .pth and .pt files"

# First bytes, or the ending, of files of other programs.
_STARTS = {
    b"\x89HDF": "an HDF5 file, as Keras writes them",
    b"<!DO": "a web page",
    b"<htm": "a web page",
    b"vers": "a pointer of Git LFS: fetch the file itself with git lfs pull",
}
_ENDINGS = {
    ".onnx": "an ONNX model",
    ".pdopt": "what Paddle's optimizer keeps (the weights are in the .pdparams beside it)",
    ".pdmodel": "a model of Paddle",
    ".pdiparams": "a file of Paddle 2",
    ".tflite": "a model of TensorFlow Lite",
    ".pb": "a model of TensorFlow",
    ".index": "a checkpoint of TensorFlow",
    ".meta": "a checkpoint of TensorFlow",
    ".caffemodel": "a model of Caffe",
    ".engine": "an engine of TensorRT",
    ".xml": "a model of OpenVINO",
    ".mlmodel": "a model of Core ML",
    ".pkl": "a pickle",
    ".npy": "an array of numpy",
}
_WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".tar.gz", ".pdparams")


def check_weights_folder(folder: Path) -> None:
    """Checks that a folder may be one of Fluid variables.

    Raises:
        VideozooError: it holds files of weights, which are to be named instead.
    """
    held = sorted(f for f in folder.iterdir() if f.name.endswith(_WEIGHTS) and f.is_file())
    if not held:
        return
    best = [file for file in held if file.stem.endswith("_best")]
    named = (best or held)[:3]
    more = f" (or one of the {len(held) - 1} others in it)" if len(held) > len(named) else ""
    raise FileError(
        folder, f"is a folder that holds weights; give {' or '.join(map(str, named))}{more}"
    )


def check_weights_file(path: Path, start: bytes) -> None:
    """Checks that a file may hold weights.

    Args:
        path: of the file.
        start: its first bytes.

    Raises:
        VideozooError: it is known to be something else.
    """
    if path.suffix == ".state" and (beside := path.with_suffix(".safetensors")).is_file():
        raise FileError(path, f"is the state of a training; its weights lie beside it: {beside}")
    if not start:
        raise FileError(path, f"is no checkpoint: it is empty; known are {KNOWN}")
    kind = _STARTS.get(start[:4])
    if kind is None and start[:4] != b"PK\x03\x04" and start[8:9] != b"{":
        kind = _ENDINGS.get(path.suffix.lower())
    if kind is not None:
        raise FileError(path, f"is {kind}, whose weights are not read here; known are {KNOWN}")
