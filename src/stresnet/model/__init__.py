"""The network: section 3 of the paper, one idea per file."""

from stresnet.model.lookup import find_weights, shipped_models
from stresnet.model.receptive_field import count_parameters, receptive_fields
from stresnet.model.st_resnet import STResNet
from stresnet.model.stream import Stream
from stresnet.model.sub_batch_norm import SubBatchNorm, commit_running_moments
from stresnet.model.weights import inflate_from, load_imagenet, load_matconvnet

load_model = STResNet.from_pretrained

__all__ = [
    "STResNet",
    "Stream",
    "SubBatchNorm",
    "commit_running_moments",
    "count_parameters",
    "find_weights",
    "inflate_from",
    "load_imagenet",
    "load_matconvnet",
    "load_model",
    "receptive_fields",
    "shipped_models",
]
