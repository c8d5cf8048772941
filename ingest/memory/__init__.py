"""What ingest remembers of assets between batches, and how that is kept."""
