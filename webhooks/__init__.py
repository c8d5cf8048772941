"""Number events, deliver webhooks and letters, remove old data."""
