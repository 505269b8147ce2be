"""Masks of tomograms, and the parts of tomograms that they leave."""
