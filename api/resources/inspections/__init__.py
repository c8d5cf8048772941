"""`/v1/inspection-templates` and `/v1/inspection-forms`: questions, and the answers to them."""
