from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import SECOND, Clock
from nicegold.timeformat import (
    CLOCKS,
    DATES,
    KNOWN,
    TimeFormat,
    UnixTime,
    recognise_slashed,
    recognise_time,
)

UTC_CLOCK = Clock()


def utc(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND + moment.microsecond * 1000


def read(form: TimeFormat | UnixTime, *fields: bytes) -> int:
    return form.reader(range(len(fields)), UTC_CLOCK)(fields)


def recognised(text: str) -> TimeFormat | UnixTime:
    form = recognise_time([text])
    assert form is not None
    return form


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2012.02.01 00:05", "2012-02-01 00:05"),
        ("2025.01.02 01:00:00", "2025-01-02 01:00"),
        ("20130101 170000", "2013-01-01 17:00"),
        ("20200101 170000065", "2020-01-01 17:00:00.065"),
        ("20130101 21:59:59.981", "2013-01-01 21:59:59.981"),
        ("2013-02-01 00:00:00+00:00", "2013-02-01 00:00"),
        ("2013-01-01 22:00:00.295000+00:00", "2013-01-01 22:00:00.295"),
        ("2013-01-01T22:00:00Z", "2013-01-01 22:00"),
        ("2013-01-01T22:00", "2013-01-01 22:00"),
        ("2013/01/01 22:00 UTC", "2013-01-01 22:00"),
        ("2004-08-19", "2004-08-19"),
        ("2004-8-9", "2004-08-09"),
        ("1998.04.22", "1998-04-22"),
        ("20200501", "2020-05-01"),
        ("01.02.2024 00:00:00.000", "2024-02-01"),
        ("07-Apr-09", "2009-04-07"),
        ("07-Apr-2009", "2009-04-07"),
        ("11-Feb-69", "1969-02-11"),
        ("Jul 19, 2019", "2019-07-19"),
        ("25660416 10:00:00 PM", "2023-04-16 22:00"),
        ("25630501 12:00:00 AM", "2020-05-01"),
        ("20230416 12:30 pm", "2023-04-16 12:30"),
        ("1577836800", "2020-01-01"),
        ("1577836800065", "2020-01-01 00:00:00.065"),
        ("1577836800000065", "2020-01-01 00:00:00.000065"),
    ],
)
def test_it_is_recognised_and_read(text, meant):
    assert utc(meant) == read(recognised(text), text.encode())


def test_nanoseconds_since_1970_are_recognised_by_their_digits():
    assert 1_577_836_800_000_000_065 == read(recognised("1577836800000000065"), b"1577836800000000065")


@pytest.mark.parametrize(
    ("date", "time", "meant"),
    [
        (b"25660416", b"10:00:00 PM", "2023-04-16 22:00"),
        (b"2012.02.01", b"00:05", "2012-02-01 00:05"),
        (b"2012.02.01", b" 00:05 ", "2012-02-01 00:05"),
    ],
)
def test_date_and_time_of_day_may_be_in_two_columns(date, time, meant):
    form = recognised(f"{date.decode()} {time.decode().strip()}")

    assert utc(meant) == read(form, date, time)


@pytest.mark.parametrize("text", ["5/1/2015", "", "nonsense", "2020-05-01 00:00:00+25:00", "1", "20:00"])
def test_what_may_mean_two_times_or_none_is_not_recognised(text):
    assert recognise_time([text]) is None


def test_the_form_of_most_is_taken():
    form = recognise_time(["2020-05-01", "garbage", "2020-05-02 00:00", "2020-05-02 00:15"])

    assert TimeFormat("%Y-%m-%d", " ", "%H:%M") == form


@pytest.mark.parametrize(
    ("texts", "forms"),
    [
        (["5/1/2015"], ("%d/%m/%Y", "%m/%d/%Y")),
        (["5/1/2015", "13/1/2015"], ("%d/%m/%Y",)),
        (["5/1/2015", "1/13/2015", "garbage"], ("%m/%d/%Y",)),
        (["1/13/2015 00:00", "1/13/2015 00:15"], ("%m/%d/%Y %H:%M",)),
        (["13/1/2015", "1/13/2015"], ()),
        (["2015-01-13"], ()),
    ],
)
def test_dates_with_slashes_are_told_apart_by_days_above_12(texts, forms):
    assert forms == tuple(map(str, recognise_slashed(texts)))


