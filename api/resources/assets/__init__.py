"""`/v1/assets` and where they are."""
