"""Parts that nets are made of."""
