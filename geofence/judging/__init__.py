"""The evaluator: what a batch of fixes enters, stays in, leaves and passes through."""
