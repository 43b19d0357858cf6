"""Video files -> prepared videos, one or many at a time."""
