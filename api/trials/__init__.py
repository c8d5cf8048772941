"""Zones that are tried over stored fixes, beside the event loop."""
