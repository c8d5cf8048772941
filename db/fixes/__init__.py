"""The stored fixes: which are asked for, where they are read, and how many there are."""
