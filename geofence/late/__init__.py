"""Late fixes: their asset's past judged again, and the amendments that follow."""
