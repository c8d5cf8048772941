"""Visits and events, made from transitions."""
