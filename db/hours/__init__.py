"""Hours: the shifts and timesheets that follow from punches, by the rules of organizations."""
