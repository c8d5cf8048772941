"""Inside, crossing and distance, compiled, for many points at once."""
