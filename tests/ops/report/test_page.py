"""The report is one file that says everything, loads nothing and believes nobody."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nicegold import SECOND
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.report.page import Year, page_of, write_page, years_of
from nicegold_ops.report.result import OpenPosition, Result, Veto
from nicegold_ops.telemetry import HookSummary
from tests.ops.report import sample

MINUS = "\N{MINUS SIGN}"
VOID = frozenset({"meta", "br"})
#: Attributes that make a browser load something.
LOADING = frozenset({"src", "srcset", "href", "data", "action", "formaction", "poster", "background", "ping"})
HOSTILE = "</script></pre><script src=//evil.example></script>\"'<img src=x onerror=alert(1)>{{ 7 * 7 }}"

#: What a month without a gain, or a trade that gained, leaves unknown.
ALL_KNOWN = {"sharpe": 1.0, "sortino": 1.0, "profit_factor": 1.0}


class Page(HTMLParser):
    """The elements, texts and scripts of a page. Fails where an element ends that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.styles = ""
        self.scripts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        match self.open[-1:]:
            case ["script"]:
                self.scripts.append(data)
            case ["style"]:
                self.styles += data
            case _:
                self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, wanted: str) -> list[str]:
        return [value for _, each in self.elements for name, value in each.items() if name == wanted]

    def count(self, tag: str, cls: str | None = None) -> int:
        return sum(name == tag and cls in (None, each.get("class")) for name, each in self.elements)

    @property
    def chart(self) -> Any:
        """What Bokeh draws."""
        return json.loads(next(each for each in self.scripts if each.startswith('{"target_id"')))


@pytest.fixture(scope="module")
def result() -> Result:
    return sample.result()


@pytest.fixture(scope="module")
def page(result: Result) -> Page:
    return Page(page_of(result))


def page_with(**changes: Any) -> Page:
    """The page of a run of 30 bars and one trade, but for *changes*."""
    return Page(page_of(sample.result(30, **changes)))


def test_each_element_is_closed(page):
    assert [] == page.open


def test_the_headline_says_what_ran_when_and_what_came_of_it():
    page = page_with(
        run="paper-7",
        mode="paper",
        final_equity=101234.5,
        total_return=0.0123449,
        max_drawdown=0.0456,
        sharpe=1.239,
        sortino=-2.0,
        profit_factor=1.5,
        exposure=0.375,
    )

    for expected in (
        "Paper XAUUSD 2023-09-04 01:00 to 2023-09-05 07:00 UTC Run paper-7",
        "Final equity, USD 101,234.50",
        "Return +1.23%",
        f"Max drawdown {MINUS}4.56%",
        "Sharpe 1.24",
        "Trades 1",
        f"Sortino {MINUS}2.00",
        "Profit factor 1.50",
        "Time in market 37.50%",
        "Initial cash 100,000.00",
        "Net profit 1,234.50",
    ):
        assert expected in page.text


@pytest.mark.parametrize(("mode", "times"), [("backtest", 1), ("paper", 1), ("replay", 1), ("live", 0)])
def test_what_is_simulated_says_so(mode, times):
    assert times == page_with(mode=mode).text.count("Simulated: no order of this run reached a market.")


def test_a_halt_is_a_banner_before_everything_else():
    page = page_with(halted="drawdown: equity is 11 % below its peak")

    assert ["alert"] == [each["role"] for _, each in page.elements if each.get("class") == "banner"]
    said = page.text.index("Trading was halted. drawdown: equity is 11 % below its peak")
    assert said < page.text.index("Final equity")


def test_a_run_without_a_halt_or_a_failure_has_no_banner(page):
    assert 0 == page.count("section", "banner")


def test_trades_are_shown_as_they_were(page, result):
    long, short = result.trades[:2]

    assert f"1 buy 0.50 2023-09-04 01:00 {long.entry_price} 2023-09-04 23:00 {long.exit_price}" in page.text
    assert f"2 sell 0.50 2023-09-05 11:00 {short.entry_price} 2023-09-06 09:00" in page.text
    assert "All in XAUUSD, by cross." in page.text


def test_the_trades_of_several_strategies_say_whose_they_are():
    (trade,) = sample.result(30).trades

    page = page_with(trades=[trade, replace(trade, strategy="breakout", symbol="XAGUSD")])

    assert "1 cross XAUUSD buy" in page.text
    assert "2 breakout XAGUSD buy" in page.text
    assert "All in" not in page.text


def test_profit_and_costs_are_to_the_cent_and_times_to_the_second_where_there_is_one():
    (trade,) = sample.result(30).trades
    later = trade.exit_time + 59 * SECOND

    page = page_with(
        trades=[replace(trade, profit=Decimal("-1234.567"), costs=Decimal("7.005"), exit_time=later)]
    )

    assert f"2023-09-04 23:00:59 {trade.exit_price} {MINUS}1,234.57 7.00" in page.text


