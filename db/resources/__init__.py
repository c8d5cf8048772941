"""The tables of what an organization has, one file each."""
