"""Tests of what stands around every page: signing in, navigation, search, choices of display."""
