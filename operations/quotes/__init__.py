"""Quotes: their sums, states, events, the document and what proves its acceptance."""
