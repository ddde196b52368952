"""One file, read by a feed as a run would read it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from msgspec import structs

from nicegold import (
    Account,
    Bar,
    Instrument,
    Market,
    OtherTimeframe,
    Reject,
    Source,
    name_timeframe,
    parse_timeframe,
)
from nicegold.answers import Reply
from nicegold.host import Call, Host, PluginRefused
from nicegold.sessions import usual_hours
from nicegold_ops.config import Settings, build, parse
from nicegold_ops.errors import ConfigurationError, DataError, NicegoldError, PluginError, in_one_line
from nicegold_ops.installed import brought, find
from nicegold_ops.session import Progress, nobody

#: The feed's name here; it stands in front of what is said about it.
_FEED = "file"
#: What reads files that end in this; anything else is text with bars.
_READERS = {".parquet": "parquet", ".bi5": "dukascopy"}
_PROGRESS_EVERY = 5_000
#: Shorter than any bar: the feed then says how long they are.
_SHORTEST = "S1"
_SAMPLE = 50
_Command = TypeVar("_Command", bound=Callable[..., Any])


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed about a file; None where nothing was."""

    file: Path
    feed: str | None
    instrument: str
    tick_size: str
    sessions: str | None
    timezone: str | None
    timeframe: str | None
    others: tuple[str, ...]

    @property
    def use(self) -> str:
        return self.feed or _READERS.get(self.file.suffix, "csv")

    @property
    def hours(self) -> str:
        return usual_hours(self.instrument) if self.sessions is None else self.sessions


