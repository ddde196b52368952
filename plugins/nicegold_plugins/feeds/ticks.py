"""Quotes from text files, in the forms of docs/data.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from nicegold import (
    Clock,
    Defect,
    Instrument,
    Market,
    Quote,
    Reject,
    Source,
    TextSettings,
    TextTable,
    about_file,
    hookimpl,
    plugin,
    read_table,
    refuse_unreadable,
    show_line,
    sound_quotes,
    source_of,
)

_PRICES = ("bid", "ask")
_SIZES = ("bid_size", "ask_size")
_LAYOUTS = (_PRICES, (*_PRICES, "volume"))


@plugin
class Ticks:
    """Read quotes of *instrument* from the text file *path* (unpacked if it ends in .gz).

    *timezone* is the clock that its times show, as `Clock.parse` reads it. Prices in the file are
    *scale* times the price. What else the file is like is recognised, or declared: *separator*,
    *decimal* point, *header* for a file without, *time_format* in strptime's notation, and
    *columns*, the file's names by ours.
    """

    instrument: str
    path: Path
    timezone: str
    separator: str = ""
    decimal: Literal["", ".", ","] = ""
    header: str = ""
    time_format: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    scale: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        self._clock = Clock.parse(self.timezone)
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
        read = self._reader(table)
        quotes = list(sound_quotes(table.sample, read, defects.append, show_line, first=table.skipped + 1))
        with about_file(table.path):
            refuse_unreadable(quotes, defects)

    @hookimpl
    def stream_market(self, reject: Reject) -> Iterator[Market]:
        table = self._table
        return sound_quotes(table.lines(), self._reader(table), reject, show_line, first=table.skipped + 1)

    def _reader(self, table: TextTable) -> Callable[[bytes], Quote]:
        """The function that makes a quote of a line. Raises ValueError for what it cannot read."""
        symbol = self.instrument
        split, time_of = table.splitter(), table.time_reader(self._clock)
        has_sizes = all(name in table.columns for name in _SIZES)
        names = (*_PRICES, *_SIZES) if has_sizes else _PRICES
        numbers = table.number_reader(names, decimal=self.decimal, scale=self.scale)

        def read(line: bytes) -> Quote:
            fields = split(line)
            return Quote(symbol, time_of(fields), *numbers(fields))

        return read
