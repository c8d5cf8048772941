"""`/v1/parts`, `/v1/warehouses`, `/v1/inventory` and `/v1/stock-movements`."""
