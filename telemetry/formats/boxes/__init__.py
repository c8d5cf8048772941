"""Formats of boxes that are built into vehicles, frame by frame."""
