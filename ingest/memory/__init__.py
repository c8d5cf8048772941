"""The memory of assets between batches, and how it is kept."""
