"""Which devices may sign in, their sessions, and which are connected."""
