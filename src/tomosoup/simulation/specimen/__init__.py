"""What is in the ice, and where."""
