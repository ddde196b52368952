from __future__ import annotations

import threading
from datetime import date, timedelta
from pathlib import Path

import pytest

from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import load
from nicegold_ops.journal import JournalFailed, Run
from nicegold_ops.projected import ProjectedJournal
from nicegold_ops.store.queries import newest_orders, outbox_after
from nicegold_ops.store.rebuild import rebuild
from tests.ops.commandline import CONFIGURATION, market_in
from tests.ops.store.books import rows_of
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


def app_in(folder: Path, mode: str) -> App:
    return bootstrap(load(market_in(folder, bars=60)), Run("run", mode, 1), wall=lambda: 7)


def test_a_paper_session_has_tables_and_an_outbox_from_its_first_event_on(tmp_path):
    app = app_in(tmp_path, "paper")

    session.paper(app, stop=threading.Event())

    written = rows_of(app.store, "run")
    rebuild(app.store, "run")
    assert rows_of(app.store, "run") == written
    with app.store.connect() as connection:
        assert newest_orders(connection, "run")
        told = outbox_after(connection, "run", 0, limit=10_000)
    assert ("Started", "Finished") == (told[0].topic, told[-1].topic)
    assert {7} == {each.created_at for each in told}
    app.close()


def test_a_backtest_has_tables_when_somebody_asks_for_them(tmp_path):
    app = app_in(tmp_path, "backtest")
    session.backtest(app)

    assert not isinstance(app.journal, ProjectedJournal)
    assert not any(rows_of(app.store, "run").values())
    rebuild(app.store, "run")
    assert rows_of(app.store, "run")["orders"]
    app.close()


def test_an_app_whose_journal_failed_says_so_again_when_it_is_closed(tmp_path):
    app = app_in(tmp_path, "paper")
    with app.store.begin() as connection:
        connection.exec_driver_sql("DROP TABLE blocks")
    with pytest.raises(JournalFailed) as failed:
        app.engine.start(app.started)

    with pytest.raises(JournalFailed) as again:
        app.close()

    assert failed.value is again.value
