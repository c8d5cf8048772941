"""`/v1/imports`: assets and trackers from CSV."""
