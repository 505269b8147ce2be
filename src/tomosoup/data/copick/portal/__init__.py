"""The CryoET Data Portal, and manifests of what is on it."""
