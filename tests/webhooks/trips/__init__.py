"""Tests of events of trips."""
