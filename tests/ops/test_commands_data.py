"""`nicegold data check` and `nicegold data convert`, as they are typed."""

from __future__ import annotations

import csv
import hashlib
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from nicegold import Bar, Instrument
from nicegold_plugins.feeds.csv import Csv
from nicegold_plugins.feeds.parquet import Parquet
from tests.ops.commandline import Answer, Shell, csv_of, market_in

ALWAYS = ("--timezone", "UTC", "--timeframe", "M15", "--sessions", "always")
QUARTER = 15 * 60 * 10**9


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def odd(shell: Shell) -> str:
    """A file of a hundred bars, of which one comes twice, one is broken and some are missing."""
    header, *rows = csv_of(100).splitlines()
    time, opened, high, low, *others = rows[10].split(",")
    broken = ",".join([time, opened, low, high, *others])
    shell.write("odd.csv", "\n".join([header, *rows[:10], rows[9], broken, *rows[40:]]) + "\n")
    return "odd.csv"


def weeks_of_hours(weeks: int, *, ahead: int) -> str:
    """Hours of gold in winter, without weekends and breaks, by a clock so many hours *ahead* of UTC."""
    lines = ["time,open,high,low,close,volume"]
    for number in range(weeks * 7 * 24):
        moment = datetime(2026, 1, 4, 23) + timedelta(hours=number)
        if number % 168 < 5 * 24 - 1 and number % 24 != 23:
            lines.append(f"{moment + timedelta(hours=ahead)},2000.0,2001.0,1999.0,{2000 + number % 2},7")
    return "\n".join(lines) + "\n"


# data check


def test_data_check_counts_rows_defects_and_gaps(shell):
    answer = shell("data", "check", odd(shell), *ALWAYS, "--json", "-")

    assert 0 == answer.code, answer.err
    found = answer.json
    assert (72, 70) == (found["rows"], found["events"])
    assert {"broken_ohlc": 1, "duplicate": 1} == found["dropped"]
    first = {finding["kind"]: finding["first"] for finding in found["findings"]}
    assert (["line 12"], ["line 13"]) == (first["duplicate"], first["broken_ohlc"])
    (gap,) = found["gaps"]
    assert (30 * QUARTER, 30 * QUARTER, 30) == (gap["until"] - gap["after"], gap["open"], gap["missing"])
    assert 30 == found["missing"]
    assert 100 * QUARTER == found["last"] - found["first"]


def test_data_check_tells_a_person_the_same_and_draws_the_gaps(shell):
    answer = shell("data", "check", odd(shell), *ALWAYS)

    assert 0 == answer.code
    for part in (
        "72: 70 used, 2 not",
        "2026-01-05 00:00:00 to 2026-01-06 01:00:00 UTC",
        "line 12",
        "cannot tell",
    ):
        assert part in answer.out, part
    (week,) = (line for line in answer.out.splitlines() if line.startswith("2026-01-05"))
    # Two hours and a half, seven and a half that are missing, the rest.
    assert "2026-01-05  ▒··▒█████" == week.rstrip()


def test_data_check_of_good_data_says_so(shell):
    answer = shell("data", "check", "bars.csv", *ALWAYS)

    assert 0 == answer.code
    assert "400: 400 used, 0 not" in answer.out
    assert "Nothing odd was found" in answer.out


def test_data_check_needs_no_declaration(shell):
    shell.write("hours.csv", weeks_of_hours(4, ahead=2))

    answer = shell("data", "check", "hours.csv", "--json", "-")

    assert 0 == answer.code, answer.err
    found = answer.json
    assert "its timeframe is not declared, and its first bars are H1" in found["recognised"]
    assert ("contradicts", "UTC") == (found["clock"]["says"], found["clock"]["declared"])
    assert "UTC+2" in found["clock"]["stretches"][0]["clocks"]


def test_data_check_sees_the_timeframe_of_a_few_bars(shell):
    shell.write("few.csv", csv_of(5))

    answer = shell("data", "check", "few.csv", "--json", "-")

    assert "its timeframe is not declared, and its first bars are M15" in answer.json["recognised"]


