"""Engines that run a net: torch, OpenVINO, ONNX Runtime."""
