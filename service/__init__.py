"""The common parts of long-running roles: logs, health, metrics, caches, background work."""
