"""Picks and truth -> F4, thresholds, intervals, error classes."""
