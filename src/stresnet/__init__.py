"""Spatiotemporal Residual Networks (Feichtenhofer, Pinz, Wildes, NIPS 2016) for video.

>>> import stresnet
>>> stresnet.predict("fight", "clip.mp4").label

Every verb of the command line is a function of the same name. Errors are in `stresnet.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stresnet import errors, flow
    from stresnet.classifier import STResNetClassifier as STResNetClassifier
    from stresnet.data.annotations.segments import read_segments as annotations
    from stresnet.data.prepare.many import prepare
    from stresnet.data.store.check import check_stores as check
    from stresnet.data.store.pack import pack
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
    from stresnet.prediction.annotated_video import annotate
    from stresnet.prediction.live_labels import LiveLabel, live
    from stresnet.prediction.outputs import to_csv, to_srt, to_vtt
    from stresnet.prediction.recognise import predict, recognise_each, timeline
    from stresnet.prediction.result import ClassScore, Prediction, Timeline, TimelineSettings
    from stresnet.prediction.segments import Segment
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
    "pack",
    "predict",
    "prepare",
    "recognise_each",
    "reproduce",
    "serve",
    "timeline",
    "to_csv",
    "to_srt",
    "to_vtt",
    "train",
]

if not TYPE_CHECKING:  # imported when they are first used: torch alone takes a second
    _HOMES = {
        "stresnet.classifier": ["STResNetClassifier"],
        "stresnet.data.annotations.segments": ["annotations"],
        "stresnet.data.prepare.many": ["prepare"],
        "stresnet.data.store.check": ["check"],
        "stresnet.data.store.pack": ["pack"],
        "stresnet.data.store.reader": ["StoredVideo"],
        "stresnet.demonstration": ["demo"],
        "stresnet.diagnosis": ["doctor"],
        "stresnet.evaluation.comparison": ["Comparison", "EvaluationResult"],
        "stresnet.evaluation.evaluate": ["evaluate"],
        "stresnet.evaluation.fusion": ["fuse"],
        "stresnet.evaluation.protocols": ["Protocol"],
        "stresnet.explanation": ["Explanation", "explain"],
        "stresnet.exporting": ["export"],
        "stresnet.model": ["STResNet", "load_model"],
        "stresnet.prediction.annotated_video": ["annotate"],
        "stresnet.prediction.live_labels": ["LiveLabel", "live"],
        "stresnet.prediction.outputs": ["to_csv", "to_srt", "to_vtt"],
        "stresnet.prediction.recognise": ["predict", "recognise_each", "timeline"],
        "stresnet.prediction.result": ["ClassScore", "Prediction", "Timeline", "TimelineSettings"],
        "stresnet.prediction.segments": ["Segment"],
        "stresnet.progress": ["Progress"],
        "stresnet.reproduction": ["reproduce"],
        "stresnet.timelines.evaluate": ["TimelineEvaluation", "evaluate_timelines"],
        "stresnet.training.recipe": ["Recipe"],
        "stresnet.training.run": ["train"],
        "stresnet.training.runtime": ["Execution"],
        "stresnet.web": ["serve"],
    }
    _OWN_NAMES = {"annotations": "read_segments", "check": "check_stores", "export": "export_model"}

    def __getattr__(name):
        if name == "__version__":
            from importlib.metadata import version

            return version("stresnet")
        if name in ("errors", "flow"):
            return import_module(f"stresnet.{name}")
        for module, names in _HOMES.items():
            if name in names:
                return getattr(import_module(module), _OWN_NAMES.get(name, name))
        raise AttributeError(f"module 'stresnet' has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__, "STResNetClassifier"})
