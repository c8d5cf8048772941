"""`/v1/webhook-endpoints` and `/v1/webhook-deliveries`: where events go, and what came of it."""
