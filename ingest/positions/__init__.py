"""The newest position of each asset, kept for the live map beside the batches."""
