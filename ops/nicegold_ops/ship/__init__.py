"""Readers of what a store has to tell, who hand it on: at least once, each under an id of its own."""
