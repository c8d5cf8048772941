"""Users, API keys and sign-ins."""
