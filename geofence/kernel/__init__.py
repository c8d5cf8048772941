"""How functions are compiled and kept, and tables of records."""
