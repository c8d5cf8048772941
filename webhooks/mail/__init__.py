"""Letters on their way to users."""
