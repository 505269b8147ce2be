"""copick projects on a disk, on S3, on the CryoET Data Portal."""
