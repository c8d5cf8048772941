"""Devices that speak protocols of their own over TCP, known by an IMEI alone."""
