"""What `backup` and `restore` are told of a PostgreSQL server's repository."""

from __future__ import annotations

import os
from pathlib import Path

import click

from nicegold_ops.backup.proof import Committed
from nicegold_ops.backup.repository import Secrets, encrypted, located
from nicegold_ops.commands._output import instant
from nicegold_ops.errors import ConfigurationError

_SETTINGS = Path("/etc/pgbackrest/nicegold.conf")
_OTHERS = 0o077
_FILE = click.Path(dir_okay=False, path_type=Path)

store_option = click.option(
    "--store",
    metavar="URL",
    help="The PostgreSQL database of the journal, when it is not the configuration's.",
)
settings_option = click.option(
    "--pgbackrest",
    "settings",
    type=_FILE,
    default=_SETTINGS,
    show_default=True,
    metavar="FILE",
    help="PostgreSQL: pgBackRest's own configuration; written when there is none.",
)
passphrase_option = click.option(
    "--passphrase-file",
    "passphrase",
    type=_FILE,
    metavar="FILE",
    help="PostgreSQL: what the repository is encrypted with, unless NICEGOLD_BACKUP_PASSPHRASE says it.",
)


def wanted(repository: str | None, passphrase: Path | None) -> dict[str, str]:
    """What pgBackRest's configuration must say of the *repository*; secrets are not typed but in files."""
    secrets = Secrets(
        passphrase=_read(passphrase) if passphrase else os.environ.get("NICEGOLD_BACKUP_PASSPHRASE"),
        s3_key=os.environ.get("AWS_ACCESS_KEY_ID"),
        s3_key_secret=os.environ.get("AWS_SECRET_ACCESS_KEY"),
    )
    return {**(located(repository, secrets) if repository else {}), **encrypted(secrets)}


def _read(file: Path) -> str:
    try:
        if file.stat().st_mode & _OTHERS:
            raise ConfigurationError(f"{file} can be read by others than its owner; chmod 600 {file}")
        return file.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--passphrase-file {file} cannot be read: {error}") from None


def last_order(last: Committed | None) -> str:
    """The last order, as a person knows it."""
    if last is None:
        return "there is none"
    order = last.order
    return f"{order.id}: {order.side} {order.quantity} {order.symbol} at {instant(order.time)}, in {last.run}"
