"""Annotated tomograms -> checkpoint; thresholds; the making of soups."""
