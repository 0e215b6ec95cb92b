"""Training: one step, THE loop, and the state between two steps."""
