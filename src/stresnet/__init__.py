"""Spatiotemporal Residual Networks (Feichtenhofer, Pinz, Wildes, NIPS 2016) for video.

>>> import stresnet
>>> stresnet.predict("model-folder", "clip.mp4").label
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from stresnet import flow
    from stresnet.classifier import STResNetClassifier as STResNetClassifier
    from stresnet.evaluation.evaluate import evaluate
    from stresnet.model import STResNet, load_model
    from stresnet.prediction import predict, timeline
    from stresnet.training.run import train

# Without STResNetClassifier, which needs an extra: `import *` shall not fail for want of it.
__all__ = ["STResNet", "evaluate", "flow", "load_model", "predict", "timeline", "train"]

_HOME = {
    "STResNet": "stresnet.model",
    "STResNetClassifier": "stresnet.classifier",
    "evaluate": "stresnet.evaluation.evaluate",
    "load_model": "stresnet.model",
    "predict": "stresnet.prediction",
    "timeline": "stresnet.prediction",
    "train": "stresnet.training.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds, and `--help` needs none."""
    if name == "flow":
        return import_module("stresnet.flow")
    if name == "__version__":
        from importlib.metadata import version

        return version("stresnet")
    if name not in _HOME:
        raise AttributeError(f"module 'stresnet' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, "flow"})
