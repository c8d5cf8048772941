"""The guard of background work, over a store in memory."""
