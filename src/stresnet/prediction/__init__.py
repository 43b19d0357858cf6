"""A video, or many, or a camera -> what happens in it, and when.

    predict(model, source) -> Prediction              ranked classes of a whole video
    predict_stored(net, stored, name) -> Prediction   the same of a prepared video
    predict_each(net, paths) -> pairs                 many videos, decoding overlaps with scoring
    timeline(model, source, settings) -> Timeline     segments of a long video
    annotate(timeline, source, out)                   an mp4 with classes, scores, flow drawn in
    live(model, frames) -> LiveLabels                 of a camera, never late
    to_srt(segments), to_vtt(segments)                subtitles

`timeline` and `annotate` take `on_progress(seconds_done, seconds_in_all)`, where 0 in all means
unknown; what it raises ends the work and leaves no file behind. `Prediction`, `Timeline` and
`LiveLabel` have `as_dict()`, plain values for JSON:

    {"source": "clip.mp4", "duration": 12.4, "warnings": [],
     "predictions": [{"label": "fight", "score": 0.91, "appearance": 0.7, "motion": 0.97}, ...],
     "segments": [{"start": 0.0, "end": 4.2, "label": ..., "score": ..., "appearance": ...,
                   "motion": ...}, ...]}                             (of a Timeline only)

and `Timeline.as_dict(windows=True)` adds {"windows": {"times": [...], "scores": {label: [...]}}}
for curves under a player. A prepared video (`stresnet.data.store.reader.StoredVideo`) serves
`timeline` too, so that a server decodes and computes the flow but once:

    stored = prepare_video(path, scratch / "video.zip", on_frames=...)
    predict_stored(net, stored, name), timeline(net, stored)
"""

from stresnet.evaluation.protocols import QUICK
from stresnet.prediction.annotated_video import annotate
from stresnet.prediction.live import LiveLabel, live
from stresnet.prediction.predict import Prediction, predict, predict_each, predict_stored
from stresnet.prediction.ranking import ClassScore
from stresnet.prediction.segments import Segment
from stresnet.prediction.subtitles import to_csv, to_srt, to_vtt
from stresnet.prediction.timeline import Timeline, TimelineSettings, timeline

__all__ = [
    "QUICK",
    "ClassScore",
    "LiveLabel",
    "Prediction",
    "Segment",
    "Timeline",
    "TimelineSettings",
    "annotate",
    "live",
    "predict",
    "predict_each",
    "predict_stored",
    "timeline",
    "to_csv",
    "to_srt",
    "to_vtt",
]
