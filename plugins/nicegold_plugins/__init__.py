"""The plugins that come with nicegold; each is one file and one entry point."""
