"""Risk checks: who may object to an order, and why."""
