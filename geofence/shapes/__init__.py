"""The shapes of zones, read from GeoJSON, checked and repaired."""
