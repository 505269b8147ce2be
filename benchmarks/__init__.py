"""Measurements of speed, and of other pickers on the same tomograms."""
