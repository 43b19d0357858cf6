"""Prepared videos -> batches of chunks for the network."""
