"""`nicegold report`: the page of a run that is over."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer
from nicegold_ops.commands._runs import REPORT, RESULT, folder_of, last_run_with, state_of
from nicegold_ops.errors import DataError
from nicegold_ops.report.page import write_page
from nicegold_ops.report.result import SCHEMA, Result


@click.command()
@click.argument("run", required=False)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the page is written; beside the result if not said.",
)
@config_option
@state_option
@json_option
def command(
    run: str | None, out: Path | None, config: Path, state: Path | None, json_to: Path | None
) -> None:
    """Write the HTML report of a run again.

    RUN is a run's id, or the path of its result.json; the last run if not said.
    """
    path = _result_of(run, config, state)
    result = read_result(path)
    page = out or path.with_name(REPORT)
    write_page(result, page)
    answer(
        {"run": result.run, "result": path, "report": page}, json_to, f"{page} is the report of {result.run}"
    )


def _result_of(run: str | None, config: Path, state: Path | None) -> Path:
    if run is not None and Path(run).is_file():
        return Path(run)
    folder = state_of(config, state)
    return folder_of(folder, run or last_run_with(folder, RESULT)) / RESULT


def read_result(path: Path) -> Result:
    """The result in the file *path*. Raises DataError when there is none."""
    try:
        content = path.read_bytes()
        _refuse_other_schemas(path, content)
        return msgspec.json.decode(content, type=Result)
    except FileNotFoundError:
        raise DataError(
            f"{path}: there is no result; a run that was killed leaves none, try replay"
        ) from None
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is not the result of a run: {error}") from None


class _Form(msgspec.Struct):
    """What results of all versions have; the first had no *schema*."""

    run: str
    version: str
    schema: int = 1


def _refuse_other_schemas(path: Path, content: bytes) -> None:
    form = msgspec.json.decode(content, type=_Form)
    if form.schema != SCHEMA:
        raise DataError(
            f"{path} has schema {form.schema}, of nicegold {form.version}, and this one reads {SCHEMA}; "
            f"run the backtest again, or `nicegold replay {form.run}` to compare"
        )
