"""Words that were typed, and the options they stand for."""
