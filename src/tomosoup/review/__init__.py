"""Look at it: check a project, the report page, napari, pictures."""
