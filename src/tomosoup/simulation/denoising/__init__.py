"""A net that removes noise from tomograms, and its training on half-set tomograms."""
