"""Trackers and their organizations, the assets that carried them, and zones."""
