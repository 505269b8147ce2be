"""The nouns: volume, grid, species, picks; errors, progress, configuration, files written whole."""
