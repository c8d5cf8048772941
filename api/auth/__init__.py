"""Callers: passwords, access tokens, cookies, API keys, and the rights of each."""
