"""Names a video with a model that `videozoo train FOLDER` made and `videozoo export` wrote.

python examples/onnx_rows_alone.py LINEAR_best.onnx clip.mp4      (pip install numpy av onnxruntime)

It needs neither videozoo nor PyTorch. LINEAR_best.encoder.onnx lies beside the model. Rows of
frames, of motion and of sound are made as videozoo makes them (its encoders/moments.py, motion.py
and sound.py say why so); each modality may be missing.
"""

import json
import sys
from pathlib import Path

import av
import numpy as np
import onnxruntime
from av.video.reformatter import Interpolation
from numpy.lib.stride_tricks import sliding_window_view

ACCURATE = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


def opened(path):
    """Opens a file of `videozoo export`, the model's or the encoder's."""
    if not Path(path).is_file():
        sys.exit(f"{path}: is missing")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def frame_times(video):
    """Returns when each frame appears, [n] in seconds, when the last one goes, and rounding."""
    with av.open(video) as file:
        unit = float(file.streams.video[0].time_base)
        told = sorted((frame.pts, frame.duration) for frame in file.decode(video=0))
    starts = np.array([start for start, _ in told]) * unit
    last = unit * (told[-1][1] or np.median(np.diff([start for start, _ in told])))
    return starts, starts[-1] + last, max(1e-6, unit / 2) if unit <= 1e-3 else 1e-6


def framed(frame):
    """Returns a decoded frame as the encoder takes it: uint8 [3, H, W], resized and cropped."""
    width, height, short = framing["width"], framing["height"], framing["short_side"]
    wide, high = width, height
    if short and min(frame.width, frame.height) == short:
        wide, high = frame.width, frame.height
    elif short:
        sides = frame.width, frame.height
        long = max(short, round(short * max(sides) / min(sides)))
        long = int(short * 4 / 3) if framing["rule"] == "4:3" else long
        wide, high = (short, long) if frame.width < frame.height else (long, short)
    kernel = Interpolation[framing["resample"].upper()] | ACCURATE
    picture = frame.reformat(wide, high, "gbrp", interpolation=kernel).to_ndarray(format="rgb24")
    top, left = round((high - height) / 2), round((wide - width) / 2)
    return picture[top : top + height, left : left + width].transpose(2, 0, 1)


