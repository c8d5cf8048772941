"""Costs by shape of message and load, and the figures of `opsc plan` made of all result files."""
