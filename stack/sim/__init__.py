"""A simulated run from its start to what came of it."""
