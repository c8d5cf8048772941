"""Devices connect here: sign-in, bounds, protocols, and acknowledgement after COMMIT."""
