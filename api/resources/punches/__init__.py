"""`/v1/punches`: recording punches, listing and reviewing them."""
