"""The verification of a run: what must be stored, compared with what is."""