def test_winning_average_best_and_worst_trades_are_after_costs():
    (trade,) = sample.result(30).trades

    profits = (Decimal(each) for each in (107, 7, -43, 3))
    page = page_with(trades=[replace(trade, profit=each, costs=Decimal(7)) for each in profits])

    assert "Winning trades 25.00%" in page.text
    assert "Average trade 11.50" in page.text
    assert f"Best trade 100.00 Worst trade {MINUS}50.00" in page.text


def test_after_200_trades_the_others_are_only_counted(result):
    page = page_with(trades=result.trades * 12)

    assert "Trades 1,440" in page.text
    assert "The first 200 of 1,440; 1,240 more are in the JSON" in page.text
    assert 200 == page.count("td", "number muted")


def test_up_to_200_trades_are_all_there(result):
    page = page_with(trades=(result.trades * 2)[:200])

    assert "The first 200" not in page.text
    assert 200 == page.count("td", "number muted")


def test_months_are_shown_in_percent_in_a_row_a_year():
    page = page_with(monthly={"2023-11": 0.1, "2023-12": -0.05126, "2024-02": 0.0})

    assert "Nov Dec Year 2023 " + 10 * "– " + f"10.00 {MINUS}5.13 4.36" in page.text
    assert "2024 – 0.00 " + 10 * "– " + "0.00" in page.text


def test_a_single_month_needs_no_table_of_months():
    assert "Monthly returns %" not in page_with().text


def test_years_compound_their_months():
    years = years_of({"2023-12": 0.1, "2024-01": 0.5, "2024-03": -0.5})

    assert [0.1, -0.25] == [pytest.approx(each.total) for each in years]
    assert [None] * 11 + [0.1] == years[0].months
    assert [0.5, None, -0.5] + [None] * 9 == years[1].months


def test_a_year_with_a_month_without_meaning_has_none_itself():
    assert [Year("2024", [-1.0, None] + [None] * 10, None)] == years_of({"2024-01": -1.0, "2024-02": None})


def test_costs_are_what_they_did_to_the_cash():
    page = page_with(commission=Decimal("843.5"), swap=Decimal("-156.499"), initial_cash=Decimal(10_000))

    assert f"Commission {MINUS}843.50 Swap {MINUS}156.50 Together {MINUS}1,000.00" in page.text
    assert f"Of the initial cash {MINUS}10.00%" in page.text


def test_open_positions_say_what_they_cost_and_the_last_price():
    held = OpenPosition("XAUUSD", Decimal("-0.30"), Decimal("2034.1000") + Decimal(1) / 3, 2040.5)

    page = page_with(positions=[held])

    assert f"XAUUSD {MINUS}0.30 2034.43333 2040.50" in page.text


def test_vetoes_are_counted_and_give_their_reasons():
    page = page_with(vetoes=[Veto("limit", 1204, [f"reason {each}" for each in range(5)])])

    assert "limit 1,204 reason 0 reason 1 reason 2 2 more reason 3 reason 4" in page.text
    assert 1 == page.count("details")


def test_failures_are_said_at_the_top_and_counted_below():
    page = page_with(failures={"cross": 3, "telegram": 1200})

    assert "Plugins failed during this run: cross, telegram." in page.text
    assert "Plugin Failures cross 3 telegram 1,200" in page.text


def test_defects_of_the_data_are_counted_by_kind(page):
    assert "backward 2 duplicate 11" in page.text
    assert "Data quality No defects." in page_with(quality={}).text


def test_latencies_are_microseconds():
    page = page_with(hooks=[HookSummary("on_bar", "cross", 4000, 2, 8.24e-6, 1.21e-3)])

    assert "on_bar cross 4,000 2 8.2 1,210.0" in page.text


def test_the_configuration_the_fingerprint_and_the_version_are_there(page, result):
    assert " ".join(sample.CONFIGURATION.split()) in page.text
    assert f"Fingerprint {result.fingerprint}" in page.text
    assert "Version nicegold 0.1.0" in page.text


def test_what_is_known_is_no_dash():
    page = page_with(**ALL_KNOWN)

    assert [] == page.attributes("title")
    assert "–" not in page.text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"total_return": None}, "the run began with no cash"),
        ({"sharpe": None}, "it needs returns of two days or more that differ"),
        ({"sortino": None}, "no day lost"),
        ({"profit_factor": None}, "no trade lost"),
        ({"profit_factor": None, "trades": []}, "no trade was closed"),
        ({"seconds": 0.0}, "not measured"),
        ({"bars_per_second": 0.0}, "not measured"),
        ({"ended": ""}, "not recorded"),
        ({"initial_cash": Decimal(0)}, "the run began with no cash"),
        ({"hooks": [HookSummary("notify", "log", 0, 0, 0.0, 0.0)]}, "never called"),
        ({"positions": [OpenPosition("XAUUSD", Decimal(1), Decimal(1), float("nan"))]}, "no price was seen"),
    ],
)
def test_a_figure_without_meaning_is_a_dash_that_says_why(changes, why):
    page = page_with(**ALL_KNOWN | changes)

    assert why in page.attributes("title")
    assert "None" not in page.text
    assert "nan" not in page.text.split()


