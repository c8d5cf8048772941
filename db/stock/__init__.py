"""Parts, warehouses, stock, and the ledger of its movements."""
