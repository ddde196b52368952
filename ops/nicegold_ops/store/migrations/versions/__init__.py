"""The steps, oldest first. A step never changes once it was released: stores exist that took it."""
