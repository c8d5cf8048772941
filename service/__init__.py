"""What every long-running role does the same way: logs, and the page of health and metrics."""
