"""`tomosoup check`: common problems of a project."""
