"""`/v1/zones`: shapes, rules, and how many may lie over one place."""
