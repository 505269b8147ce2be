"""The options of inference."""
