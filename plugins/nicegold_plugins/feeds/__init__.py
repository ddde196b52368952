"""Feeds: where bars and quotes come from."""
