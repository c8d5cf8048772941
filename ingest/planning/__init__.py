"""From a batch of messages to what one transaction writes."""
