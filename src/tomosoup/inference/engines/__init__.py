"""What runs a net: torch, OpenVINO, ONNX Runtime."""
