"""What must come of a run, held against what came."""