def blurred(values, side):
    """Averages [..., H, W] over a square around each pixel."""
    edges = [(0, 0)] * (values.ndim - 2) + [(side // 2, side // 2)] * 2
    return sliding_window_view(np.pad(values, edges, "edge"), (side, side), (-2, -1)).mean((-2, -1))


def motion(pairs, seconds):
    """Describes what moves between two frames, uint8 [n, 2, 3, H, W], so far apart: [n, 144]."""
    n, *_, height, width = pairs.shape
    factor = max(1, round(max(height, width) / 48))
    high, wide = height // factor // 4 * 4, width // factor // 4 * 4
    cut = pairs[..., : high * factor, : wide * factor]
    small = cut.reshape(n, 2, 3, high, factor, wide, factor).mean((2, 4, 6))  # [n, 2, high, wide]
    before, after = blurred(small, 3).transpose(1, 0, 2, 3)  # [n, high, wide]
    middle, change = (before + after) / 2, after - before
    x, y = np.zeros_like(middle), np.zeros_like(middle)
    x[..., 1:-1] = (middle[..., 2:] - middle[..., :-2]) / 2
    y[..., 1:-1, :] = (middle[..., 2:, :] - middle[..., :-2, :]) / 2
    xx, xy, yy, xt, yt = blurred(np.stack([x * x, x * y, y * y, x * change, y * change]), 5)
    xx, yy = xx + 20, yy + 20
    a_tenth = 0.1 / np.maximum(seconds, 1e-9)[:, None, None] / (xx * yy - xy * xy)
    right, down = (xy * yt - yy * xt) * a_tenth, (xy * xt - xx * yt) * a_tenth
    turn = np.arctan2(down, right) / (2 * np.pi) * 8 % 8
    off = np.abs(turn[:, None] - np.arange(8)[:, None, None])
    speeds = np.hypot(right, down)[:, None] * np.maximum(0, 1 - np.minimum(off, 8 - off))
    values = np.concatenate([speeds, np.abs(change)[:, None] / 10], 1)  # [n, 9, high, wide]
    cells = values.reshape(n, 9, 4, high // 4, 4, wide // 4).mean((3, 5))
    return cells.transpose(0, 2, 3, 1).reshape(n, -1)


def audio(video, start, count, span):
    """Describes the sound of `count` rows of `span` seconds from `start` on: [count, 64]."""
    step, width = span * 16000, round(span * 16000)
    sound = np.zeros(round((count - 1) * step) + width, np.float32)
    mono = av.AudioResampler(format="fltp", layout="mono", rate=16000)
    with av.open(video) as file:
        frames = list(file.decode(audio=0)) if file.streams.audio else []
    if frames:
        parts = [p.to_ndarray()[0] for f in [*frames, None] for p in mono.resample(f)]
        place = int(np.floor((float(frames[0].time) - start) * 16000 + 0.5))
        heard = np.concatenate(parts)[max(0, -place) :][: max(0, len(sound) - max(0, place))]
        sound[max(0, place) :][: len(heard)] = heard
    ends = 2595 * np.log10(1 + np.array([60, 8000]) / 700)
    corners = 700 * (10 ** (np.linspace(*ends, 66) / 2595) - 1)
    line, middle = 16000 / 512, corners[1:-1, None]
    off = line * np.arange(257) - middle  # [64, 257]
    below = 1 + off / np.maximum(middle - corners[:-2, None], line)
    above = 1 - off / np.maximum(corners[2:, None] - middle, line)
    filters = np.clip(np.minimum(below, above), 0, None)
    rows = []
    for row in (sound[round(i * step) :][:width] for i in range(count)):
        windows = sliding_window_view(row[(width - 512) % 256 // 2 :], 512)[::256]
        power = np.abs(np.fft.rfft(windows * np.sin(np.pi * (np.arange(512) + 0.5) / 512) ** 2))
        rows.append(np.log(filters @ (power**2).mean(0) / 512 + 1e-6))
    return np.stack(rows)


model, video = sys.argv[1:]
session = opened(model)
about = json.loads(session.get_modelmeta().custom_metadata_map["videozoo"])
recipe = about["recipe"] or sys.exit(f"{model}: takes no rows of videos; see onnx_alone.py")
sampling, framing, window = recipe["sampling"], recipe["framing"], recipe["window"]
if framing["resize_with"] != "swscale":
    sys.exit(f"{model}: its frames are resized by Pillow, which is left to videozoo")

starts, end, rounding = frame_times(video)
wanted = (end - starts[0]) * sampling["rate"]
count = min(max(1, round(wanted)), sampling["most"])
spread = sampling["spread"] and wanted > sampling["most"]
span = (end - starts[0]) / count if spread else 1 / sampling["rate"]


def on_screen(moments):
    """Returns the number of the frame that is seen at each moment."""
    return np.maximum(np.searchsorted(starts, moments + rounding, side="right") - 1, 0)


def moments(parts):
    """Returns the middles of so many equal parts of each row, [count, parts]."""
    shares = (np.arange(parts) + 0.5) / parts
    return starts[0] + (np.arange(count)[:, None] + shares) * span


before = np.minimum(on_screen(moments(1)[:, 0]), max(len(starts) - 2, 0))
after = np.maximum(on_screen(starts[before] + 0.1), before + 1).clip(max=len(starts) - 1)
places = np.column_stack([on_screen(moments(window)), before, after])  # [count, window + 2]
with av.open(video) as file:
    chosen = set(places.flat)
    seen = {i: framed(f) for i, f in enumerate(file.decode(video=0)) if i in chosen}
flat = np.stack([seen[i] for i in places.flat])  # [count * (window + 2), 3, H, W]
frames = flat.reshape(count, window + 2, *flat.shape[1:])
encoder = opened(Path(model).with_suffix(".encoder.onnx"))
parts = [encoder.run(None, {"frames": part}) for part in np.split(frames[:, :window], count)]
seen_by = [output.name for output in encoder.get_outputs()]
rows = {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(seen_by)}
if sampling["motion"]:
    rows["motion"] = motion(frames[:, window:], starts[after] - starts[before])
if sampling["sound"]:
    rows["audio"] = audio(video, starts[0], count, span)

taken, feed = about["preprocessing"]["frames"], {}  # AttentionCluster takes so many, others all
if isinstance(taken, int):
    which = [min(count - 1, int((i + 0.5) * count / taken)) for i in range(taken)]
else:
    which = range(count)
for one in about["inputs"][:-1]:
    scale = {key: np.array(found, np.float32) for key, found in about["scale"][one["name"]].items()}
    values = 2 * (rows[one["name"]].astype(np.float16) - scale["centre"]) / scale["reach"]
    found = np.clip(np.rint((values + 2 - 4 / 512) * 255 / 4), 0, 255).astype(np.uint8)
    feed[one["name"]] = found[None, which]  # [1, length, width]
scores = session.run(["scores"], feed | {"lengths": np.array([len(which)])})[0][0]  # [K]
for number in scores.argsort()[::-1][:5]:
    print(f"{scores[number]:.3f}  {about['labels'][number] if about['labels'] else number}")
