"""What gateways forward: the forms of known servers, and JSON of any form."""
