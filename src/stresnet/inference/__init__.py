"""Trained networks made fast: the same scores, nothing left that only training needs."""

from stresnet.inference.freeze import frozen
from stresnet.inference.network import InferenceNetwork

__all__ = ["InferenceNetwork", "frozen"]