def reading_options(command: _Command) -> _Command:
    """The options that say how a file is read."""
    options = (
        click.argument("file", type=click.Path(path_type=Path)),
        click.option("--feed", metavar="NAME", help="The plugin that reads it; csv, or by the file's name."),
        click.option("--instrument", default="XAUUSD", show_default=True, help="The symbol."),
        click.option(
            "--tick-size",
            default="0.01",
            show_default=True,
            help="The instrument's, where spreads are points.",
        ),
        click.option(
            "--sessions",
            metavar="HOURS",
            help="When it trades: gold, fx, always or hours as in a configuration; else by the symbol.",
        ),
        click.option("--timezone", help="The clock that its times show, such as UTC or America/New_York+7."),
        click.option("--timeframe", help="How long its bars are, such as M15."),
        click.option(
            "--set",
            "others",
            multiple=True,
            metavar="KEY=VALUE",
            help="Another setting of the feed, such as header=...",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Reading(msgspec.Struct, frozen=True):
    """A feed that has started: what it reads, by which clock, and how long the bars are (ns; 0: quotes).

    *recognised* is what it says about the file, *assumed* what nobody declared, for a person.
    """

    file: Path
    use: str
    instrument: Instrument
    timezone: str
    length: int
    recognised: list[str]
    assumed: list[str]
    settings: Settings
    host: Host

    @property
    def values(self) -> dict[str, Any]:
        """The feed's settings, defaults included."""
        return self.settings.plugins[0].values

    @property
    def source(self) -> Source:
        """Where its bytes are, and their digest."""
        for reply in self.host.call("source")():
            source: Source = _value(self.file, reply)
            return source
        raise DataError(f"{self.use} does not say what it reads; name a feed that reads a file")

    def stream(self, reject: Reject, shown: Progress = nobody) -> Iterator[Market]:
        """What the feed delivers; *shown* is told how far it is. Raises DataError or PluginError."""
        for reply in self.host.call("stream_market")(self.settings.instruments, reject):
            with _failures(self.file, self.use):
                for number, market in enumerate(_value(self.file, reply), 1):
                    yield market
                    if number % _PROGRESS_EVERY == 0:
                        shown(number, market.time)


def opened(asked: Asked, *, to_look: bool) -> Reading:
    """Start the feed that *asked* names.

    Who reads only *to_look* need not declare the clock: UTC is assumed, and no clock is refused. A
    timeframe that is not declared is that of the first bars. Raises ConfigurationError, DataError,
    PluginError, or OtherTimeframe if another was declared.
    """
    known = _settings_of(asked.use)
    given = {"instrument": asked.instrument, "timezone": asked.timezone, "timeframe": asked.timeframe}
    options = {name: value for name, value in given.items() if value is not None}
    if to_look and "clock_check" in known:
        options["clock_check"] = "false"
    assumed = []
    if to_look and "timezone" in known and asked.timezone is None:
        options["timezone"] = "UTC"
        assumed.append('its clock is not declared, and read as "UTC"')
    if "timeframe" in known and asked.timeframe is None:
        seen = _first_timeframe(asked, options)
        if seen:
            options["timeframe"] = seen
            assumed.append(f"its timeframe is not declared, and its first bars are {seen}")
    return _started(asked, options, assumed)


def declared(asked: Asked) -> Reading:
    """Start the feed that *asked* names, for what is kept of it: another timeframe is a DataError too."""
    try:
        return opened(asked, to_look=False)
    except OtherTimeframe as error:
        raise DataError(str(error)) from None


def words_of(dropped: Mapping[str, int]) -> str:
    """How many lines were left out, by kind."""
    return ", ".join(f"{kind} {count:,}" for kind, count in dropped.items())


def _settings_of(use: str) -> set[str]:
    try:
        return {field.name for field in fields(find(use, brought(), Path.cwd()))}
    except (ConfigurationError, PluginError) as error:
        raise type(error)(f'--feed uses "{use}", {error}') from None


def _first_timeframe(asked: Asked, options: dict[str, str]) -> str:
    """What the first bars are; empty for quotes."""
    try:
        reading = _started(asked, options | {"timeframe": _SHORTEST}, [])
    except OtherTimeframe as error:
        return name_timeframe(error.length)
    if not reading.length:
        return ""
    bars = [each for each in islice(reading.stream(lambda defect: None), _SAMPLE) if isinstance(each, Bar)]
    steps = Counter(after.start - before.start for before, after in pairwise(bars))
    if not steps:
        raise DataError(
            f"{asked.file}: it has too few bars to see how long they are; say so with --timeframe"
        )
    return name_timeframe(steps.most_common(1)[0][0])


def _started(asked: Asked, options: dict[str, str], assumed: list[str]) -> Reading:
    settings = _settings(asked, options)
    try:
        host = Host(_unwatched, build(settings))
    except PluginRefused as error:
        raise PluginError(str(error)) from None
    account = Account(settings.run.cash, settings.run.currency)
    for reply in host.call("startup")(settings.instruments, account, settings.run.seed):
        if isinstance(reply.error, OtherTimeframe):
            raise reply.error
        raise _refusal(asked.file, reply)
    lines = [line for reply in host.call("describe_source")() for line in _value(asked.file, reply)]
    timezone = str(settings.plugins[0].values.get("timezone", "UTC"))
    instrument = settings.instruments[asked.instrument]
    reading = Reading(asked.file, asked.use, instrument, timezone, 0, lines, assumed, settings, host)
    return structs.replace(reading, length=_length_of(reading))


def _length_of(reading: Reading) -> int:
    """How long its bars are in ns, as declared or else as the first one is; 0 for quotes."""
    declared = str(reading.values.get("timeframe") or "")
    for first in reading.stream(lambda defect: None):
        if isinstance(first, Bar):
            return parse_timeframe(declared) if declared else first.time - first.start
        return 0
    return parse_timeframe(declared) if declared else 0


def _settings(asked: Asked, options: dict[str, str]) -> Settings:
    path = json.dumps(str(asked.file.absolute()))
    plugin = [f"use={asked.use}", f"path={path}", *(f"{name}={value}" for name, value in options.items())]
    symbol = f"instruments.{json.dumps(asked.instrument)}"
    terms = [f"{symbol}.tick_size={asked.tick_size}", f"{symbol}.sessions={json.dumps(asked.hours)}"]
    given = [*terms, "run.cash=1", *(f"plugins.{_FEED}.{each}" for each in (*plugin, *asked.others))]
    try:
        return parse("", Path.cwd() / "data", given)
    except ConfigurationError as error:
        # What was typed has no such prefix.
        raise ConfigurationError(str(error).replace(f"--set plugins.{_FEED}.", "--set ")) from None


@contextmanager
def _failures(file: Path, use: str) -> Iterator[None]:
    try:
        yield
    except (GeneratorExit, NicegoldError):
        raise
    except (OSError, ValueError) as error:
        raise _unusable(file, error) from None
    except Exception as error:
        raise PluginError(f"{use} failed while reading: {in_one_line(error)}") from None


def _value(file: Path, reply: Reply) -> Any:
    if reply.error is not None:
        raise _refusal(file, reply)
    return reply.value


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
