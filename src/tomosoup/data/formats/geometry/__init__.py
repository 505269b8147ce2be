"""How positions and orientations of other programs are turned into ours."""
