"""Brokers: where orders go."""
