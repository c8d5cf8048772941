"""Feeds: the events and the newest positions that the readers of this process are sent."""
