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
                   "motion": ...}, ...], "settings": {...}}           (of a Timeline only)

and `Timeline.as_dict(windows=True)` adds {"windows": {"times": [...], "scores": {label: [...]}}}
for curves under a player.
"""
