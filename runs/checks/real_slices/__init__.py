"""Simulated tomograms held against real planes whose particles are known."""
