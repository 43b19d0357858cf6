"""Recognise an action with an exported ST-ResNet; needs numpy and onnxruntime alone.

    stresnet export MODEL --to onnx --out model.onnx
    python onnx_predict.py model.onnx clip.npz

clip.npz: frames (N,H,W,3) RGB, flow (N-1,2,H,W), bytes, N > 10, as in docs/formats.md.
The centre is looked at: 25 chunks, each a frame and the ten flow fields around it.
"""

import json
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
facts = session.get_modelmeta().custom_metadata_map
class_names, (height, width) = json.loads(facts["class_names"]), json.loads(facts["size"])

with np.load(sys.argv[2]) as clip:
    frames, flow = clip["frames"], clip["flow"]
top, left = (frames.shape[1] - height) // 2, (frames.shape[2] - width) // 2
rows, columns = slice(top, top + height), slice(left, left + width)

centres = np.floor(np.linspace(5, len(frames) - 6, 25) + 0.5).astype(int)
rgb = frames[centres, rows, columns].transpose(0, 3, 1, 2)  # (25,3,H,W)
fields = flow[centres[:, None] + np.arange(-5, 5), :, rows, columns]  # (25,10,2,H,W)
chunks = {"rgb": rgb[None], "flow": fields.reshape(1, 25, 20, height, width)}

scores = np.mean(session.run(["appearance", "motion"], chunks), axis=(0, 1, 2))
for index in np.argsort(-scores):
    print(f"{scores[index]:8.4f}  {class_names[index]}")
