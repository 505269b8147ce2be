"""Volumes in files: how they are read, normalised, resampled."""
