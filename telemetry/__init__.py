"""What a fix is, and how each format writes it: values, bytes, topics.

Pure: no I/O, no clock, no environment. `now` is always an argument.
"""
