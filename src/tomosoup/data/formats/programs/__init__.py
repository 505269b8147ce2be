"""One module a program's format."""
