"""Copies of a store that outlive it: of a SQLite file, and of a PostgreSQL server with its archive."""

from __future__ import annotations

from nicegold_ops.errors import NicegoldError


class BackupFailed(NicegoldError):
    """A copy cannot be written; what was there before is as it was."""
