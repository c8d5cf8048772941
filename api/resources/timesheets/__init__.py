"""`/v1/timesheets`: the hours of employees by period, their adjustments and their approval."""
