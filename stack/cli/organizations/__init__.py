"""The commands about organizations and their users."""
