"""Others that use the system while it is broken, in organizations of their own."""
