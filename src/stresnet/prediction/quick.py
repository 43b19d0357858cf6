"""The quick look, for live use and for long videos in a hurry."""

from stresnet.evaluation.protocols import Protocol

# Beside FAST flow. 8 of 25 chunks and no mirror images: a sixth of the network's work.
QUICK = Protocol("quick", chunks=8, mirrored=False)
