"""A video, or many, or a camera -> what happens in it, and when.

    predict(model, source) -> Prediction              ranked classes of a whole video
    timeline(model, source, settings) -> Timeline     segments of a long video
    recognise_each(model, inputs) -> pairs            many videos, by either of the two
    live(model, frames) -> LiveLabels                 of a camera, never late
    annotate(timeline, source, out)                   an mp4 with classes, scores, flow drawn in
    to_srt(segments), to_vtt(segments), to_csv(found) subtitles and tables

A `source` is a video file, its frames (an array, a tensor, or a list of pictures), or a prepared
video (`stresnet.data.store.reader.StoredVideo`), which is decoded and its flow computed only once.
`Prediction`, `Timeline` and `LiveLabel` have `as_dict()`, plain values for JSON:

    {"source": "clip.mp4", "duration": 12.4, "warnings": [], "device": "cpu", "precision": "fp32",
     "start": 0.0,                                                     (of a Prediction only)
     "predictions": [{"label": "fight", "score": 0.91, "appearance": 0.7, "motion": 0.97}, ...],
     "segments": [{"start": 0.0, "end": 4.2, "label": ..., "score": ..., "appearance": ...,
                   "motion": ...}, ...]}                             (of a Timeline only)

and `Timeline.as_dict(windows=True)` adds {"windows": {"times": [...], "scores": {label: [...]}}}
for curves under a player.
"""

from typing import TYPE_CHECKING

from stresnet.lazy import lazy_names

if TYPE_CHECKING:
    from stresnet.prediction.annotated_video import annotate
    from stresnet.prediction.live_labels import LiveLabel, live
    from stresnet.prediction.outputs import to_csv, to_srt, to_vtt
    from stresnet.prediction.recognise import predict, recognise_each, timeline
    from stresnet.prediction.result import ClassScore, Prediction, Timeline, TimelineSettings
    from stresnet.prediction.segments import Segment

__all__ = [
    "ClassScore",
    "LiveLabel",
    "Prediction",
    "Segment",
    "Timeline",
    "TimelineSettings",
    "annotate",
    "live",
    "predict",
    "recognise_each",
    "timeline",
    "to_csv",
    "to_srt",
    "to_vtt",
]

if not TYPE_CHECKING:  # lazily, since `recognise_each` prepares a video while torch is imported
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "ClassScore": "stresnet.prediction.result",
            "LiveLabel": "stresnet.prediction.live_labels",
            "Prediction": "stresnet.prediction.result",
            "Segment": "stresnet.prediction.segments",
            "Timeline": "stresnet.prediction.result",
            "TimelineSettings": "stresnet.prediction.result",
            "annotate": "stresnet.prediction.annotated_video",
            "live": "stresnet.prediction.live_labels",
            "predict": "stresnet.prediction.recognise",
            "recognise_each": "stresnet.prediction.recognise",
            "timeline": "stresnet.prediction.recognise",
            "to_csv": "stresnet.prediction.outputs",
            "to_srt": "stresnet.prediction.outputs",
            "to_vtt": "stresnet.prediction.outputs",
        },
    )
