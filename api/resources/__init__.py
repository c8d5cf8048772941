"""The routes, one file or folder for each path below `/v1`."""
