"""Find particles in cryo-electron tomograms."""
