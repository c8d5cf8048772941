"""The hardware that a fleet needs, worked out of measured figures: no server, no clock."""
