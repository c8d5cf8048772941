"""Tests of alerts and of the feed of breaches."""
