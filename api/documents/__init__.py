"""Documents: plain values in, the bytes of a file out. No database, no network, no clock."""
