"""The commands of `opsc`."""
