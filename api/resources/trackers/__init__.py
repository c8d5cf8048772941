"""`/v1/trackers`, and giving them to assets and employees."""
