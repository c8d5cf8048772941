"""Trips and stops: worked out from stored fixes when they are asked for."""
