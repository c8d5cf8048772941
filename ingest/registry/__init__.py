"""The registry: the organization of each tracker, the asset that carried it when, and the zones."""
