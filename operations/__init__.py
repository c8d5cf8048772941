"""The rules of the trade as tables and functions: shifts, and the timesheets made of them.

Pure: no I/O, no clock, nothing but the standard library. `now` is always an argument.
"""
