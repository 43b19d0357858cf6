"""Annotated recordings judged as timelines, and how timelines are made, fitted on them."""
