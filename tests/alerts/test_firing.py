"""A real Prometheus with our rules and a real Alertmanager with our routes, while a session goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nicegold_ops import session
from nicegold_ops.app import App
from nicegold_ops.store.place import StoreFailed
from nicegold_ops.telemetry import Telemetry
from tests.alerts.wreck import Script, wrecked
from tests.dashboards.panels import queries, unanswered
from tests.services.alertmanager import alertmanager, receiver
from tests.services.prometheus import deployed, prometheus, until

pytestmark = pytest.mark.slow

#: Seconds that the slowest of these alerts may take: one that has to hold for two minutes.
_SLOWEST = 480.0

PAGES = {
    "NicegoldBrokerFailing",
    "NicegoldClockSkew",
    "NicegoldEngineHalted",
    "NicegoldEngineStalled",
    "NicegoldErrorBudgetBurnFast",
    "NicegoldFeedStale",
    "NicegoldMarginExhausted",
    "NicegoldMetricsAbsent",
    "NicegoldNotificationsDropped",
    "NicegoldNotificationsStuck",
    "NicegoldNotifierFailing",
    "NicegoldOrderStateUnknown",
    "NicegoldOrderUnacked",
    "NicegoldReconciliationBreak",
    "NicegoldReconciliationStale",
    "NicegoldRiskCheckFailing",
    "NicegoldTradeBusted",
}
TICKETS = {
    "NicegoldFeedDataRejected",
    "NicegoldMarginHigh",
    "NicegoldOrdersRejected",
    "NicegoldPluginFailing",
    "NicegoldTelemetryDropping",
}
#: They fire too; what causes them is told instead.
INHIBITED = {
    "NicegoldBooksNotAgreed",
    "NicegoldErrorBudgetBurnSlow",
    "NicegoldInboxFilling",
    "NicegoldOrdersVetoed",
}
#: The process ends with them.
LAST = {"NicegoldJournalFailed", "NicegoldDown"}
FIRED = PAGES | TICKETS | INHIBITED | LAST | {"Watchdog"}


@contextmanager
def trading(app: App, script: Script) -> Iterator[list[BaseException]]:
    """The session on a thread of its own, and what it failed with at last."""
    failures: list[BaseException] = []
    stop = threading.Event()

    def trade() -> None:
        try:
            session.paper(app, stop=stop)
        except StoreFailed as failure:
            failures.append(failure)

    thread = threading.Thread(target=trade, daemon=True)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        script.end.set()
        thread.join(30)


def test_what_goes_wrong_is_told_to_whom_it_concerns(tmp_path: Path):
    script = Script()
    app = wrecked(tmp_path / "state", script)
    # A target that has no books: what the alerts need is absent there.
    idle = Telemetry(tmp_path / "idle", "idle")
    targets = [f"127.0.0.1:{each.serve('127.0.0.1', 0, app.liveness)}" for each in (app.telemetry, idle)]
    lost, early = {"unwritable": 0}, {"NicegoldMarginExhausted", "NicegoldOrderUnacked"}
    app.telemetry.watch_log(lost)

    with (
        receiver() as person,
        alertmanager(tmp_path, person) as manager,
        prometheus(tmp_path, "", deployed(tmp_path, *targets, alertmanagers=(manager,))) as server,
        trading(app, script) as failures,
    ):
        agree = 'sum(nicegold_reconciliation_agreed{broker="desk"}) == 1'
        until(lambda: server.query(agree) != [], "books have not been found to agree")
        script.go.set()
        until(lambda: server.query("nicegold_orders_unknown_state > 0") != [], "no order is in doubt")
        script.differ.set()
        until(lambda: len(app.portfolio.breaks) == 2, "books do not differ")
        # The halt that comes ends these.
        until(
            lambda: person.firing("/pager") >= early,
            lambda: f"not told: {sorted(early - person.firing('/pager'))}",
            _SLOWEST,
        )
        assert [] == unanswered(server, [each for each in queries() if each.is_live])
        lost["unwritable"] = 5
        script.flood.set()

        fired = set(early)

        def missing() -> set[str]:
            fired.update(server.firing())
            return FIRED - LAST - fired

        until(lambda: not missing(), lambda: f"not all fire: {sorted(missing())}", _SLOWEST)
        until(
            lambda: person.firing("/pager") >= PAGES and person.firing("/tickets") >= TICKETS,
            lambda: (
                f"not told: {sorted((PAGES | TICKETS) - person.firing('/pager') - person.firing('/tickets'))}"
            ),
        )

        with app.store.begin() as connection:
            connection.exec_driver_sql("DROP TABLE blocks")
        script.end.set()
        until(lambda: "NicegoldJournalFailed" in person.firing("/pager"), "nobody hears of the journal")
        assert failures
        app.telemetry.close()
        until(lambda: "NicegoldDown" in person.firing("/pager"), "nobody hears that it has ended")

    assert {"Watchdog"} == person.firing("/watchdog")
    assert PAGES | LAST == person.firing("/pager") & (PAGES | TICKETS | LAST)
    assert TICKETS == person.firing("/tickets") & (PAGES | TICKETS | LAST)
    told = [each for path in ("/pager", "/tickets") for each in person.alerts(path)]
    assert [] == [each for each in told if "error expanding" in str(each["annotations"])]
    assert {
        f"https://git.example.com/nicegold/alerts/runbooks/{each['labels']['alertname']}.md" for each in told
    } == {each["annotations"]["runbook_url"] for each in told}
    assert [] == [each for each in told if {"runbooks", "dashboards"} & set(each["labels"])]
    idle.close()
    with pytest.raises(StoreFailed):
        app.close()
