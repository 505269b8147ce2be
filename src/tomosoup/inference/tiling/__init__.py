"""Windows and symmetric views of a tomogram."""