def test_data_check_reads_a_file_whose_timeframe_is_refused_and_says_that_it_is(shell):
    answer = shell("data", "check", "bars.csv", "--timeframe", "M1", "--sessions", "always", "--json", "-")

    assert 0 == answer.code
    (finding,) = (each for each in answer.json["findings"] if each["kind"] == "timeframe")
    assert "its first bars are M15, and M1 is declared" == finding["why"]
    assert 400 == answer.json["events"]


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 3)])
def test_data_check_is_content_unless_it_is_strict(options, code, shell):
    answer = shell("data", "check", odd(shell), *ALWAYS, *options)

    assert code == answer.code
    assert "30 bars are missing" in answer.out
    assert ("error: odd.csv: duplicate, broken_ohlc, gap; see" in answer.err) is bool(code)


def test_data_check_is_strict_about_findings_and_not_about_notes(shell):
    assert 0 == shell("data", "check", "bars.csv", *ALWAYS, "--strict").code


def test_data_check_writes_a_page_that_needs_no_network(shell):
    pytest.importorskip("bokeh")

    answer = shell("data", "check", odd(shell), *ALWAYS, "--html", "found.html")

    assert 0 == answer.code, answer.err
    written = (shell.folder / "found.html").read_text()
    assert "30 bars are missing in open hours" in written
    assert "line 12" in written
    markup = re.sub(r">.*?</script>", "></script>", written, flags=re.DOTALL)
    assert "<script" in markup
    assert not re.search(r"(src|href)=", markup)


def test_data_check_of_a_missing_file_is_a_data_error(shell):
    answer = shell("data", "check", "missing.csv", "--timezone", "UTC", "--timeframe", "M15")

    assert 3 == answer.code
    assert re.fullmatch(r"error: .*missing\.csv.*\n", answer.err)


def test_data_check_of_something_else_is_a_data_error(shell):
    shell.write("poem.csv", "roses are red\nviolets are blue\n")

    answer = shell("data", "check", "poem.csv", "--timezone", "UTC", "--timeframe", "M15")

    assert 3 == answer.code
    assert re.fullmatch(r"error: .*poem\.csv.*\n", answer.err)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--set", "heder=a,b"), r'error: --set heder: .*did you mean "header"'),
        (("--sessions", "whenever"), r'sessions "whenever" are not hours'),
        (("--feed", "cvs"), r'error: --feed uses "cvs", which is not installed.*did you mean "csv"'),
        (("--instrument", "X.Y", "--tick-size", "-1"), r"tick_size is -1; it must be above 0"),
    ],
)
def test_data_check_says_what_was_mistyped(options, reason, shell):
    answer = shell("data", "check", "bars.csv", "--timezone", "UTC", "--timeframe", "M15", *options)

    assert 2 == answer.code
    assert re.search(reason, answer.err)


# data convert


def converted(shell: Shell, file: str, *options: str) -> Answer:
    return shell("data", "convert", file, "clean.parquet", *ALWAYS, *options)


def test_what_was_converted_gives_the_same_backtest(shell):
    pytest.importorskip("pyarrow")
    assert 0 == converted(shell, "bars.csv").code

    before = shell("backtest", "--json", "-").json
    parquet = ("use=parquet", f"path={shell.folder / 'clean.parquet'}", "spread_in=price")
    settings = [part for each in parquet for part in ("--set", f"plugins.gold.{each}")]
    after = shell("backtest", *settings, "--json", "-").json

    assert before["fingerprint"] == after["fingerprint"]


