"""Devices that speak protocols of their own over TCP and UDP, known by an IMEI alone."""
