"""Tables of text, with every value as it stands in its file."""
