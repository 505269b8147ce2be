"""`tomosoup report`: the page."""
