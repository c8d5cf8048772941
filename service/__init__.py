"""The common parts of every long-running role: logs, and the page of health and metrics."""
