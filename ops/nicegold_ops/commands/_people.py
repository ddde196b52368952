"""Who gives a command, on record in the store of a configuration."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import click

from nicegold_ops.app import journal_of
from nicegold_ops.commands._runs import opened_with, secrets_of
from nicegold_ops.config import Settings
from nicegold_ops.journal import open_journal
from nicegold_ops.people import People, people_of


@contextmanager
def people_at(settings: Settings, *, make: bool = False) -> Iterator[People]:
    """Everybody who is on record where *settings* say that runs are.

    With *make*, the store is made if it is not there; without, that raises DataError.
    """
    with secrets_of(settings) as secrets:
        store = open_journal(journal_of(settings, secrets)) if make else opened_with(settings, secrets)
        try:
            yield people_of(settings, secrets, store)
        finally:
            store.dispose()


def login_name() -> str:
    """What the machine calls who is logged in. Raises UsageError where it has no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise click.UsageError("this machine does not say who you are; add --by NAME") from None
