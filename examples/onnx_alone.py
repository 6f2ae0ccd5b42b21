"""Names a video with a TSN that `videozoo export` wrote, without videozoo and without PyTorch.

python examples/onnx_alone.py TSN_best.onnx clip.mp4      (pip install numpy av onnxruntime)
"""

import json
import sys

import av
import numpy as np
import onnxruntime
from av.video.reformatter import Interpolation

RESIZE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
RESIZE |= Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP

model, video = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
about = json.loads(session.get_modelmeta().custom_metadata_map["videozoo"])
how, (_, _, _, size, _) = about["preprocessing"], about["inputs"][0]["shape"]
with av.open(video) as file:
    frames = list(file.decode(video=0))

part = max(len(frames) // how["segments"], 1)  # the frame in the middle of each segment
places = [(i * part + (part - 1) // 2) % len(frames) for i in range(how["segments"])]
clip = []
for frame in (frames[place] for place in places):
    width, height, short = frame.width, frame.height, how["short_size"]
    long = int(short * 4 / 3)
    if how["resize"] == "aspect":
        long = max(short, round(short * max(width, height) / min(width, height)))
    wide, high = (short, long) if width < height else (long, short)
    if min(width, height) == short:
        wide, high = width, height
    picture = frame.reformat(wide, high, "gbrp", interpolation=RESIZE).to_ndarray(format="rgb24")
    top, left = round((high - size) / 2), round((wide - size) / 2)
    clip.append(picture[top : top + size, left : left + size].transpose(2, 0, 1))  # [3, H, W]
scores = session.run(["scores"], {"clips": np.stack(clip)[None]})[0][0]  # [1, T, 3, H, W] -> [K]
for number in scores.argsort()[::-1][:5]:
    print(f"{scores[number]:.3f}  {about['labels'][number] if about['labels'] else number}")
