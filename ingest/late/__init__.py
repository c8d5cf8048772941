"""Late fixes: their past read back and judged again."""
