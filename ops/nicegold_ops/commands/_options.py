"""Options that several subcommands share, so that one thing has one name and one help everywhere."""

from __future__ import annotations

from pathlib import Path

import click

#: Read unless --config names another.
CONFIGURATION = Path("nicegold.toml")
#: With this in place of a file, JSON goes to stdout and nothing else does.
STDOUT = Path("-")

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)

config_option = click.option(
    "--config",
    type=_FILE,
    default=CONFIGURATION,
    show_default=True,
    metavar="FILE",
    help="The configuration.",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting for this time, such as plugins.cross.fast=5. May be given more than once.",
)
json_option = click.option(
    "--json",
    "json_to",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write the answer as JSON too; with -, to stdout and nothing else.",
)
report_option = click.option(
    "--report",
    "report_to",
    type=_FILE,
    metavar="FILE",
    help="Where the HTML report is written.",
)
state_option = click.option(
    "--state",
    type=_FOLDER,
    metavar="FOLDER",
    help="The folder of the journal, when it is not the configuration's.",
)
