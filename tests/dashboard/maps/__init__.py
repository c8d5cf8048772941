"""The pages with maps."""