LABELLED = TimeFormat("%Y-%m-%d", " ", "%H:%M:%S")


@pytest.mark.parametrize(
    ("zone", "text", "meant"),
    [
        ("UTC+2", "2020-01-01 12:00:00+02:00", "2020-01-01 10:00"),
        ("UTC+2", "2020-01-01 12:00:00.5 +0200", "2020-01-01 10:00:00.5"),
        ("UTC+05:30", "2020-01-01 12:00:00+05:30", "2020-01-01 06:30"),
        ("UTC-5", "2020-01-01 12:00:00-05", "2020-01-01 17:00"),
        ("Europe/London", "2020-07-01 12:00:00+01:00", "2020-07-01 11:00"),
        ("Europe/London", "2020-01-01 12:00:00+00:00", "2020-01-01 12:00"),
        # The hour that is shown twice, told apart by its label.
        ("America/New_York", "2020-11-01 01:30:00-04:00", "2020-11-01 05:30"),
        ("America/New_York", "2020-11-01 01:30:00-05:00", "2020-11-01 06:30"),
        # Many a file says UTC and shows another clock.
        ("UTC+2", "2020-01-01 12:00:00+00:00", "2020-01-01 10:00"),
    ],
)
def test_a_label_that_agrees_with_the_clock_is_honoured(zone, text, meant):
    read = LABELLED.reader([0], Clock.parse(zone))

    # The second time the text is known.
    assert [utc(meant)] * 2 == [read([text.encode()]), read([text.encode()])]


@pytest.mark.parametrize(
    ("zone", "text", "shown"),
    [
        ("UTC", "2020-01-01 12:00:00+02:00", "+02:00, and timezone says UTC+00:00"),
        ("UTC+2", "2020-01-01 12:00:00+03:00", "+03:00, and timezone says UTC+02:00"),
        ("UTC-5", "2020-01-01 12:00:00.25-04:30", "-04:30, and timezone says UTC-05:00"),
        ("Europe/London", "2020-01-01 12:00:00+01:00", "+01:00, and timezone says UTC+00:00"),
    ],
)
def test_a_label_of_another_clock_is_refused(zone, text, shown):
    read = LABELLED.reader([0], Clock.parse(zone))

    for _ in range(2):
        with pytest.raises(ValueError, match=re.escape(f"its label says UTC{shown} then; declare the clock")):
            read([text.encode()])


@pytest.mark.parametrize(
    "time",
    [
        "12:00:00+02:00+02:00",
        "12:00:00.5+02:00+02:00",
        "12:00+02:00",
        "+02:00",
        "12:00:00+02:00.5",
        "12+00:00.+02",
    ],
)
def test_what_is_no_time_before_its_label_is_refused(time):
    with pytest.raises(ValueError, match="is not a time of day like %H:%M:%S"):
        LABELLED.reader([0], Clock.parse("UTC+2"))([f"2020-01-01 {time}".encode()])


def test_after_a_label_the_hour_that_is_shown_twice_is_told_apart():
    read = LABELLED.reader([0], Clock.parse("Europe/London"))

    assert utc("2020-10-25 00:30") == read([b"2020-10-25 01:30:00+01:00"])
    assert utc("2020-10-25 01:15") == read([b"2020-10-25 01:15:00+00:00"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"2020-13-01 00:00", '"2020-13-01" is not a date: month must be in 1..12'),
        (b"2021-02-29 00:00", '"2021-02-29" is not a date: day '),
        (b"2020-05-01 24:00", '"24:00" is not a time of day like %H:%M'),
        (b"2020-05-01 00:60", '"00:60" is not a time of day like %H:%M'),
        (b"2020-05-01", '"" is not a time of day like %H:%M'),
        (b"2020/05/01 00:00", '"2020/05/01" is not a date like %Y-%m-%d'),
        (b"\xff\x00 00:00", '"\\\\xff\x00" is not a date like %Y-%m-%d'),
    ],
)
def test_what_cannot_be_a_time_says_why(text, reason):
    with pytest.raises(ValueError, match=re.escape(reason).replace(r"\\\\", r"\\")):
        read(TimeFormat("%Y-%m-%d", " ", "%H:%M"), text)


