"""Make the small network's ImageNet weights that ship: those of ResNet-50, as far as it goes.

python tools/small_imagenet.py RESNET50 src/stresnet/assets/small_imagenet.safetensors

RESNET50 is He et al.'s own, with strides in the first 1x1 of a unit and torchvision's names of
tensors. Filters are stored as float16.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from safetensors.torch import save_file

from stresnet.files import atomic_write
from stresnet.model.weight_files import read_tensors


def main() -> None:
    """Read the arguments, cut, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("resnet50", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    kept = re.compile(r"conv1|bn1|layer[12]|layer3\.[012]\.")  # as torchvision names them
    halves = {
        name: tensor.half() if tensor.ndim > 1 else tensor.float()
        for name, tensor in read_tensors(options.resnet50).items()
        if kept.match(name)
    }
    with atomic_write(options.out) as partial:
        save_file(halves, partial)
    parameters = sum(tensor.numel() for tensor in halves.values())
    print(f"{options.out}: {parameters} numbers, {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
