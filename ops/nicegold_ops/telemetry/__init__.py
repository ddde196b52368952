"""The observe port: every call of every plugin, seen."""
