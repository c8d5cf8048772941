"""The plan of one transaction, made from a batch of messages."""
