"""Who asks: passwords, access tokens, cookies, API keys, and what each may do."""
