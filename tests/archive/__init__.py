"""The archive of fixes."""
