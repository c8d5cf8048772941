"""Results of a replay: files of events, and a map."""
