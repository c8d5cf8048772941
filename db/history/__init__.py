"""What grows with time: fixes, visits, events, quarantine; and what removes it."""
