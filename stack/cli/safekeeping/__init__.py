"""The commands that keep what cannot be made again: backups and secret keys."""
