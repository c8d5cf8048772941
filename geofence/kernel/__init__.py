"""Compiled functions and how they are kept, and tables of records."""
