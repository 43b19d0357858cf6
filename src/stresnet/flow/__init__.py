"""Two frames -> a flow field, in pixels per frame."""

from stresnet.flow.flo import read_flo, write_flo
from stresnet.flow.parameters import AUTHORS, FAST, OPENCV_CPU, TVL1Parameters
from stresnet.flow.quantize import to_bytes, to_pixels
from stresnet.flow.tv_l1 import grey, tv_l1

__all__ = [
    "AUTHORS",
    "FAST",
    "OPENCV_CPU",
    "TVL1Parameters",
    "grey",
    "read_flo",
    "to_bytes",
    "to_pixels",
    "tv_l1",
    "write_flo",
]
