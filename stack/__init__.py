"""The `opsc` command: servers, roles, simulated runs."""
