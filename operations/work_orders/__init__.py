"""Work orders: their states and the verbs between them."""
