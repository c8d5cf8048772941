"""Measurements from a device's socket to committed rows: rates, latencies, starts and changes of
leader.
"""
