"""Work orders: jobs of employees at sites, from a draft to what was signed for."""
