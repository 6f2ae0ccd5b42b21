"""Trained models as files that other programs run: ONNX, PyTorch's .pt2, OpenVINO's IR."""
