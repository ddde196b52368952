"""Bars and quotes from Parquet files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Literal, TypeAlias

from nicegold import (
    DAY,
    Bar,
    Clock,
    Defect,
    Instrument,
    Market,
    Quote,
    Reject,
    Source,
    UnusableData,
    about_file,
    find_columns,
    find_file,
    hookimpl,
    multiplier,
    parse_timeframe,
    plugin,
    refuse_missing,
    refuse_other_clock,
    refuse_other_timeframe,
    refuse_unknown,
    refuse_unreadable,
    show_time,
    sound_bars,
    sound_quotes,
    source_of,
)

#: A time in ns by the file's clock, and the numbers; 0 where there is no column for one.
Row: TypeAlias = Sequence[Any]

_PRICES = ("open", "high", "low", "close")
_NUMBERS = (*_PRICES, "volume", "spread")
_SIDES = ("bid", "ask")
_SIZES = ("bid_size", "ask_size")
#: What nautilus_trader's catalog multiplies prices and sizes with, and the key by which it is known.
_NAUTILUS, _NAUTILUS_KEY = 10**9, b"price_precision"
#: `open_e3` is the price times 1000.
_POWER = re.compile(r"_e(\d{1,2})$")
#: Stands for a time that is not there; far before 1970.
_MISSING = -(1 << 63)
_BATCH = 16_384
_SAMPLE = 200
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
#: Whole numbers are seconds, milliseconds, microseconds or ns since 1970; below these, the coarser.
_UNITS = ((10**11, "s"), (10**14, "ms"), (10**17, "us"))


@plugin
class Parquet:
    """Read bars or quotes of *instrument* from the Parquet file *path*, a batch at a time.

    They are quotes where there is a bid and an ask and no open; *kind* says it otherwise. *timezone*
    is the clock that the times show, as `Clock.parse` reads it; that of a bar is its open, and
    *timeframe* later (M15, H1) the bar closes. Prices in the file are *scale* times the price, or
    times the power of ten that a name ends in, as `open_e3` does. *spread_in* says whether its
    spread is in points of the instrument's tick or in price. *columns* are the file's names by
    ours, where these are not recognised. With *clock_check*, a clock by which the market would
    trade in closed hours is refused.
    """

    instrument: str
    path: Path
    timezone: str
    timeframe: str = ""
    kind: Literal["", "bars", "quotes"] = ""
    columns: dict[str, str] = field(default_factory=dict)
    scale: Decimal = Decimal(1)
    spread_in: Literal["points", "price"] = "points"
    clock_check: bool = True

    def __post_init__(self) -> None:
        self._clock = Clock.parse(self.timezone)
        self._length = parse_timeframe(self.timeframe) if self.timeframe else 0
        refuse_unknown(self.columns, ("time", *_NUMBERS, *_SIDES, *_SIZES))
        if not self.scale > 0:
            raise ValueError(f"scale must be above 0: it is {self.scale}")

    @hookimpl
    def source(self) -> Source:
        return source_of(Path(self.path))

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        """Raise UnusableData if the file is not there or not as the settings say."""
        path = Path(self.path)
        self._recognise()
        defects: list[Defect] = []
        seen = list(self._sound(islice(self._rows(), _SAMPLE), instruments, defects.append))
        with about_file(path):
            if not seen and not defects:
                raise UnusableData("has no rows")
            refuse_unreadable(seen, defects, self._turn)
            if not self._is_of_quotes:
                self._refuse_other(seen, instruments)

    @hookimpl
    def describe_source(self) -> list[str]:
        file = self._recognise()
        scaled = {ours: scale for ours, scale in self._scales.items() if scale != 1.0}
        return [
            f"file: Parquet with {file.metadata.num_rows:,} rows of {self._kind}",
            f"columns: {', '.join(f'{ours} is {theirs}' for ours, theirs in self._columns.items())}",
            f"times: {file.schema_arrow.field(self._columns['time']).type}",
            *(f"scale: {ours} is divided by {scale:,.0f}" for ours, scale in scaled.items()),
        ]

    @hookimpl
    def stream_market(self, instruments: Mapping[str, Instrument], reject: Reject) -> Iterator[Market]:
        return self._sound(self._rows(), instruments, reject)

    @property
    def _turn(self) -> str:
        """How to turn a file round that has its newest row first."""
        return f'sort it, such as with pyarrow: table.sort_by("{self._columns["time"]}")'

    @property
    def _is_of_quotes(self) -> bool:
        return self._kind == "quotes"

    def _refuse_other(self, bars: Sequence[Any], instruments: Mapping[str, Instrument]) -> None:
        """Raise UnusableData if the *bars* at the beginning contradict the timeframe or the clock."""
        refuse_other_timeframe([bar.start for bar in bars], self._length)
        if self.clock_check:
            first: Iterator[Any] = self._sound(self._rows(), instruments, lambda defect: None)
            refuse_other_clock(first, self.timezone, self._length, instruments[self.instrument])

    def _sound(
        self, rows: Iterable[Row], instruments: Mapping[str, Instrument], reject: Reject
    ) -> Iterator[Market]:
        if self._is_of_quotes:
            return sound_quotes(rows, self._quote_reader(), reject, self._show)
        instrument = instruments[self.instrument]
        return sound_bars(
            rows, self._bar_reader(instrument), reject, self._show, sessions=instrument.sessions
        )

    def _recognise(self) -> Any:
        """Look at what is where in the file, and answer it. Raises UnusableData."""
        path = find_file(Path(self.path))
        with about_file(path):
            file = _open(path)
            _refuse_other_count(file.metadata)
            self._columns = self._columns_in(file.schema_arrow)
            self._scales = {ours: self._scale_of(file.schema_arrow, ours) for ours in self._columns}
            self._times = self._clock_of(file.schema_arrow)
        return file

    def _columns_in(self, schema: Any) -> dict[str, str]:
        """The names of the file's columns by ours, the time first. Raises UnusableData."""
        names = [_POWER.sub("", name) for name in schema.names]
        found = find_columns(names, {ours: _POWER.sub("", name) for ours, name in self.columns.items()})
        is_two_sided = all(side in found for side in _SIDES) and "open" not in found
        self._kind = self.kind or ("quotes" if is_two_sided else "bars")
        prices, others = (_SIDES, _SIZES) if self._is_of_quotes else (_PRICES, _NUMBERS[len(_PRICES) :])
        refuse_missing(found, ("time", *prices), schema.names)
        if not (self._is_of_quotes or self._length):
            raise UnusableData('has bars; say how long they are, such as with timeframe = "M1"')
        columns = {ours: schema.names[found[ours]] for ours in ("time", *prices, *others) if ours in found}
        for ours, name in columns.items():
            if schema.names.count(name) > 1:
                raise UnusableData(f'has two columns "{name}"; write it with one')
            _refuse_type(name, schema.field(name).type, is_time=ours == "time")
        return columns

    def _clock_of(self, schema: Any) -> Clock:
        """The clock that the times are stored by. Raises UnusableData if their label is of another."""
        label = getattr(schema.field(self._columns["time"]).type, "tz", None)
        if label in (None, "UTC", "+00:00"):
            return self._clock
        if Clock.parse(f"UTC{label}" if label[0] in "+-" else label) != self._clock:
            raise UnusableData(
                f'has times labelled {label} in "{self._columns["time"]}", and timezone says '
                f'{self.timezone}; say timezone = "{label}", or write them without the label'
            )
        return Clock()

    def _rows(self) -> Iterator[Row]:
        path = Path(self.path)
        numbers = (*_SIDES, *_SIZES) if self._is_of_quotes else _NUMBERS
        with about_file(path):
            for batch in _batches(_open(path), list(self._columns.values())):
                times = _times(batch.column(self._columns["time"]))
                values = [
                    self._values(batch, name) if name in self._columns else repeat(0.0) for name in numbers
                ]
                # Not strict: the zeros have no end.
                yield from zip(times, *values, strict=False)

    def _values(self, batch: Any, ours: str) -> list[float]:
        return _floats(batch.column(self._columns[ours]), self._scales[ours])

    def _scale_of(self, schema: Any, ours: str) -> float:
        """What the numbers in the column are divided by."""
        name = self._columns[ours]
        power = _POWER.search(name)
        if power is not None:
            return float(10 ** int(power[1]))
        if ours == "time" or ours in ("volume", "spread"):
            return 1.0
        if (
            _NAUTILUS_KEY in (schema.metadata or {})
            and _is_whole(schema.field(name).type)
            and self.scale == 1
        ):
            return float(_NAUTILUS)
        return 1.0 if ours in _SIZES else float(self.scale)

    def _bar_reader(self, instrument: Instrument) -> Callable[[Row], Bar]:
        """The function that makes a bar of a row. Raises ValueError for what it cannot read."""
        symbol, time_of = self.instrument, self._times.reader().time
        end_of = self._clock.adder(self._length)
        spread_of = self._spread_of(instrument) if "spread" in self._columns else None

        def read(row: Row) -> Bar:
            local, opened, high, low, close, volume, spread = row
            if local <= _MISSING:
                raise ValueError("its time is missing")
            start = time_of(local)
            if spread_of is not None:
                spread = spread_of(spread)
            return Bar(symbol, start, end_of(start), opened, high, low, close, volume, spread)

        return read

    def _quote_reader(self) -> Callable[[Row], Quote]:
        symbol, time_of = self.instrument, self._times.reader().time

        def read(row: Row) -> Quote:
            local, bid, ask, bid_size, ask_size = row
            if local <= _MISSING:
                raise ValueError("its time is missing")
            return Quote(symbol, time_of(local), bid, ask, bid_size, ask_size)

        return read

    def _spread_of(self, instrument: Instrument) -> Callable[[float], float]:
        """The spread in price, of what the file says."""
        return multiplier(instrument.tick_size if self.spread_in == "points" else 1 / self.scale)

    def _show(self, row: Row) -> str:
        local, *values = row
        time = "missing" if local <= _MISSING else show_time(local)
        names = (*_SIDES, *_SIZES) if self._is_of_quotes else _NUMBERS
        there = [str(value) for name, value in zip(names, values, strict=True) if name in self._columns]
        return ", ".join([time, *there])


