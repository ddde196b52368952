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
    Rows,
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
    """Read quotes of *instrument* from the text file *path*, which may be packed with gzip or zip.

    *timezone* is the clock that its times show, as `Clock.parse` reads it. Prices in the file are
    *scale* times the price. What else the file is like is recognised, or declared: *separator*,
    *decimal* point, *header* for a file without, *time_format* in strptime's notation, *columns*,
    the file's names by ours, *order* (the oldest line first, or the newest), *member* of a zip
    archive, *encoding*, and whether a *blank* price is unchanged, as in what MetaTrader 5 exports
    with flags, or a defect.
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
    order: Literal["", "oldest", "newest"] = ""
    member: str = ""
    encoding: Literal["", "utf-8", "utf-16-le", "utf-16-be"] = ""
    blank: Literal["", "unchanged", "defect"] = ""

    def __post_init__(self) -> None:
        self._clock = Clock.parse(self.timezone)
        self._text = TextSettings(
            separator=self.separator,
            decimal=self.decimal,
            header=self.header,
            time_format=self.time_format,
            columns=self.columns,
            scale=self.scale,
            order=self.order,
            member=self.member,
            encoding=self.encoding,
        )

    @hookimpl
    def source(self) -> Source:
        return source_of(Path(self.path))

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        """Raise UnusableData if the file is not there or not as the settings say."""
        table = self._table = self._recognise()
        defects: list[Defect] = []
        quotes = list(self._quotes(table.sample_rows(), defects.append))
        with about_file(table.file.path):
            refuse_unreadable(quotes, defects, 'say order = "newest"')

    @hookimpl
    def describe_source(self) -> list[str]:
        table = self._recognise()
        blank = "unchanged, as MetaTrader 5 has it" if self._carries(table) else "a defect"
        return [*table.describe(_names_in(table)), f"blanks: a blank price is {blank}"]

    @hookimpl
    def stream_market(self, reject: Reject) -> Iterator[Market]:
        return self._quotes(self._table.rows(), reject)

    def _recognise(self) -> TextTable:
        return read_table(Path(self.path), self._text, _PRICES, _LAYOUTS)

    def _carries(self, table: TextTable) -> bool:
        return self.blank == "unchanged" or (not self.blank and "flags" in table.columns)

    def _quotes(self, rows: Rows, reject: Reject) -> Iterator[Quote]:
        read = self._reader(self._table)
        return sound_quotes(rows.lines, read, reject, show_line, first=rows.first, step=rows.step)

    def _reader(self, table: TextTable) -> Callable[[bytes], Quote]:
        """The function that makes a quote of a line. Raises ValueError for what it cannot read."""
        symbol = self.instrument
        names = _names_in(table)
        read_row = table.reader(names, self._clock, carries=self._carries(table))

        # A call with a star costs twice as much.
        def read(line: bytes) -> Quote:
            time, (bid, ask) = read_row(line)
            return Quote(symbol, time, bid, ask)

        def read_sized(line: bytes) -> Quote:
            time, (bid, ask, bid_size, ask_size) = read_row(line)
            return Quote(symbol, time, bid, ask, bid_size, ask_size)

        return read if names == _PRICES else read_sized


def _names_in(table: TextTable) -> tuple[str, ...]:
    """The numbers that are read: one size alone is none."""
    return (*_PRICES, *_SIZES) if all(name in table.columns for name in _SIZES) else _PRICES
