"""Spatiotemporal Residual Networks (Feichtenhofer, Pinz, Wildes, NIPS 2016) for video.

>>> import stresnet
>>> stresnet.predict("fight", "clip.mp4").label

Every verb of the command line is a function of the same name. Errors are in `stresnet.errors`.
"""

from typing import TYPE_CHECKING

from stresnet.lazy import lazy_names

if TYPE_CHECKING:
    from stresnet import errors, flow
    from stresnet.classifier import STResNetClassifier as STResNetClassifier
    from stresnet.data.annotations.segments import read_segments as annotations
    from stresnet.data.prepare.many import prepare
    from stresnet.data.store.flow_check import check_stores as check
    from stresnet.data.store.reader import StoredVideo
    from stresnet.demonstration import demo
    from stresnet.diagnosis import doctor
    from stresnet.evaluation.comparison import Comparison, EvaluationResult
    from stresnet.evaluation.evaluate import evaluate
    from stresnet.evaluation.fusion import fuse
    from stresnet.evaluation.protocols import Protocol
    from stresnet.explanation import Explanation, explain
    from stresnet.exporting import export_model as export
    from stresnet.model import STResNet, load_model
    from stresnet.prediction import (
        ClassScore,
        LiveLabel,
        Prediction,
        Segment,
        Timeline,
        TimelineSettings,
        annotate,
        live,
        predict,
        recognise_each,
        timeline,
    )
    from stresnet.progress import Progress
    from stresnet.reproduction import reproduce
    from stresnet.timelines.evaluate import TimelineEvaluation, evaluate_timelines
    from stresnet.training.recipe import Recipe
    from stresnet.training.run import train
    from stresnet.training.runtime import Execution
    from stresnet.web import serve

    __version__: str

# Without STResNetClassifier, which needs an extra: `import *` must not fail where it is missing.
__all__ = [
    "ClassScore",
    "Comparison",
    "EvaluationResult",
    "Execution",
    "Explanation",
    "LiveLabel",
    "Prediction",
    "Progress",
    "Protocol",
    "Recipe",
    "STResNet",
    "Segment",
    "StoredVideo",
    "Timeline",
    "TimelineEvaluation",
    "TimelineSettings",
    "annotate",
    "annotations",
    "check",
    "demo",
    "doctor",
    "errors",
    "evaluate",
    "evaluate_timelines",
    "explain",
    "export",
    "flow",
    "fuse",
    "live",
    "load_model",
    "predict",
    "prepare",
    "recognise_each",
    "reproduce",
    "serve",
    "timeline",
    "train",
]

if not TYPE_CHECKING:
    _public_name, __dir__ = lazy_names(
        __name__,
        # What has no other home is of prediction.
        dict.fromkeys(__all__, "stresnet.prediction")
        | {
            "Comparison": "stresnet.evaluation.comparison",
            "EvaluationResult": "stresnet.evaluation.comparison",
            "Execution": "stresnet.training.runtime",
            "Explanation": "stresnet.explanation",
            "Progress": "stresnet.progress",
            "Protocol": "stresnet.evaluation.protocols",
            "Recipe": "stresnet.training.recipe",
            "STResNet": "stresnet.model",
            "STResNetClassifier": "stresnet.classifier",
            "StoredVideo": "stresnet.data.store.reader",
            "TimelineEvaluation": "stresnet.timelines.evaluate",
            "annotations": "stresnet.data.annotations.segments:read_segments",
            "check": "stresnet.data.store.flow_check:check_stores",
            "demo": "stresnet.demonstration",
            "doctor": "stresnet.diagnosis",
            "errors": "stresnet.errors",
            "evaluate": "stresnet.evaluation.evaluate",
            "evaluate_timelines": "stresnet.timelines.evaluate",
            "explain": "stresnet.explanation",
            "export": "stresnet.exporting:export_model",
            "flow": "stresnet.flow",
            "fuse": "stresnet.evaluation.fusion",
            "load_model": "stresnet.model",
            "prepare": "stresnet.data.prepare.many",
            "reproduce": "stresnet.reproduction",
            "serve": "stresnet.web",
            "train": "stresnet.training.run",
        },
    )

    def __getattr__(name):
        if name == "__version__":
            from importlib.metadata import version

            return version("stresnet")
        return _public_name(name)
