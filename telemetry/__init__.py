"""Fixes and their formats: values, bytes, topics.

Pure: no I/O, no clock, no environment. `now` is always an argument.
"""
