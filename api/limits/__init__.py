"""Limits: requests of an organization, sign-ins, geometries, memory."""
