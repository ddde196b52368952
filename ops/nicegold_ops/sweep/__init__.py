"""Many backtests of one configuration: over settings, and over time."""
