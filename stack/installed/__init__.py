"""A server after docs/install.md, whose roles are units of systemd: what it is and its faults."""
