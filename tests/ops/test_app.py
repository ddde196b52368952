from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.ops.commandline import CONFIGURATION
from tests.published.runs import backtested

MONDAY = date(2026, 1, 5)
WEEKDAYS = [MONDAY + timedelta(days=day) for day in range(12) if day % 7 < 5]


@pytest.mark.parametrize(
    ("sessions", "timezone"),
    [("always", "UTC"), ("fx", "America/New_York+7"), ("gold", "America/New_York+7")],
)
def test_the_equity_at_the_end_of_a_bar_of_a_day_is_that_days_close(sessions, timezone, tmp_path):
    lines = [f"{day},2000,2100,1999,{2000 + number}" for number, day in enumerate(WEEKDAYS)]
    (tmp_path / "bars.csv").write_text("\n".join(["time,open,high,low,close", *lines]))
    days = CONFIGURATION.replace("M15", "D1").replace('"UTC"', f'"{timezone}"')
    text = days.replace("[plugins.gold]", f'sessions = "{sessions}"\n[plugins.gold]')

    closes = backtested(tmp_path, text).closes

    assert WEEKDAYS == [date(1970, 1, 1) + timedelta(days=day) for day in closes]
