"""Paid time: shifts made of punches, and timesheets made of shifts, with overtime."""
