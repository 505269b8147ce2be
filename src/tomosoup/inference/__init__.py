"""Checkpoint and tomogram -> maps -> picks."""
