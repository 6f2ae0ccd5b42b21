"""Exported files where there is no PyTorch: what opens them, and how they name videos.

python .ci/alone.py checkpoints/LINEAR_best RESULTS.json: NAME.onnx, NAME.xml and their encoders,
and what `videozoo infer` says of the same videos.
"""

import importlib.util
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import openvino

onnxruntime.set_default_logger_severity(3)  # errors alone
EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_rows_alone.py"
name, results = sys.argv[1:]
assert not importlib.util.find_spec("torch"), "PyTorch is here"
assert not importlib.util.find_spec("videozoo"), "videozoo is here"

for part in (name, f"{name}.encoder"):
    session = onnxruntime.InferenceSession(f"{part}.onnx", providers=["CPUExecutionProvider"])
    model = openvino.Core().read_model(f"{part}.xml")
    about = json.loads(session.get_modelmeta().custom_metadata_map["videozoo"])
    other = json.loads(model.get_rt_info("videozoo").value)
    assert all(about[key] == other[key] for key in ("part", "labels", "inputs", "recipe"))
    rng, feed = np.random.default_rng(0), {}
    for one in about["inputs"]:
        shape = [3 if isinstance(size, str) else size for size in one["shape"]]
        high = 4 if one["name"] == "lengths" else 256
        feed[one["name"]] = rng.integers(1, high, shape).astype(one["type"])
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pairs = zip(session.run(None, feed), compiled(feed).values(), strict=True)
    off = max(float(np.abs(a - b).max() / max(1, np.abs(a).max())) for a, b in pairs)
    print(f"{part}: ONNX Runtime and OpenVINO differ by {off:.1e}")
    assert off < 1e-4

for told in json.loads(Path(results).read_text()):
    sys.argv = [str(EXAMPLE), f"{name}.onnx", told["video"]]
    scores = runpy.run_path(sys.argv[0], run_name="__main__")["scores"]
    off = max(abs(scores[one["index"]] - one["score"]) for one in told["predictions"])
    print(f"{told['video']}: at most {off:.1e} from what videozoo says")
    assert off < 1e-4  # a byte of a row may round elsewhere