def test_nothing_is_loaded_from_anywhere(page):
    loaded = [value for name in LOADING for value in page.attributes(name)]

    assert [] == [each for each in loaded if not each.startswith("#")]
    assert not re.search(r"url\(|@import", page.styles)
    assert 0 == page.count("link") + page.count("iframe") + page.count("base")


def test_the_browser_is_told_to_load_nothing(page):
    policies = [each["content"] for _, each in page.elements if "http-equiv" in each]

    assert ["default-src 'none'"] == [each.split(";")[0] for each in policies]
    assert "http" not in policies[0]


def test_what_others_wrote_is_text():
    (trade,) = sample.result(30).trades
    plain = page_with()

    page = page_with(
        run=HOSTILE,
        mode=HOSTILE,
        ended=HOSTILE,
        version=HOSTILE,
        currency=HOSTILE,
        halted=HOSTILE,
        fingerprint=HOSTILE,
        configuration=HOSTILE,
        quality={HOSTILE: 1},
        failures={HOSTILE: 1},
        trades=[replace(trade, strategy=HOSTILE, symbol=HOSTILE)],
        vetoes=[Veto(HOSTILE, 1, [HOSTILE])],
        hooks=[HookSummary(HOSTILE, HOSTILE, 1, 0, 1e-6, 1e-6)],
        positions=[OpenPosition(HOSTILE, Decimal(1), Decimal(1), 1.0)],
    )

    assert [] == page.open
    assert plain.count("script") == page.count("script")
    assert 0 == page.count("img")
    assert HOSTILE in page.text
    assert "evil.example" not in " ".join(page.attributes("src"))
    # Bokeh sets the tooltip as HTML.
    assert "<img" not in json.dumps(page.chart)


def test_the_chart_defines_what_it_refers_to_before_it_does(page):
    defined: set[str] = set()

    for each in _objects(page.chart["doc"]):
        if "name" in each and each.get("type") == "object":
            defined.add(each["id"])
        elif each.keys() == {"id"}:
            assert each["id"] in defined

    assert defined


def _objects(json_value: Any) -> Iterator[dict[str, Any]]:
    """The objects in *json_value* in the order in which a reader meets them."""
    match json_value:
        case dict():
            yield json_value
            for each in json_value.values():
                yield from _objects(each)
        case list():
            for each in json_value:
                yield from _objects(each)


def test_each_colour_of_the_chart_is_one_of_the_page(page):
    tags = [tag for each in _objects(page.chart["doc"]) for tag in each.get("attributes", {}).get("tags", [])]

    assert {"--gold", "--loss", "--grid", "--muted", "--faint"} == {tag.split()[1] for tag in tags}
    for tag in tags:
        assert f"{tag.split()[1]}: #" in page.styles


def test_a_picture_of_fewer_points_than_samples_says_so(result):
    assert "Drawn from" not in Page(page_of(result)).text
    assert "Drawn from 4,000 of 1,000,000 samples" in Page(page_of(replace(result, bars=1_000_000))).text


def test_a_run_that_saw_nothing_has_a_page():
    page = Page(page_of(sample.empty()))

    for expected in (
        "Backtest nicegold No bar was seen Run",
        "Final equity, USD 100,000.00 Return 0.00% Max drawdown 0.00% Sharpe – Trades 0",
        "Too few bars to draw.",
        "No trade was closed.",
        "Flat at the end.",
        "Nobody objected to an order.",
        "No plugin failed.",
        "No defects.",
        "No hook was called.",
    ):
        assert expected in page.text
    assert [] == page.open
    assert [] == page.scripts


def test_one_bar_is_no_line_and_two_are():
    assert [] == Page(page_of(sample.result(1))).scripts
    assert Page(page_of(sample.result(2))).chart


def test_the_page_is_written_where_it_was_asked_for(tmp_path):
    path = tmp_path / "out.html"

    write_page(sample.empty(), path)

    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_without_bokeh_the_error_says_what_to_install(monkeypatch, tmp_path):
    for name in [each for each in sys.modules if each.partition(".")[0] == "bokeh"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "nicegold_ops.report.chart", raising=False)
    monkeypatch.setitem(sys.modules, "bokeh", None)

    with pytest.raises(ConfigurationError, match=r"install nicegold\[report\]") as caught:
        write_page(sample.empty(), tmp_path / "out.html")

    assert 2 == caught.value.exit_code
    assert not Path(tmp_path / "out.html").exists()
