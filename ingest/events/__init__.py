"""From transitions to visits and events."""
