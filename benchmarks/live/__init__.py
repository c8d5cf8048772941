"""Readers of live events: fan-out, and what an idle one costs."""
