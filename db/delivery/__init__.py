"""Numbered events, webhook deliveries and letters that wait."""
