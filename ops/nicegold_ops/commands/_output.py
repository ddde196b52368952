"""What a command says: to a person on stdout, and as JSON to a file or another program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from nicegold_ops import session
from nicegold_ops.commands._options import STDOUT

#: Columns where no terminal says how many there are.
_WIDTH = 120
_SECOND = 1_000_000_000


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Where a person looks. Text is printed as it is: [brackets] in it are not markup."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH
    return Console(stderr=stderr, quiet=quiet, width=width, markup=False, highlight=False, emoji=False)


def answer(value: object, json_to: Path | None, *shown: RenderableType) -> None:
    """Show a person what is *shown*, and write *value* as JSON where that was asked for."""
    out = console(quiet=json_to == STDOUT)
    for each in shown:
        # Words are left whole, so that a path can be copied.
        out.print(each, soft_wrap=isinstance(each, str))
    if json_to is not None:
        write_json(json_to, value)


def write_json(path: Path, value: object) -> None:
    """*value* as one line of JSON. Raises OSError, and then leaves what was at *path*."""
    line = msgspec.json.encode(value, enc_hook=str) + b"\n"
    if path == STDOUT:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():
        path.write_bytes(line)  # a pipe or a device cannot be replaced
    else:
        _replace(path, line)


def _replace(path: Path, content: bytes) -> None:
    """A half-written file must not look like an answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(content)
        half.replace(path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns named in *right* hold numbers."""
    made = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def facts(*pairs: tuple[str, object]) -> Table:
    """Names and values, one a line."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(name, value if isinstance(value, Text) else str(value))
    return made


@contextmanager
def progress(title: str) -> Iterator[session.Progress]:
    """A function that shows how far a run is, on stderr while a terminal is there to look."""
    if not sys.stderr.isatty():
        yield session.nobody
        return
    columns = (
        TextColumn(title),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:,} events"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[until]}"),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, until="")
        yield lambda events, market_time: bar.update(task, completed=events, until=day(market_time))


# Values, as a person reads them.


def moment(time: int) -> str:
    """*time* (ns UTC) to the second; a dash for none."""
    return f"{datetime.fromtimestamp(time // _SECOND, UTC):%Y-%m-%d %H:%M:%S}" if time else "-"


def instant(time: int) -> str:
    """*time* (ns UTC) to the microsecond."""
    return f"{moment(time)}.{time % _SECOND // 1000:06}"


def span(length: int) -> str:
    """A *length* of time in ns."""
    return str(timedelta(seconds=length // _SECOND))


def day(time: int) -> str:
    """The date of *time* (ns UTC)."""
    return moment(time)[:10]


def money(amount: float | Decimal, currency: str) -> str:
    return f"{amount:,.2f} {currency}"


def share(part: float | None) -> str:
    """A part of one, in percent; a dash for none."""
    return "-" if part is None else f"{part:.2%}"


def ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def micros(seconds: float | None) -> str:
    """Microseconds; a dash where there is nothing to measure."""
    return "-" if seconds is None or seconds != seconds else f"{seconds * 1e6:,.1f} µs"
