"""Bars from text files, in the forms of docs/data.md."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Literal

from nicegold import (
    DAY,
    Bar,
    Clock,
    Defect,
    Instrument,
    Market,
    Reject,
    Rows,
    Source,
    TextSettings,
    TextTable,
    about_file,
    hookimpl,
    multiplier,
    parse_timeframe,
    plugin,
    read_table,
    refuse_other_clock,
    refuse_other_timeframe,
    refuse_unreadable,
    show_line,
    sound_bars,
    source_of,
)

_PRICES = ("open", "high", "low", "close")
_NUMBERS = (*_PRICES, "volume", "spread")
_LAYOUTS = (_PRICES, (*_PRICES, "volume"))
_LEAP = 4 * DAY


@plugin
class Csv:
    """Read bars of *instrument* from the text file *path*, which may be packed with gzip or zip.

    *timezone* is the clock that its times show, as `Clock.parse` reads it; a time is that of the
    bar's open, and *timeframe* later (M15, H1) the bar closes. Prices in the file are *scale* times
    the price. *spread_in* says whether its spread is in points of the instrument's tick or in
    price; where *ask_path* has the asks of the same bars, the spread is that of their opens. What
    else the file is like is recognised, or declared: *separator*, *decimal* point, *header* for a
    file without, *time_format* in strptime's notation, *columns*, the file's names by ours, *order*
    (the oldest line first, or the newest), *member* of a zip archive, and *encoding*. With
    *clock_check*, a clock by which the market would trade in closed hours is refused.
    """

    instrument: str
    path: Path
    timezone: str
    timeframe: str
    ask_path: Path | None = None
    separator: str = ""
    decimal: Literal["", ".", ","] = ""
    header: str = ""
    time_format: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    scale: Decimal = Decimal(1)
    spread_in: Literal["points", "price"] = "points"
    order: Literal["", "oldest", "newest"] = ""
    member: str = ""
    encoding: Literal["", "utf-8", "utf-16-le", "utf-16-be"] = ""
    clock_check: bool = True

    def __post_init__(self) -> None:
        self._clock = Clock.parse(self.timezone)
        self._length = parse_timeframe(self.timeframe)
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
        return source_of(*map(Path, filter(None, (self.path, self.ask_path))))

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        """Raise UnusableData if a file is not there or not as the settings say."""
        table = self._table = self._recognise(self.path)
        self._asks = self._recognise(self.ask_path) if self.ask_path else None
        defects: list[Defect] = []
        instrument = instruments[self.instrument]
        asks = self._asks_of(instrument, defects.append)
        bars = list(self._bars(table.sample_rows(), instrument, defects.append, asks))
        with about_file(table.file.path):
            refuse_unreadable(bars, defects, 'say order = "newest"')
            refuse_other_timeframe([bar.start for bar in bars], self._length)
            if self.clock_check:
                first = self._bars(table.rows(), instrument, lambda defect: None, None)
                refuse_other_clock(first, self.timezone, self._length, instrument)

    @hookimpl
    def describe_source(self) -> list[str]:
        asks = self._recognise(self.ask_path).describe(_NUMBERS) if self.ask_path else []
        return [*self._recognise(self.path).describe(_NUMBERS), *(f"asks, {line}" for line in asks)]

    @hookimpl
    def stream_market(self, instruments: Mapping[str, Instrument], reject: Reject) -> Iterator[Market]:
        asks = self._asks_of(instruments[self.instrument], reject)
        bars = self._bars(self._table.rows(), instruments[self.instrument], reject, asks)
        return bars if asks is None else asks.until_the_end(bars)

    def _recognise(self, path: Path) -> TextTable:
        return read_table(Path(path), self._text, _PRICES, _LAYOUTS)

    def _asks_of(self, instrument: Instrument, reject: Reject) -> _Asks | None:
        return _Asks(self._asks, self._reader(self._asks, instrument), reject) if self._asks else None

    def _bars(self, rows: Rows, instrument: Instrument, reject: Reject, asks: _Asks | None) -> Iterator[Bar]:
        read = self._reader(self._table, instrument)
        if asks is not None:
            read = asks.beside(read)
        return sound_bars(
            rows.lines,
            read,
            reject,
            show_line,
            first=rows.first,
            step=rows.step,
            sessions=instrument.sessions,
        )

    def _reader(self, table: TextTable, instrument: Instrument) -> Callable[[bytes], Bar]:
        """The function that makes a bar of a line. Raises ValueError for what it cannot read."""
        symbol, end_of = instrument.symbol, self._clock.adder(self._length)
        read_row = table.reader(_NUMBERS, self._clock)
        spread_of = self._spread_of(instrument)

        # A call with a star costs twice as much.
        def read(line: bytes) -> Bar:
            start, (opened, high, low, close, volume, _) = read_row(line)
            return Bar(symbol, start, end_of(start), opened, high, low, close, volume)

        def read_with_spread(line: bytes) -> Bar:
            start, (opened, high, low, close, volume, spread) = read_row(line)
            return Bar(symbol, start, end_of(start), opened, high, low, close, volume, spread_of(spread))

        return read_with_spread if "spread" in table.columns else read

    def _spread_of(self, instrument: Instrument) -> Callable[[float], float]:
        """The spread in price, of what the file says."""
        return multiplier(instrument.tick_size if self.spread_in == "points" else 1 / self.scale)


class _Asks:
    """The asks of a file of their own, in step with the bids: a line of them is used, or is a defect."""

    def __init__(self, table: TextTable, read: Callable[[bytes], Bar], reject: Reject) -> None:
        rows = table.rows()
        numbered = zip(count(rows.first, rows.step), rows.lines)
        self._name = table.file.path.name
        self._read = read
        self._reject = reject
        #: Bars that are read and not reached yet, with their lines; some of them are defects.
        self._read_ahead: deque[tuple[Bar, tuple[int, bytes]]] = deque()
        self._bars = sound_bars(
            numbered, self._remembered, self._drop, _show_numbered, first=rows.first, step=rows.step
        )
        self._bar: Bar | None = None
        #: The line of the bar, as long as no bid has asked for it.
        self._unused: tuple[int, bytes] | None = None
        #: The lines that bids have asked for which are not delivered yet, by when these begin.
        self._lent: dict[int, tuple[int, bytes]] = {}
        self._was_far = False

    def beside(self, read_bid: Callable[[bytes], Bar]) -> Callable[[bytes], Bar]:
        """*read_bid*, with the spread at the open: a market order that waited for the bar meets it."""

        def read(line: bytes) -> Bar:
            bid = read_bid(line)
            spread = float(_exact(self._at(bid.start).open) - _exact(bid.open))
            return Bar(
                bid.symbol, bid.start, bid.time, bid.open, bid.high, bid.low, bid.close, bid.volume, spread
            )

        return read

    def until_the_end(self, bars: Iterator[Bar]) -> Iterator[Bar]:
        """*bars*; asks whose bid is not among them are rejected, as is what is left after them."""
        for bar in bars:
            self._settle(bar.start)
            yield bar
        while self._advance():
            pass
        self._refuse_lent(list(self._lent))

    def _settle(self, start: int) -> None:
        """The bid of *start* is delivered, and none before it can be."""
        self._lent.pop(start, None)
        if self._lent:
            self._refuse_lent([begins for begins in self._lent if begins < start])

    def _refuse_lent(self, starts: Sequence[int]) -> None:
        for start in starts:
            self._refuse(self._lent.pop(start), "the bid of its time is a defect")

    def _refuse(self, row: tuple[int, bytes], reason: str) -> None:
        self._drop(Defect("unreadable", row[0], reason, show_line(row[1])))

    def _at(self, start: int) -> Bar:
        self._reach(start)
        if self._bar is None or self._bar.start != start:
            raise ValueError(f"{self._name} has no ask of its time")
        if self._unused is not None:
            self._lent[start], self._unused = self._unused, None
        return self._bar

    def _reach(self, start: int) -> None:
        """Go on to the ask of *start*, or the first one after it."""
        if self._bar is None or self._bar.start < start:
            self._advance()
        is_far = self._bar is not None and start - self._bar.start > _LEAP
        # One bid with a wrong time must not cost all asks until then; two agree.
        waits = is_far and not self._was_far
        self._was_far = is_far
        while not waits and self._bar is not None and self._bar.start < start:
            self._advance()

    def _advance(self) -> bool:
        """Go on to the next ask, if there is one."""
        if self._unused is not None:
            self._refuse(self._unused, "there is no bid of its time")
        self._bar, self._unused = next(self._bars, None), None
        if self._bar is None:
            return False
        bar, self._unused = self._read_ahead.popleft()
        # Two may begin at one time, of which the first is a defect.
        while bar is not self._bar:
            bar, self._unused = self._read_ahead.popleft()
        return True

    def _remembered(self, row: tuple[int, bytes]) -> Bar:
        bar = self._read(row[1])
        self._read_ahead.append((bar, row))
        return bar

    def _drop(self, defect: Defect) -> None:
        self._reject(Defect(defect.kind, defect.line, f"in {self._name}: {defect.reason}", defect.text))


def _show_numbered(row: tuple[int, bytes]) -> str:
    return show_line(row[1])


def _exact(price: float) -> Decimal:
    return Decimal(repr(price))
