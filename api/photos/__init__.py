"""Photos: copies that show the pixels and tell nothing else."""
