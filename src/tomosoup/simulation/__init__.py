"""Known particles -> tomograms that look real."""
