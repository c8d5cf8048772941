"""`/v1/trackers`, and putting them on assets."""
