"""What is left of a run when it is over: its result, its report, and what a person is told."""

from __future__ import annotations

from pathlib import Path

from nicegold_ops.commands._options import STDOUT
from nicegold_ops.commands._output import console, write_json
from nicegold_ops.commands._runs import RESULT
from nicegold_ops.commands._summary import summary
from nicegold_ops.errors import HaltedByRisk
from nicegold_ops.report.page import write_page
from nicegold_ops.report.result import Result


def finish(result: Result, folder: Path, *, json_to: Path | None, report_to: Path | None) -> None:
    """Keep *result* in its *folder* and where else was asked for, and tell a person what it is.

    Raises HaltedByRisk, after all of that, when a halt ended the trading.
    """
    out = console(quiet=json_to == STDOUT)
    try:
        write_json(folder / RESULT, result)
    finally:
        # A full disk must not also hide the figures.
        for each in summary(result):
            out.print(each)
    out.print(f"result       {folder / RESULT}", soft_wrap=True)
    if json_to is not None:
        write_json(json_to, result)
    if report_to is not None:
        write_page(result, report_to)
        out.print(f"report       {report_to}", soft_wrap=True)
    if result.halted:
        raise HaltedByRisk(f"halted by risk: {result.halted}")
