"""Simulated trackers that speak only MQTT, and what they know that they sent."""
