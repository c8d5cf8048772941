"""How each format writes fixes."""
