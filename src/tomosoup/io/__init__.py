"""Files in, files out. Positions are xyz here and zyx everywhere else."""