# What pyarrow knows. It is an extra, and it is slow to import: only those who use it pay.


def _open(path: Path) -> Any:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ImportError('parquet needs pyarrow: pip install "nicegold[parquet]"') from None
    try:
        return ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise UnusableData(f"is not Parquet that can be read: {_first_line(error)}") from None


def _refuse_other_count(metadata: Any) -> None:
    """Raise UnusableData if a file has not as many rows as it says: some could be lost."""
    there = sum(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    if there != metadata.num_rows:
        raise UnusableData(f"is damaged: it says {metadata.num_rows:,} rows, and {there:,} are there")


def _batches(file: Any, names: Sequence[str]) -> Iterator[Any]:
    from pyarrow import ArrowException

    try:
        yield from file.iter_batches(_BATCH, columns=list(names))
    except (ArrowException, OSError) as error:
        raise UnusableData(f"cannot be read to its end: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _refuse_type(name: str, kind: Any, *, is_time: bool) -> None:
    from pyarrow import types

    fits = types.is_timestamp(kind) or types.is_date(kind) if is_time else types.is_floating(kind)
    if not (fits or types.is_integer(kind) or (types.is_decimal(kind) and not is_time)):
        raise UnusableData(f'has {kind} in "{name}", not {"times" if is_time else "numbers"}')


def _is_whole(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind))


def _times(column: Any) -> list[int]:
    """*column* in ns since 1970 by the file's clock; null is far before."""
    import pyarrow as arrow

    unit = _unit_of(column)
    whole = column.cast(arrow.int32()) if arrow.types.is_date32(column.type) else column
    # Python multiplies, since its integers do not overflow into times that look right.
    values = _list(whole.cast(arrow.int64(), safe=False).fill_null(_MISSING), "q")
    return values if unit == 1 else [value * unit for value in values]


def _unit_of(column: Any) -> int:
    """How many ns one is in *column*."""
    from pyarrow import compute, types

    kind = column.type
    if types.is_timestamp(kind):
        return _NANOSECONDS[kind.unit]
    if types.is_date(kind):
        return DAY if types.is_date32(kind) else _NANOSECONDS["ms"]
    greatest = compute.max(column).as_py() or 0
    return next((_NANOSECONDS[unit] for limit, unit in _UNITS if greatest < limit), 1)


def _floats(column: Any, scale: float) -> list[float]:
    """*column* divided by *scale*, NaN for null."""
    import pyarrow as arrow
    from pyarrow import compute

    numbers = column.cast(arrow.float64(), safe=False).fill_null(float("nan"))
    return _list(numbers if scale == 1.0 else compute.divide(numbers, scale), "d")


def _list(column: Any, form: Literal["q", "d"]) -> list[Any]:
    """The values of *column*, without the object that pyarrow would make for each."""
    if not len(column):
        return []
    values = memoryview(column.buffers()[1]).cast("B").cast(form)
    return values[column.offset : column.offset + len(column)].tolist()
