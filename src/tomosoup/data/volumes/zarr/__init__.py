"""Arrays in the Zarr formats 2 and 3, read chunk by chunk from any storage, without the library of that name."""
