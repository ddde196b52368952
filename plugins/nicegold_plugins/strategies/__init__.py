"""Strategies: what to buy and sell, and when."""
