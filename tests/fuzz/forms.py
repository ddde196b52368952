"""Text files in the forms that feeds recognise, made up; and what befalls files, as functions.

They are the seeds of every campaign, and what Hypothesis draws from.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeAlias

import msgspec

from nicegold import SECOND, Bar, Clock, Market, Quote
from tests.fuzz.law import SYMBOL

_EPOCH = datetime(1970, 1, 1)
MINUTE = 60 * SECOND
#: 2020-05-01 00:00 UTC, a Friday.
BEGIN = int(datetime(2020, 5, 1, tzinfo=UTC).timestamp()) * SECOND

UTC_CLOCK = Clock()

#: A line, without its end, of when it is by the file's clock and of its numbers.
Line: TypeAlias = Callable[[datetime, Sequence[float]], str]


class Form(msgspec.Struct, frozen=True):
    """How a program writes lines of *numbers*, the feed's settings for it, and its *header*.

    A line has its time to *step* ns; *end* ends it.
    """

    numbers: tuple[str, ...]
    line: Line
    header: str = ""
    settings: dict[str, Any] = {}
    end: str = "\n"
    step: int = MINUTE


_OHLC = ("open", "high", "low", "close")
_OHLCV = (*_OHLC, "volume")
_DAY = {"timeframe": "D1"}


def _plain(form: str, separator: str = ",") -> Line:
    return lambda time, numbers: separator.join(
        [time.strftime(form), *(f"{number:.2f}" for number in numbers)]
    )


def _counted(unit: int) -> Line:
    def line(time: datetime, numbers: Sequence[float]) -> str:
        count = (time - _EPOCH) // timedelta(microseconds=1) * 1000 // unit
        return ",".join([str(count), *map(str, numbers)])

    return line


def _mt5(time: datetime, numbers: Sequence[float]) -> str:
    *prices, volume, spread = numbers
    shown = "\t".join(f"{price:.2f}" for price in prices)
    return f"{time:%Y.%m.%d\t%H:%M:%S}\t{shown}\t{volume:.0f}\t0\t{round(spread * 100)}"


def _nicegold(time: datetime, numbers: Sequence[float]) -> str:
    shown = ",".join(map(str, numbers))
    return f"{time.year + 543}{time:%m%d,%I:%M:%S %p},{shown}"


def _investing(time: datetime, numbers: Sequence[float]) -> str:
    opened, high, low, close = (f'"{number:,.2f}"' for number in numbers)
    return f'"{time:%b %d, %Y}",{close},{opened},{high},{low},"-0.5%"'


def _comma(time: datetime, numbers: Sequence[float]) -> str:
    shown = (f"{number:,.2f}".translate(str.maketrans(",.", ".,")) for number in numbers)
    return ";".join([f"{time:%d-%b-%y}", *shown])


def _points(time: datetime, numbers: Sequence[float]) -> str:
    return ",".join([f"{time:%Y-%m-%dT%H:%M:%SZ}", *(str(round(number * 100)) for number in numbers)])


def _with_symbol(time: datetime, numbers: Sequence[float]) -> str:
    return f"GOLD,{_plain('%Y-%m-%d %H:%M')(time, numbers)}"


def _turned(time: datetime, numbers: Sequence[float]) -> str:
    return "|".join([*(f"{number:.2f}" for number in reversed(numbers)), f"{time:%m/%d/%Y %H.%M}"])


BARS: dict[str, Form] = {
    "MT4": Form(_OHLCV, _plain("%Y.%m.%d,%H:%M"), end="\r\n"),
    "MT5": Form(
        (*_OHLCV, "spread"),
        _mt5,
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
        end="\r\n",
    ),
    "HistData": Form(_OHLCV, _plain("%Y%m%d %H%M%S", ";")),
    "NICEGOLD": Form(_OHLCV, _nicegold, "Date,Timestamp,Open,High,Low,Close,Volume"),
    "Dukascopy": Form(_OHLCV, _plain("%d.%m.%Y %H:%M:%S.000"), "Gmt time,Open,High,Low,Close,Volume"),
    "Investing.com": Form(
        _OHLC, _investing, '"Date","Price","Open","High","Low","Change"', _DAY, "\r\n", 1440 * MINUTE
    ),
    "decimal comma": Form(
        _OHLC, _comma, "Date;Open;High;Low;Close", {**_DAY, "decimal": ","}, step=1440 * MINUTE
    ),
    "points": Form(_OHLC, _points, "datetime,o,h,l,c", {"scale": Decimal(100)}),
    "an index": Form(_OHLC, _plain("%Y-%m-%d %H:%M:%S"), ",Open,High,Low,Close"),
    "a label": Form(_OHLC, _plain("%Y-%m-%d %H:%M:%S+00:00"), "time,open,high,low,close"),
    "seconds": Form(_OHLCV, _counted(SECOND), "timestamp,open,high,low,close,volume"),
    "milliseconds": Form(_OHLC, _counted(SECOND // 1000), "open_time,open,high,low,close"),
    "symbol first": Form(_OHLC, _with_symbol),
    "declared": Form(
        _OHLC,
        _turned,
        settings={
            "separator": "|",
            "header": "close,low,high,open,time",
            "time_format": "%m/%d/%Y %H.%M",
        },
    ),
}


def _to_milliseconds(form: str) -> Callable[[datetime], str]:
    return lambda time: f"{time:{form}}{time.microsecond // 1000:03}"


def _ticked(form: str, separator: str = ",", *, first: str = "", last: str = "") -> Line:
    shown = _to_milliseconds(form)
    return lambda time, numbers: (
        first + separator.join([shown(time), *(f"{each:.2f}" for each in numbers)]) + last
    )


def _mt5_ticks(time: datetime, numbers: Sequence[float]) -> str:
    return _ticked("%Y.%m.%d\t%H:%M:%S.", "\t", last="\t\t\t6")(time, numbers)


_SIDES = ("bid", "ask")
TICKS: dict[str, Form] = {
    "TrueFX": Form(_SIDES, _ticked("%Y%m%d %H:%M:%S.", first="XAU/USD,"), step=1_000_000),
    "HistData": Form(_SIDES, _ticked("%Y%m%d %H%M%S", last=",0"), step=1_000_000),
    "MT5": Form(
        _SIDES,
        _mt5_ticks,
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>",
        end="\r\n",
        step=1_000_000,
    ),
    "sizes": Form(
        (*_SIDES, "bid_size", "ask_size"),
        _ticked("%Y-%m-%d %H:%M:%S."),
        "timestamp,bid,ask,bidVolume,askVolume",
        step=1_000_000,
    ),
}


def written(form: Form, seen: Sequence[Market], clock: Clock) -> list[bytes]:
    """The lines of a file with what is *seen* in it, each with its end, as *clock* shows their times."""
    lines = [form.header] if form.header else []
    for each in seen:
        local = clock.to_local(each.start if isinstance(each, Bar) else each.time)
        shown = _EPOCH + timedelta(microseconds=local // 1000)
        lines.append(form.line(shown, [getattr(each, name) for name in form.numbers]))
    return [(line + form.end).encode() for line in lines]


def market(form: Form, steps: Sequence[int], prices: Sequence[int], clock: Clock = UTC_CLOCK) -> list[Market]:
    """What a file of *form* may have: bars or quotes so many *steps* apart, at *prices* in hundredths.

    They begin after midnight by *clock*, since days have no other time.
    """
    return (_quotes if "bid" in form.numbers else _bars)(form, steps, prices, clock.to_utc(BEGIN))


def _bars(form: Form, steps: Sequence[int], prices: Sequence[int], start: int) -> list[Market]:
    found: list[Market] = []
    for step, price in zip(steps, prices, strict=True):
        start += step * form.step
        opened, close = price / 100, (price + step % 5) / 100
        values = {"volume": float(price % 50 + 1), "spread": price % 40 / 100}
        extra = [values[name] if name in form.numbers else 0.0 for name in values]
        found.append(
            Bar(SYMBOL, start, start + form.step, opened, (price + 7) / 100, (price - 3) / 100, close, *extra)
        )
    return found


def _quotes(form: Form, steps: Sequence[int], prices: Sequence[int], time: int) -> list[Market]:
    found: list[Market] = []
    for step, price in zip(steps, prices, strict=True):
        time += step * form.step
        sizes = (1.5, 2.25) if "bid_size" in form.numbers else ()
        found.append(Quote(SYMBOL, time, price / 100, (price + 25) / 100, *sizes))
    return found


def sample(form: Form) -> bytes:
    """A small file of *form*, for a corpus."""
    steps, prices = [1, 2, 1, 1, 5], [168_700 + 13 * number for number in range(5)]
    return b"".join(written(form, market(form, steps, prices), UTC_CLOCK))


# How files are encoded and packed.


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        # An entry with a name alone would have the time of today.
        archive.writestr(zipfile.ZipInfo("gold/bars.csv"), content, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("gold/readme.md"), b"made up\n")
    return file.getvalue()


def _recoded(encoding: str, mark: bytes) -> Callable[[bytes], bytes]:
    return lambda content: mark + content.decode("utf-8", "replace").encode(encoding)


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "utf-8": bytes,
    "utf-8 with its mark": lambda content: b"\xef\xbb\xbf" + content,
    "utf-16-le": _recoded("utf-16-le", b"\xff\xfe"),
    "utf-16-be": _recoded("utf-16-be", b"\xfe\xff"),
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "not": bytes,
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "zip": _zipped,
}


# What befalls files.

#: Changes the lines of a file in one place.
Mishap: TypeAlias = Callable[[list[bytes], Random], None]

_ODD = (
    *(b"nan", b"-inf", b"1e999", b"1e308", b"-0", b"0", b"1_0", b"0x1F", b"9" * 25, b"9" * 4400, b"1,687.5"),
    *(b"", b" ", b'"', b'""', b"\x00", b"\xff\xfe", b"\xc2\xa0", b"[1]", b"null", b"true", b"%", b"\x1a"),
    # Digits of Arabic and of full width, and a minus that is none.
    *(
        text.encode()
        for text in ("\u0661\u0666\u0668\u0667", "\uff11\uff16.\uff15", "\u22125", "\u20ac", "x" * 700)
    ),
    *(b"99991231", b"2020-02-30", b"00:60", b"1588291200", b"9999999999999999999", b"25630501", b"+14:00"),
)


def drop(lines: list[bytes], random: Random) -> None:
    del lines[random.randrange(len(lines))]


def repeat(lines: list[bytes], random: Random) -> None:
    number = random.randrange(len(lines))
    lines.insert(number, lines[number])


def swap(lines: list[bytes], random: Random) -> None:
    number = random.randrange(len(lines) - 1)
    lines[number : number + 2] = lines[number + 1], lines[number]


def move(lines: list[bytes], random: Random) -> None:
    line = lines.pop(random.randrange(len(lines)))
    lines.insert(random.randrange(len(lines) + 1), line)


def replace_field(lines: list[bytes], random: Random) -> None:
    number = random.randrange(len(lines))
    separator = random.choice([b",", b";", b"\t", b"|", b" "])
    fields = lines[number].split(separator)
    fields[random.randrange(len(fields))] = random.choice(_ODD)
    lines[number] = separator.join(fields)


def damage_byte(lines: list[bytes], random: Random) -> None:
    number = random.randrange(len(lines))
    line = bytearray(lines[number])
    if line:
        line[random.randrange(len(line))] = random.choice(b'\x00\r\n\t,;."+-:eE09Z\x80\xff')
        lines[number] = bytes(line)


def cut_short(lines: list[bytes], random: Random) -> None:
    number = random.randrange(len(lines))
    lines[number] = lines[number][: random.randrange(len(lines[number]) + 1)]


def change_end(lines: list[bytes], random: Random) -> None:
    number = random.randrange(len(lines))
    lines[number] = lines[number].rstrip(b"\r\n") + random.choice([b"\r", b"\n", b"\r\n", b"\r\r\n", b"\n\n"])


def insert(lines: list[bytes], random: Random) -> None:
    lines.insert(random.randrange(len(lines) + 1), random.choice(_ODD) + b"\n")


MISHAPS: tuple[Mishap, ...] = (
    drop,
    repeat,
    swap,
    move,
    replace_field,
    damage_byte,
    cut_short,
    change_end,
    insert,
)


def happen(lines: Sequence[bytes], random: Random, count: int) -> bytes:
    """The file that *lines* make after so many mishaps."""
    changed = list(lines)
    for _ in range(count):
        if len(changed) > 1:
            random.choice(MISHAPS)(changed, random)
    return b"".join(changed)