@pytest.mark.parametrize("text", [b"20200501 13:00:00 PM", b"20200501 00:00:00 AM", b"20200501 10:00:00"])
def test_a_clock_of_twelve_hours_has_no_other(text):
    with pytest.raises(ValueError, match="is not a time of day like %I:%M:%S %p"):
        read(TimeFormat("%Y%m%d", " ", "%I:%M:%S %p"), text)


@pytest.mark.parametrize("digits", [20, 4295, 5000])
def test_a_count_with_more_digits_than_any_time_is_refused(digits):
    with pytest.raises(ValueError, match="is not a count since 1970"):
        read(UnixTime(10, SECOND), b"1" * digits)


@pytest.mark.parametrize("text", [b"20200101 170000x", b"20200101 1700000123456789", b"20200101 170000 65"])
def test_what_is_no_fraction_is_refused(text):
    with pytest.raises(ValueError, match="is not a fraction of a second"):
        read(TimeFormat("%Y%m%d", " ", "%H%M%S%f"), text)


@pytest.mark.parametrize(
    ("declared", "text", "meant"),
    [
        ("%d/%m/%Y", b"5/1/2015", "2015-01-05"),
        ("%m/%d/%Y", b"5/1/2015", "2015-05-01"),
        ("%d/%m/%y %H:%M", b"05/01/15 13:30", "2015-01-05 13:30"),
        ("%d.%m.%Y %H:%M:%S.%f", b"01.02.2024 00:00:00.500", "2024-02-01 00:00:00.5"),
        ("%Y-%m-%d %H:%M:%S,%f", b"2024-02-01 00:00:00,5", "2024-02-01 00:00:00.5"),
        ("%Y-%m-%d_%H-%M", b"2024-02-01_13-30", "2024-02-01 13:30"),
        ("%d-%m-%Y %H.%M", b"01-02-2024 13.30", "2024-02-01 13:30"),
        ("%d-%m-%Y %H.%M.%S", b"01-02-2024 13.30.15", "2024-02-01 13:30:15"),
        ("%d-%m-%Y %H.%M.%S,%f", b"01-02-2024 13.30.15,25", "2024-02-01 13:30:15.25"),
    ],
)
def test_a_form_may_be_declared_in_the_notation_of_strptime(declared, text, meant):
    form = TimeFormat.parse(declared)

    assert form.matches(text.decode())
    assert declared == str(form) or declared.endswith(".%f")
    assert utc(meant) == read(form, text)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ("", "write a date and, after one character"),
        ("%H:%M", "write a date and, after one character"),
        ("%d %m %Y %H:%M", "after one character that is not in it"),
        ("%d/%m", "must have %Y or %y once"),
        ("%d/%d/%Y", "must have %m or %b once"),
        ("%Y-%m-%d %H", "must have %M once"),
        ("%Y-%m-%d %I:%M", "must have %p once"),
        ("%Y-%m-%d %H:%M %Z", '"%Z"; it may have %Y'),
        ("%Y-%m-%d %H:%M %S %S", 'has "%S" twice'),
        ("%Y-%m-%d %H.%M.%S.%f", "what stands before %f may stand nowhere else"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(declared, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        TimeFormat.parse(declared)


@given(
    date=st.sampled_from(DATES),
    clock=st.sampled_from([clock for clock in CLOCKS if "%f" not in clock]),
    moment=st.datetimes(datetime(1970, 1, 2), datetime(2038, 1, 1)),
)
def test_every_form_reads_back_what_the_standard_library_writes(date, clock, moment):
    moment = moment.replace(microsecond=0, second=moment.second if "%S" in clock else 0)
    form = TimeFormat(date, "T", clock)

    text = moment.strftime(f"{date}T{clock}")

    assert form.matches(text)
    assert utc(moment.isoformat()) == read(form, text.encode())


@given(text=st.text(max_size=30))
def test_no_text_makes_recognition_fail(text):
    form = recognise_time([text])

    assert form is None or form in KNOWN


LABELS = st.sampled_from([b"+02:00", b"-0500", b"+01", b"Z", b".5", b"12:00:00", b"2020-05-01", b" "])


@given(text=st.binary(max_size=30) | st.lists(LABELS, max_size=5).map(b"".join), form=st.sampled_from(KNOWN))
def test_no_bytes_are_read_as_anything_but_a_time_or_an_error(text, form):
    try:
        time = read(form, text)
    except ValueError:
        return

    assert isinstance(time, int)
