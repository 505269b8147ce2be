"""Picks in the files of other programs."""