def test_what_was_converted_is_read_back_bar_by_bar(shell):
    pytest.importorskip("pyarrow")
    rows = [
        f"2026-01-05 00:{number:02}:00,2000.{number},2001,1999.1,2000.3,{number}.7,{number}"
        for number in range(60)
    ]
    shell.write("spreads.csv", "\n".join(["time,open,high,low,close,volume,spread", *rows]) + "\n")
    gold = {"XAUUSD": Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"))}

    answer = shell("data", "convert", "spreads.csv", "clean.parquet", "--timezone", "America/New_York+7")

    assert 0 == answer.code, answer.err
    assert 'use = "parquet", timezone = "UTC", timeframe = "M1", spread_in = "price"' in answer.out
    common: Any = {"instrument": "XAUUSD", "timeframe": "M1"}
    csv_feed = Csv(path=Path("spreads.csv"), timezone="America/New_York+7", **common)
    parquet_feed = Parquet(path=Path("clean.parquet"), timezone="UTC", spread_in="price", **common)
    one, other = (bars_of(feed, gold) for feed in (csv_feed, parquet_feed))
    assert 60 == len(one)
    assert one == other
    assert 0.29 == one[29].spread


def bars_of(feed: Any, instruments: dict[str, Instrument]) -> list[Bar]:
    feed.startup(instruments)
    return list(feed.stream_market(instruments, lambda defect: None))


def test_what_is_left_out_lies_beside_it_and_its_provenance_in_it(shell):
    pytest.importorskip("pyarrow")

    answer = converted(shell, odd(shell), "--json", "-")

    assert 0 == answer.code, answer.err
    with (shell.folder / "clean.parquet.rejected.csv").open(newline="") as file:
        rejected = list(csv.DictReader(file))
    assert [("12", "duplicate"), ("13", "broken_ohlc")] == [(each["line"], each["kind"]) for each in rejected]
    made = shell("data", "check", "clean.parquet", *ALWAYS, "--json", "-").json["provenance"]
    assert answer.json["provenance"] == made
    assert str(shell.folder / "odd.csv") == made["source"]
    assert hashlib.sha256((shell.folder / "odd.csv").read_bytes()).hexdigest() == made["sha256"]
    assert (70, {"broken_ohlc": 1, "duplicate": 1}) == (made["events"], made["dropped"])
    assert ("csv", "UTC", "M15") == (made["feed"], made["settings"]["timezone"], made["timeframe"])
    assert "left out: broken_ohlc 1, duplicate 1" in shell("data", "check", "clean.parquet", *ALWAYS).out


def test_days_keep_their_own_clock_since_some_have_23_hours(shell):
    pytest.importorskip("pyarrow")
    days = [datetime(2026, 3, 23) + timedelta(days=number) for number in range(14)]
    lines = [f"{day:%Y-%m-%d},2000,2001,1999,2000.5,7" for day in days]
    shell.write("days.csv", "\n".join(["time,open,high,low,close,volume", *lines]) + "\n")
    options = ("--timezone", "Europe/London", "--timeframe", "D1", "--sessions", "always")

    answer = shell("data", "convert", "days.csv", "clean.parquet", *options, "--json", "-")

    assert 0 == answer.code, answer.err
    assert "Europe/London" == answer.json["provenance"]["timezone"]
    one, other = (
        shell("data", "check", file, *options, "--json", "-").json for file in ("days.csv", "clean.parquet")
    )
    assert (one["first"], one["last"], one["gaps"]) == (other["first"], other["last"], other["gaps"])


def test_convert_replaces_nothing_unless_it_is_told_to(shell):
    pytest.importorskip("pyarrow")
    shell.write("clean.parquet", "mine")

    refused = converted(shell, "bars.csv")

    assert 2 == refused.code
    assert "clean.parquet is there already; --force replaces it" in refused.err
    assert "mine" == (shell.folder / "clean.parquet").read_text()
    assert 0 == converted(shell, "bars.csv", "--force").code
    assert "mine" != (shell.folder / "clean.parquet").read_bytes()


def test_convert_never_writes_over_what_it_reads(shell):
    answer = shell("data", "convert", "bars.csv", "bars.csv", *ALWAYS, "--force")

    assert 2 == answer.code
    assert "bars.csv is the file itself" in answer.err


def test_a_conversion_that_fails_leaves_nothing_behind(shell):
    pytest.importorskip("pyarrow")
    broken = csv_of(300).splitlines()
    shell.write("other.csv", "\n".join(broken) + "\n")
    before = {path.name for path in shell.folder.iterdir()}

    answer = shell("data", "convert", "other.csv", "clean.parquet", "--timezone", "UTC", "--timeframe", "M1")

    assert 3 == answer.code
    assert before == {path.name for path in shell.folder.iterdir()}


def test_convert_refuses_a_clock_that_the_bars_contradict(shell):
    shell.write("hours.csv", weeks_of_hours(4, ahead=2))

    answer = shell("data", "convert", "hours.csv", "clean.parquet", "--timezone", "UTC", "--timeframe", "H1")

    assert 3 == answer.code
    assert 'hours.csv has not the clock that timezone = "UTC" says' in answer.err
    assert "clock_check = false" in answer.err


def test_convert_wants_the_clock_declared(shell):
    answer = shell("data", "convert", "bars.csv", "clean.parquet")

    assert 2 == answer.code
    assert "timezone" in answer.err


# data store, data stored, data forget


def test_data_store_keeps_what_is_sound_and_says_what_was_left_out(shell):
    kept = shell("data", "store", odd(shell), "market.sqlite", *ALWAYS)
    again = shell("data", "store", "odd.csv", "market.sqlite", *ALWAYS, "--json", "-").json

    assert 0 == kept.code, kept.err
    assert "kept          70 M15 bars: 70 new, 0 known, 0 replaced" in kept.out
    assert "not used      broken_ohlc 1, duplicate 1; see nicegold data check odd.csv" in kept.out
    said = 'use = "stored", path = "market.sqlite", instrument = "XAUUSD", timeframe = "M15"'
    assert f"read it with  {said}" in kept.out
    assert {"new": 0, "known": 70, "replaced": 0} == again["kept"]
    assert {"broken_ohlc": 1, "duplicate": 1} == again["dropped"]


def test_data_stored_lists_what_there_is_and_data_forget_removes_what_is_old(shell):
    shell("data", "store", odd(shell), "market.sqlite", *ALWAYS)

    listed = shell("data", "stored", "market.sqlite")
    emptied = shell("data", "forget", "market.sqlite", "--before", "2030-01-01")

    assert 0 == listed.code, listed.err
    assert ["XAUUSD", "M15", "2026-01-05", "00:00:00"] == listed.out.split()[-6:-2]
    assert (0, "market.sqlite has no market data any more\n") == (emptied.code, emptied.out)
    assert "market.sqlite has no market data yet\n" == shell("data", "stored", "market.sqlite").out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("data", "stored", "gone.sqlite"),
            3,
            "gone.sqlite: there is no such store; nicegold data store makes one",
        ),
        (
            ("data", "forget", "gone.sqlite", "--before", "2024-01-01"),
            3,
            "gone.sqlite: there is no such store",
        ),
        (("data", "store", "bars.csv", "bars.csv", *ALWAYS), 2, "bars.csv is the file itself; name another"),
        (("data", "store", "bars.csv", "nicegold.toml", *ALWAYS), 3, "nicegold.toml is not a journal"),
    ],
)
def test_a_store_that_cannot_be_meant_is_refused(shell, arguments, code, said):
    answer = shell(*arguments)

    assert code == answer.code
    assert said in answer.err
    assert not (shell.folder / "gone.sqlite").exists()


def test_what_contradicts_a_store_is_refused_unless_it_is_to_be_replaced(shell):
    shell("data", "store", "bars.csv", "market.sqlite", *ALWAYS)
    header, first, *rest = (shell.folder / "bars.csv").read_text().splitlines()
    time, opened, high, low, _, *others = first.split(",")
    mended = ",".join([time, opened, high, low, high, *others])
    shell.write("mended.csv", "\n".join([header, mended, *rest]))

    refused = shell("data", "store", "mended.csv", "market.sqlite", *ALWAYS)
    replaced = shell("data", "store", "mended.csv", "market.sqlite", *ALWAYS, "--replace", "--json", "-")

    assert 3 == refused.code
    assert "has XAUUSD at 2026-01-05 00:00 UTC already, with other values: close" in refused.err
    assert 1 == replaced.json["kept"]["replaced"]


@pytest.mark.parametrize("day", ["lately", "2024-01-01T00:00:00+03:00"])
def test_a_day_that_is_none_is_refused(shell, day):
    shell("data", "store", "bars.csv", "market.sqlite", *ALWAYS)

    answer = shell("data", "forget", "market.sqlite", "--before", day)

    assert 2 == answer.code
    assert f"--before {day} is not a day such as 2024-01-01." in answer.err
