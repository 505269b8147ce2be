"""The nets, and equal nets that are faster."""
