"""A server after docs/install.md, whose roles run as units of systemd: what it is and its faults."""
