"""Devices that send by HTTP: one request, one message, answered after COMMIT."""
