"""Background work: rows that fail alone, waits that are cut short."""
