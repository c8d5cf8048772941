"""A whole system under load for long, broken now and then."""
