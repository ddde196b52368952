"""`nicegold audit key`: what somebody needs who verifies without us."""

from __future__ import annotations

from pathlib import Path

import click

from nicegold_ops.audit.signing import signer_of
from nicegold_ops.commands._options import config_option
from nicegold_ops.commands._runs import secrets_of
from nicegold_ops.config import load
from nicegold_ops.errors import ConfigurationError


@click.command()
@config_option
def key(config: Path) -> None:
    """Print the public key, in PEM, with which checkpoints are verified."""
    settings = load(config)
    if settings.audit is None:
        raise ConfigurationError("nobody signs: add a table [audit] with transit_key or signing_key")
    with secrets_of(settings) as secrets:
        click.echo(signer_of(settings.audit, secrets).public.decode(), nl=False)
