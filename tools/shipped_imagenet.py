"""Make the ImageNet weights that ship: a ResNet-50's filters, rounded to 8 bits.

python tools/shipped_imagenet.py RESNET50 src/stresnet/assets/resnet50_imagenet.safetensors

RESNET50 is He et al.'s own, with strides in the first 1x1 of a unit and torchvision's names of
tensors. Each filter becomes whole multiples, from -127 to 127, of a step of its own, which is
stored as NAME.step. What is rounded away has 1.2 % of a filter's norm. ImageNet's classifier is
left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import save_file

from stresnet.files import atomic_write
from stresnet.model.weight_files import in_8_bits, read_tensors


def main() -> None:
    """Read the arguments, round, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("resnet50", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    rounded, lost = {}, []
    for name, tensor in read_tensors(options.resnet50).items():
        tensor = tensor.float()
        if tensor.ndim == 4:
            stored = in_8_bits(name, tensor)
            whole, step = stored.values()
            lost.append(float((whole * step - tensor).norm() / tensor.norm()))
            rounded |= stored
        elif not name.startswith("fc."):
            rounded[name] = tensor
    with atomic_write(options.out) as partial:
        save_file(rounded, partial)
    print(
        f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB; rounding took "
        f"{100 * sum(lost) / len(lost):.1f} % of a layer's filters, at most {100 * max(lost):.1f} %"
    )


if __name__ == "__main__":
    main()
