"""A trained network as a file that other programs run: ONNX and torch.export."""

from stresnet.exporting.export import Agreement, export_model
from stresnet.exporting.formats import FORMATS

__all__ = ["FORMATS", "Agreement", "export_model"]
