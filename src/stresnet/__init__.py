"""Spatiotemporal Residual Networks for video action recognition."""
