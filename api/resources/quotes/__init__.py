"""Quotes: routes for the organization, and the page for its customer."""
