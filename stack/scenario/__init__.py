"""What a simulated run drives through: its zones, and all that is made for it by the API."""
