"""Inspections: the questions of a template, the answers of a form, and the states of both."""
