"""Results one looks at."""
