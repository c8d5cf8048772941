"""Texts in each language, and how each writes dates and numbers."""
