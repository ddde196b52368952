"""Bars from Parquet files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from nicegold import (
    DAY,
    Bar,
    Clock,
    Defect,
    Instrument,
    Market,
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
    refuse_other_timeframe,
    refuse_unknown,
    refuse_unreadable,
    show_time,
    sound_bars,
    source_of,
)

#: A time in ns by the file's clock, and the numbers of the columns that are there.
Row: TypeAlias = Sequence[Any]

_PRICES = ("open", "high", "low", "close")
_NUMBERS = (*_PRICES, "volume", "spread")
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
    """Read bars of *instrument* from the Parquet file *path*, a batch at a time.

    *timezone* is the clock that its times show, as `Clock.parse` reads it; a time is that of the
    bar's open, and *timeframe* later (M15, H1) the bar closes. Prices in the file are *scale* times
    the price, or times the power of ten that a name ends in, as `open_e3` does. *spread_in* says
    whether its spread is in points of the instrument's tick or in price.
    *columns* are the file's names by ours, where these are not recognised.
    """

    instrument: str
    path: Path
    timezone: str
    timeframe: str
    columns: dict[str, str] = field(default_factory=dict)
    scale: Decimal = Decimal(1)
    spread_in: Literal["points", "price"] = "points"

    def __post_init__(self) -> None:
        self._clock = Clock.parse(self.timezone)
        self._length = parse_timeframe(self.timeframe)
        refuse_unknown(self.columns, ("time", *_NUMBERS))
        if not self.scale > 0:
            raise ValueError(f"scale must be above 0: it is {self.scale}")

    @hookimpl
    def source(self) -> Source:
        return source_of(Path(self.path))

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        """Raise UnusableData if the file is not there or not as the settings say."""
        path = find_file(Path(self.path))
        with about_file(path):
            self._columns = self._recognise(_open(path).schema_arrow)
        defects: list[Defect] = []
        rows = islice(self._rows(), _SAMPLE)
        bars = list(sound_bars(rows, self._reader(instruments), defects.append, _show))
        with about_file(path):
            if not bars and not defects:
                raise UnusableData("has no rows")
            refuse_unreadable(bars, defects)
            refuse_other_timeframe([bar.start for bar in bars], self._length)

    @hookimpl
    def stream_market(self, instruments: Mapping[str, Instrument], reject: Reject) -> Iterator[Market]:
        return sound_bars(self._rows(), self._reader(instruments), reject, _show)

    def _recognise(self, schema: Any) -> dict[str, str]:
        """The names of the file's columns by ours, the time first. Raises UnusableData."""
        names = [_POWER.sub("", name) for name in schema.names]
        found = find_columns(names, {ours: _POWER.sub("", name) for ours, name in self.columns.items()})
        refuse_missing(found, ("time", *_PRICES), schema.names)
        columns = {ours: schema.names[found[ours]] for ours in ("time", *_NUMBERS) if ours in found}
        for ours, name in columns.items():
            if schema.names.count(name) > 1:
                raise UnusableData(f'has two columns "{name}"; write it with one')
            _refuse_type(name, schema.field(name).type, is_time=ours == "time")
        return columns

    def _rows(self) -> Iterator[Row]:
        path = Path(self.path)
        time, *numbers = self._columns.items()
        scales = [self._scale_of(ours, name) for ours, name in numbers]
        with about_file(path):
            for batch in _batches(_open(path), list(self._columns.values())):
                times = _times(batch.column(time[1]))
                columns = [batch.column(name) for _, name in numbers]
                values = [_floats(column, scale) for column, scale in zip(columns, scales, strict=True)]
                yield from zip(times, *values, strict=True)

    def _scale_of(self, ours: str, name: str) -> float:
        power = _POWER.search(name)
        if power is not None:
            return float(10 ** int(power[1]))
        return float(self.scale) if ours in _PRICES else 1.0

    def _reader(self, instruments: Mapping[str, Instrument]) -> Callable[[Row], Bar]:
        """The function that makes a bar of a row. Raises ValueError for what it cannot read."""
        symbol, time_of = self.instrument, self._clock.reader().time
        end_of = self._clock.adder(self._length)
        has_spread = "spread" in self._columns
        spread_of = self._spread_of(instruments[symbol])

        def read(row: Row) -> Bar:
            local, *values = row
            if local <= _MISSING:
                raise ValueError("its time is missing")
            start = time_of(local)
            if not has_spread:
                return Bar(symbol, start, end_of(start), *values)
            # It is the last of the values, whether there is a volume or not.
            return Bar(symbol, start, end_of(start), *values[:-1], spread=spread_of(values[-1]))  # type: ignore[misc]

        return read

    def _spread_of(self, instrument: Instrument) -> Callable[[float], float]:
        """The spread in price, of what the file says."""
        return multiplier(instrument.tick_size if self.spread_in == "points" else 1 / self.scale)


def _show(row: Row) -> str:
    local, *values = row
    time = "missing" if local <= _MISSING else show_time(local)
    return ", ".join([time, *map(str, values)])


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

    if is_time and types.is_timestamp(kind) and kind.tz not in (None, "UTC", "+00:00"):
        raise UnusableData(
            f'has times labelled {kind.tz} in "{name}", so they are stored in UTC; '
            "write them without the label, or with that of UTC"
        )
    fits = types.is_timestamp(kind) or types.is_date(kind) if is_time else types.is_floating(kind)
    if not (fits or types.is_integer(kind) or (types.is_decimal(kind) and not is_time)):
        raise UnusableData(f'has {kind} in "{name}", not {"times" if is_time else "numbers"}')


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
