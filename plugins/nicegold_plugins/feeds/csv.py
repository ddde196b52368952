"""Bars from text files, in the forms of docs/data.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from nicegold import (
    Bar,
    Clock,
    Defect,
    Instrument,
    Market,
    Reject,
    Source,
    TextSettings,
    TextTable,
    about_file,
    hookimpl,
    multiplier,
    parse_timeframe,
    plugin,
    read_table,
    refuse_other_timeframe,
    refuse_unreadable,
    show_line,
    sound_bars,
    source_of,
)

_PRICES = ("open", "high", "low", "close")
_LAYOUTS = (_PRICES, (*_PRICES, "volume"))


@plugin
class Csv:
    """Read bars of *instrument* from the text file *path* (unpacked if it ends in .gz).

    *timezone* is the clock that its times show, as `Clock.parse` reads it; a time is that of the
    bar's open, and *timeframe* later (M15, H1) the bar closes. Prices in the file are *scale* times
    the price. *spread_in* says whether its spread is in points of the instrument's tick or in
    price. What else the file is like is recognised, or declared:
    *separator*, *decimal* point, *header* for a file without, *time_format* in strptime's notation,
    and *columns*, the file's names by ours.
    """

    instrument: str
    path: Path
    timezone: str
    timeframe: str
    separator: str = ""
    decimal: Literal["", ".", ","] = ""
    header: str = ""
    time_format: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    scale: Decimal = Decimal(1)
    spread_in: Literal["points", "price"] = "points"

    def __post_init__(self) -> None:
        self._clock = Clock.parse(self.timezone)
        self._length = parse_timeframe(self.timeframe)
        self._text = TextSettings(
            separator=self.separator,
            header=self.header,
            time_format=self.time_format,
            columns=self.columns,
        )
        if not self.scale > 0:
            raise ValueError(f"scale must be above 0: it is {self.scale}")

    @hookimpl
    def source(self) -> Source:
        return source_of(Path(self.path))

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        """Raise UnusableData if the file is not there or not as the settings say."""
        table = self._table = read_table(Path(self.path), self._text, _PRICES, _LAYOUTS)
        defects: list[Defect] = []
        read = self._reader(table, instruments[self.instrument])
        bars = list(sound_bars(table.sample, read, defects.append, show_line, first=table.skipped + 1))
        with about_file(table.path):
            refuse_unreadable(bars, defects)
            refuse_other_timeframe([bar.start for bar in bars], self._length)

    @hookimpl
    def stream_market(self, instruments: Mapping[str, Instrument], reject: Reject) -> Iterator[Market]:
        table = self._table
        read = self._reader(table, instruments[self.instrument])
        return sound_bars(table.lines(), read, reject, show_line, first=table.skipped + 1)

    def _reader(self, table: TextTable, instrument: Instrument) -> Callable[[bytes], Bar]:
        """The function that makes a bar of a line. Raises ValueError for what it cannot read."""
        symbol = instrument.symbol
        split, time_of = table.splitter(), table.time_reader(self._clock)
        names = [name for name in (*_PRICES, "volume", "spread") if name in table.columns]
        numbers = table.number_reader(names, decimal=self.decimal, scale=self.scale)
        end_of = self._clock.adder(self._length)
        spread = self._spread_of(instrument) if "spread" in names else None

        def read(line: bytes) -> Bar:
            fields = split(line)
            start = time_of(fields)
            values = numbers(fields)
            if spread is None:
                return Bar(symbol, start, end_of(start), *values)
            # It is the last of the values, whether there is a volume or not.
            return Bar(symbol, start, end_of(start), *values[:-1], spread=spread(values[-1]))  # type: ignore[misc]

        return read

    def _spread_of(self, instrument: Instrument) -> Callable[[float], float]:
        """The spread in price, of what the file says."""
        return multiplier(instrument.tick_size if self.spread_in == "points" else 1 / self.scale)
