"""`nicegold data check`: what a feed makes of a file, before anybody trades on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import RenderableType

from nicegold import Account, Bar, Defect, Market
from nicegold.host import Call, Host, PluginRefused, Reply
from nicegold_ops.commands._options import json_option
from nicegold_ops.commands._output import answer, facts, moment, progress, span, table
from nicegold_ops.config import Settings, build, parse
from nicegold_ops.errors import ConfigurationError, DataError, PluginError, in_one_line

#: The feed's name here; it stands in front of what is said about it.
_FEED = "file"
#: What reads files that end in this; anything else is text with bars.
_READERS = {".parquet": "parquet"}
_LINES_SHOWN = 5
_PROGRESS_EVERY = 5_000


class Kind(msgspec.Struct):
    """How many defects of one kind there are, on which lines at first, and why the first one is."""

    count: int
    lines: list[int]
    reason: str


class Gap(msgspec.Struct, frozen=True):
    """Nothing came between two times (ns UTC)."""

    after: int
    until: int


class Findings(msgspec.Struct):
    """What is in a file. Times are ns UTC; a gap is a time without a bar, closed hours included."""

    file: Path
    feed: str
    rows: int = 0
    events: int = 0
    first: int = 0
    last: int = 0
    defects: dict[str, Kind] = {}
    gaps: int = 0
    largest_gap: Gap | None = None

    def reject(self, defect: Defect) -> None:
        """Take a line that the feed would not deliver."""
        self.rows += 1
        kind = self.defects.setdefault(defect.kind, Kind(0, [], defect.reason))
        kind.count += 1
        if len(kind.lines) < _LINES_SHOWN:
            kind.lines.append(defect.line)

    def take(self, market: Market) -> None:
        """Take what the feed delivers, in its order."""
        begins = market.start if isinstance(market, Bar) else market.time
        if not self.events:
            self.first = begins
        elif isinstance(market, Bar) and begins > self.last:
            self._gap(Gap(self.last, begins))
        self.rows += 1
        self.events += 1
        self.last = market.time

    def _gap(self, gap: Gap) -> None:
        self.gaps += 1
        largest = self.largest_gap
        if largest is None or gap.until - gap.after > largest.until - largest.after:
            self.largest_gap = gap


@click.group(no_args_is_help=True)
def command() -> None:
    """Look at market data."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--feed", metavar="NAME", help="The plugin that reads it; csv, or parquet by the file's name.")
@click.option("--instrument", default="XAUUSD", show_default=True, help="The symbol.")
@click.option(
    "--tick-size", default="0.01", show_default=True, help="The instrument's, where spreads are points."
)
@click.option("--timezone", help="The clock that its times show, such as UTC or America/New_York+7.")
@click.option("--timeframe", help="How long its bars are, such as M15.")
@click.option(
    "--set",
    "others",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another setting of the feed, such as header=...",
)
@json_option
def check(
    file: Path,
    feed: str | None,
    instrument: str,
    tick_size: str,
    timezone: str | None,
    timeframe: str | None,
    others: tuple[str, ...],
    json_to: Path | None,
) -> None:
    """Read FILE as a run would, and say what is in it and what is wrong with it."""
    use = feed or _READERS.get(file.suffix, "csv")
    given = {"instrument": instrument, "timezone": timezone, "timeframe": timeframe}
    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    settings = _settings(file, use, instrument, tick_size, [*options, *others])
    findings = Findings(file, use)
    _read(settings, findings)
    answer(findings, json_to, *_shown(findings))


def _settings(file: Path, use: str, symbol: str, tick_size: str, options: list[str]) -> Settings:
    plugin = [f"use={use}", f"path={json.dumps(str(file.absolute()))}", *options]
    terms = [f"instruments.{symbol}.tick_size={tick_size}", "run.cash=1"]
    try:
        return parse("", Path.cwd() / "data check", [*terms, *(f"plugins.{_FEED}.{each}" for each in plugin)])
    except ConfigurationError as error:
        # What was typed has no such prefix.
        raise ConfigurationError(str(error).replace(f"--set plugins.{_FEED}.", "--set ")) from None


def _read(settings: Settings, findings: Findings) -> None:
    host = _hosted(settings)
    account = Account(settings.run.cash, settings.run.currency)
    for reply in host.call("startup")(settings.instruments, account, settings.run.seed):
        raise _refusal(findings.file, reply)
    for reply in host.call("stream_market")(settings.instruments, findings.reject):
        if reply.error is not None:
            raise _refusal(findings.file, reply)
        _take_all(reply.value, findings)


def _hosted(settings: Settings) -> Host:
    try:
        return Host(_unwatched, build(settings))
    except PluginRefused as error:
        raise PluginError(str(error)) from None


def _take_all(stream: Iterator[Market], findings: Findings) -> None:
    with progress(f"reading {findings.file.name}") as shown:
        try:
            for market in stream:
                findings.take(market)
                if findings.events % _PROGRESS_EVERY == 0:
                    shown(findings.events, market.time)
        except (OSError, ValueError) as error:
            raise _unusable(findings.file, error) from None
        except Exception as error:
            raise PluginError(f"{findings.feed} failed while reading: {in_one_line(error)}") from None


def _refusal(file: Path, reply: Reply) -> DataError | PluginError:
    if isinstance(reply.error, OSError | ValueError):
        return _unusable(file, reply.error)
    return PluginError(f"{reply.hook} {reply.reason}")


def _unusable(file: Path, error: Exception) -> DataError:
    said = str(error)
    return DataError(said if file.name in said else f"{file}: {said}")


def _unwatched(hook: str, plugin: str, call: Call) -> Call:
    """Nothing is measured: no run is on."""
    return call


def _shown(findings: Findings) -> list[RenderableType]:
    gap = findings.largest_gap
    figures = facts(
        ("file", f"{findings.file}, read by {findings.feed}"),
        ("rows", f"{findings.rows:,}"),
        ("sound", f"{findings.events:,}, {moment(findings.first)} to {moment(findings.last)} UTC"),
        ("defects", f"{findings.rows - findings.events:,}"),
        ("gaps", f"{findings.gaps:,}, closed hours included" if findings.gaps else "none"),
        *([("largest gap", f"{span(gap.until - gap.after)} after {moment(gap.after)} UTC")] if gap else []),
    )
    if not findings.defects:
        return [figures]
    kinds = table("defect", "times", "first lines", "why, at first", right=("times",))
    for name, kind in sorted(findings.defects.items()):
        kinds.add_row(name, f"{kind.count:,}", ", ".join(map(str, kind.lines)), kind.reason)
    return [figures, kinds]
