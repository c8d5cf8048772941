"""The scenario of a simulated run: its zones, and all that is made for it by the API."""
