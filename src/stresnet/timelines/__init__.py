"""Annotated recordings judged as timelines, and the settings of timelines fitted on them."""
