"""A trained network as a file that other programs run: ONNX, torch.export, OpenVINO."""

from stresnet.exporting.exporting import FORMATS, Agreement, export_model

__all__ = ["FORMATS", "Agreement", "export_model"]
