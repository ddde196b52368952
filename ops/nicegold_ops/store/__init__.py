"""Where the journal is kept, and what is made from it: SQLite or PostgreSQL."""
