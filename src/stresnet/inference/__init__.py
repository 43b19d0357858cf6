"""Trained networks made fast: the same scores, nothing left that only training needs."""

from stresnet.inference.network import InferenceNetwork, frozen

__all__ = ["InferenceNetwork", "frozen"]
