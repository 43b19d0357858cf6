"""Training, from labelled videos to a run's folder: begin with `loop.py`, the loop itself."""
