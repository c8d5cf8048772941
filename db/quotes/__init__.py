"""Quotes, their documents and evidence, links for customers, and the letters with them."""
