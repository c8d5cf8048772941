"""The database as a whole: its migrations, and its contents for a backup."""
