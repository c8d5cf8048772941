"""Jobs: long work that users asked for, done in pieces."""
