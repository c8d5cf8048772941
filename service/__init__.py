"""The common parts of long-running roles: logs, health and metrics, bounded caches and threads."""
