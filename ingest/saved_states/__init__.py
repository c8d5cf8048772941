"""States of assets between batches, and how they are saved."""
