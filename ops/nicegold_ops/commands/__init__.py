"""The command line, one file a subcommand.

Whatever goes wrong in a way that a person can mend is one line that says so, and an exit code;
the codes are in `nicegold_ops.errors`.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

import click

from nicegold_ops.errors import NicegoldError, in_one_line
from nicegold_ops.suggest import did_you_mean

_OTHER = 1


def ours() -> list[str]:
    """The names of nicegold's own subcommands: the modules here that are not helpers of theirs."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


class Commands(click.Group):
    """Subcommands that are imported when they are typed, then those that plugins bring."""

    _asked_plugins = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._ask_plugins()
        return sorted({*ours(), *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ours():
            command: click.Command = import_module(f"{__name__}.{cmd_name}").command
            return command
        self._ask_plugins()
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(name, self.list_commands(ctx)) or "."
            raise click.UsageError(f'There is no command "{name}"{hint}', ctx)
        return super().resolve_command(ctx, args)

    def _ask_plugins(self) -> None:
        if not self._asked_plugins:
            self._asked_plugins = True
            from nicegold_ops.commands._from_plugins import register

            register(self, warn)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="nicegold", message="%(package)s %(version)s")
def cli() -> None:
    """Automated trading, gold first: everything that trades is a plugin, and every call of every
    plugin is seen.
    """


def main() -> None:
    """The command `nicegold`."""
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Do what *arguments* say; answers the exit code."""
    try:
        code = cli.main(list(arguments), prog_name="nicegold", standalone_mode=False)
    except NicegoldError as error:
        complain(*str(error).splitlines())
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        complain(f"{error.format_message()}{_way_out(error)}")
        return error.exit_code
    except click.Abort:
        complain("interrupted")
        return _OTHER
    except OSError as error:
        complain(_about_file(error))
        return _OTHER
    except Exception as error:
        complain(f"{in_one_line(error)}; this should not happen, the traceback is in {_keep(error)}")
        return _OTHER
    return code if isinstance(code, int) else 0


def complain(*lines: str) -> None:
    """Say on stderr what went wrong."""
    for line in lines:
        click.echo(f"error: {line}", err=True)


def warn(line: str) -> None:
    """Say on stderr what is not as it should be, and go on."""
    click.echo(f"warning: {line}", err=True)


def _way_out(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f" Try `{error.ctx.command_path} --help`."
    return ""


def _about_file(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename is not None else ""
    return f"{place}{error.strerror or in_one_line(error)}"


def _keep(error: BaseException) -> str:
    """Where the traceback of *error* was written."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="nicegold-", suffix=".traceback", delete=False, encoding="utf-8"
        ) as file:
            file.writelines(traceback.format_exception(error))
    except OSError as failure:
        return f"no file, since none can be written ({failure.strerror})"
    return file.name
