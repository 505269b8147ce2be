"""Annotate boxes of tomograms, train on them, look where the model is unsure, repeat."""
