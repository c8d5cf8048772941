"""Tables that grow with time: fixes, visits, events, quarantine; and what removes old rows."""
