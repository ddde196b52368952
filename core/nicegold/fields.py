"""The fields of a line of text: how they are cut, and read as numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter, truediv
from typing import TypeAlias

import msgspec

from nicegold.timeformat import ReadTime, show_bytes

#: Cuts a line into its fields. Raises ValueError where it does not have as many as the file has.
Split: TypeAlias = Callable[[bytes], list[bytes]]
#: Reads numbers from the fields of a line. Raises ValueError that names what is none.
ReadNumbers: TypeAlias = Callable[[Sequence[bytes]], Sequence[float]]
#: Reads the number called so from its text. Raises ValueError.
ReadNumber: TypeAlias = Callable[[str, bytes], float]
#: Reads a JSON array of numbers. Raises ValueError.
Decode: TypeAlias = Callable[[bytes], Sequence[float]]
#: Reads the time of a line, in ns UTC, and its numbers. Raises ValueError that says what it cannot read.
ReadRow: TypeAlias = Callable[[bytes], tuple[int, Sequence[float]]]

#: The column of what a file has no column for: behind the last one, where a 0 is put.
NO_COLUMN = -1
#: 1,425 or 1,425.38.
_GROUPED = re.compile(rb"[+-]?\d{1,3}(,\d{3})+(\.\d*)?$")
_TURNED = bytes.maketrans(b".,", b",.")
_COMMA = '; if its comma groups thousands say decimal = ".", if it is the decimal point decimal = ","'
#: Characters of a line that are kept when it is rejected.
_SHOWN = 500


def splitter(separator: bytes, width: int, *, is_quoted: bool) -> Split:
    """The function that cuts a line into *width* fields."""
    quoted = quoted_splitter(separator) if is_quoted else None

    def split(line: bytes) -> list[bytes]:
        fields = line.rstrip(b"\r\n").split(separator) if quoted is None else quoted(line)
        if len(fields) != width:
            raise ValueError(f"it has {len(fields)} fields, not {width}")
        return fields

    return split


def cut(split: Split, line: bytes) -> list[bytes]:
    """The fields of *line*, or none if it does not have them."""
    try:
        return split(line)
    except ValueError:
        return []


def quoted_splitter(separator: bytes) -> Split:
    """The function that cuts a line whose fields may be in quotes, into as many as it has."""
    delimiter = separator.decode("latin-1")

    def split(line: bytes) -> list[bytes]:
        try:
            (fields,) = csv.reader([line.decode("latin-1").rstrip("\r\n")], delimiter=delimiter)
        except (csv.Error, ValueError):
            raise ValueError("it cannot be cut into fields") from None
        return [field.encode("latin-1") for field in fields]

    return split


def row_reader(split: Split, time_of: ReadTime, numbers_of: ReadNumbers) -> ReadRow:
    """Reads a line field by field."""

    def read(line: bytes) -> tuple[int, Sequence[float]]:
        fields = split(line)
        return time_of(fields), numbers_of(fields)

    return read


def line_reader(
    separator: bytes, lead: int, decode: Decode, columns: Sequence[int], time_of: ReadTime, other: ReadRow
) -> ReadRow:
    """Reads all behind the *lead* first fields with one *decode*; *other* reads what is not just numbers."""
    pick = itemgetter(*(column if column == NO_COLUMN else column - lead for column in columns))
    is_with_commas = separator == b","

    def read(line: bytes) -> tuple[int, Sequence[float]]:
        fields = line.split(separator, lead)
        try:
            numbers = fields[lead]
            if is_with_commas:
                values = decode(b"[%b]" % numbers)
            elif b"," in numbers:
                return other(line)
            else:
                values = decode(b"[%b]" % numbers.replace(separator, b","))
        except (ValueError, IndexError):
            return other(line)
        return time_of(fields), pick((*values, 0.0))

    return read


def scaled_reader(read: ReadRow, divisors: Sequence[float]) -> ReadRow:
    """As *read*, with each number divided by what stands for it in *divisors*."""

    def read_scaled(line: bytes) -> tuple[int, Sequence[float]]:
        time, numbers = read(line)
        return time, tuple(map(truediv, numbers, divisors))

    return read_scaled


def decoder_of(count: int) -> Decode:
    """Reads so many plain numbers as JSON, several times as fast as float(). Raises ValueError."""
    return msgspec.json.Decoder(tuple[(float,) * count]).decode  # type: ignore[misc]


def quick_reader(columns: Sequence[int], exact: ReadNumbers) -> ReadNumbers:
    """Reads plain numbers as JSON; *exact* reads what is not JSON."""
    decode = decoder_of(len(columns))
    pick = itemgetter(*columns)

    def read(fields: Sequence[bytes]) -> Sequence[float]:
        try:
            return decode(b"[%b]" % b",".join(pick((*fields, b"0"))))
        except ValueError:
            return exact(fields)

    return read


def number_reader(decimal: str) -> ReadNumber:
    """Reads numbers with this point; if *decimal* is empty, a comma that could be one is refused."""
    plain_of = {"": _plain_if_certain, ".": _plain_of_point, ",": _plain_of_comma}[decimal]
    hint = "" if decimal else _COMMA

    def number(name: str, text: bytes) -> float:
        try:
            # To Python 1_000 is a number too.
            return float(plain_of(text).replace(b"_", b"?"))
        except ValueError:
            way_out = hint if b"," in text else ""
            raise ValueError(f'{name} is "{show_bytes(text)}", not a number{way_out}') from None

    return number


def exact_reader(columns: Mapping[str, int], number: ReadNumber) -> ReadNumbers:
    """Reads the numbers of *columns* one by one."""

    def read(fields: Sequence[bytes]) -> Sequence[float]:
        return [
            0.0 if column == NO_COLUMN else number(name, fields[column].strip())
            for name, column in columns.items()
        ]

    return read


def carrying_reader(columns: Mapping[str, int], number: ReadNumber) -> ReadNumbers:
    """As `exact_reader`, for lines that leave blank what has not changed."""
    last = {name: 0.0 for name, column in columns.items() if column == NO_COLUMN}
    used = {name: column for name, column in columns.items() if column != NO_COLUMN}

    def read(fields: Sequence[bytes]) -> Sequence[float]:
        texts = {name: text for name, column in used.items() if (text := fields[column].strip())}
        last.update({name: number(name, text) for name, text in texts.items()})
        for name in used:
            if name not in last:
                raise ValueError(f"{name} is blank, and no line before says what it is")
        return [last[name] for name in columns]

    return read


def _plain_if_certain(text: bytes) -> bytes:
    # 1,425 may be 1425, or a little more than 1; 1,425.38 is certain.
    return _plain_of_point(text) if b"." in text else text


def _plain_of_point(text: bytes) -> bytes:
    return text.replace(b",", b"") if _GROUPED.match(text) else text


def _plain_of_comma(text: bytes) -> bytes:
    turned = text.translate(_TURNED)
    return _plain_of_point(turned)


def multiplier(unit: Decimal) -> Callable[[float], float]:
    """The function that multiplies by *unit* as people do: 35 points of 0.01 are 0.35.

    It remembers, since a file has few spreads; in floats 35 * 0.01 is 0.35000000000000003.
    """
    return lru_cache(maxsize=1024)(lambda value: float(Decimal(repr(value)) * unit))


def show_line(line: bytes) -> str:
    """*line* for a person; empty where it is blank."""
    text = show_bytes(line.strip())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
