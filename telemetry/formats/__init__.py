"""The formats of fixes, one file each."""
