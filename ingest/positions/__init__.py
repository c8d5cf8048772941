"""The newest position of each asset and employee, kept for the live map beside the batches."""
