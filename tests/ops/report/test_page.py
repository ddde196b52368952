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

from nicegold import SECOND, OrderType, Source
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.report.chart import library
from nicegold_ops.report.costs import Costs
from nicegold_ops.report.figures import Year, heat_of, most_that_mattered, years_of
from nicegold_ops.report.gaps import Gap, Gaps
from nicegold_ops.report.page import page_of, write_page
from nicegold_ops.report.reading import Failure
from nicegold_ops.report.result import OpenPosition, Result
from nicegold_ops.report.vetoes import Reason, Veto
from nicegold_ops.telemetry import HookSummary
from tests.ops.report import sample

MINUS = "\N{MINUS SIGN}"
VOID = frozenset({"meta", "br", "input"})
#: Attributes that make a browser load something.
LOADING = frozenset({"src", "srcset", "href", "data", "action", "formaction", "poster", "background", "ping"})
OUTCOMES = frozenset({"won", "lost", "even"})
#: Of a run whose market was not read again.
UNSEEN = Costs(commission=Decimal(7), swap=Decimal(0), spread=None, slippage=None, net=1.0)
HOSTILE = "</script></pre><script src=//evil.example></script>\"'<img src=x onerror=alert(1)>{{ 7 * 7 }}"


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
    """The page of a run of 30 bars and one trade, but for *changes*; without charts, which take long."""
    return Page(page_of(sample.result(30, **{"curve": [], **changes})))


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
        strategies={"cross": "ma_cross", "mine": "mine"},
    )

    for expected in (
        "Paper XAUUSD cross (ma_cross), mine 2023-09-04 01:00 to 2023-09-05 07:00 UTC Run paper-7",
        "Final equity, USD 101,234.50",
        "Return +1.23%",
        f"Max drawdown {MINUS}4.56%",
        "Sharpe 1.24",
        "Trades 1",
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
    assert "Strategy Symbol Side" in page.text
    assert "All in" not in page.text


def test_profit_and_costs_are_to_the_cent_and_times_to_the_second_where_there_is_one():
    (trade,) = sample.result(30).trades
    later = trade.exit_time + 59 * SECOND

    page = page_with(
        trades=[replace(trade, profit=Decimal("-1234.567"), costs=Decimal("7.005"), exit_time=later)]
    )

    assert (
        f"2023-09-04 23:00:59 {trade.exit_price} 22 h 0 min {MINUS}1,234.57 7.00 {MINUS}1,241.57" in page.text
    )


def test_the_best_and_the_worst_trade_are_after_costs():
    (trade,) = sample.result(30).trades

    profits = (Decimal(each) for each in (107, 7, -43, 3))
    page = page_with(trades=[replace(trade, profit=each, costs=Decimal(7)) for each in profits])

    assert f"Best trade 100.00 Worst trade {MINUS}50.00" in page.text
    assert ["won", "even", "lost", "lost"] == [
        each["class"] for tag, each in page.elements if tag == "tr" and each.get("class") in OUTCOMES
    ]


def test_of_more_than_1000_trades_those_that_mattered_most_are_shown(result):
    page = page_with(trades=result.trades * 12)

    assert "Trades 1,440" in page.text
    assert "The 1,000 of 1,440 that won or lost most" in page.text
    assert 1000 == page.count("td", "number muted")


def test_up_to_1000_trades_are_all_there(result):
    page = page_with(trades=(result.trades * 9)[:1000])

    assert "that won or lost most" not in page.text
    assert 1000 == page.count("td", "number muted")


def test_what_mattered_most_keeps_its_order_and_its_place():
    payoffs = [Decimal(each) for each in (1, -5, 2, 5, -3)]

    assert [1, 3, 4] == most_that_mattered(payoffs, 3)
    assert [0, 1, 2, 3, 4] == most_that_mattered(payoffs, 9)


def test_months_are_shown_in_percent_in_a_row_a_year():
    page = page_with(monthly={"2023-11": 0.1, "2023-12": -0.05126, "2024-02": 0.0})

    assert "Nov Dec Year 2023 " + 10 * "– " + f"10.00 {MINUS}5.13 4.36" in page.text
    assert "2024 – 0.00 " + 10 * "– " + "0.00" in page.text


def test_the_strongest_month_is_the_warmest():
    years = years_of({"2023-12": 0.1, "2024-01": -0.2})

    assert [50, 100, 0] == [heat_of(each, years) for each in (0.1, -0.2, None)]


def test_years_compound_their_months():
    years = years_of({"2023-12": 0.1, "2024-01": 0.5, "2024-03": -0.5})

    assert [0.1, -0.25] == [pytest.approx(each.total) for each in years]
    assert [None] * 11 + [0.1] == years[0].months
    assert [0.5, None, -0.5] + [None] * 9 == years[1].months


def test_a_year_with_a_month_without_meaning_has_none_itself():
    assert [Year("2024", [-1.0, None] + [None] * 10, None)] == years_of({"2024-01": -1.0, "2024-02": None})


def test_costs_lead_from_what_would_have_been_gained_to_what_was():
    costs = Costs(commission=Decimal(100), swap=Decimal(-20), spread=300.0, slippage=70.0, net=550.0)

    page = page_with(costs=costs)

    assert (
        "Profit before costs 1,000.00 1,000.00 100.0% "
        f"Spread {MINUS}300.00 {MINUS}300.00 {MINUS}30.0% "
        f"Slippage {MINUS}70.00 {MINUS}70.00 {MINUS}7.0% "
        f"Commission {MINUS}100.00 {MINUS}100.00 {MINUS}10.0% "
        "Swap 20.00 20.00 2.0% "
        "Net profit 550.00 550.00 55.0%"
    ) in page.text


def test_slippage_is_shown_by_instrument_and_type_of_order(result):
    (market,) = result.slippage
    trailing = replace(market, order_type=OrderType.TRAILING_STOP, fills=0, unmeasured=3)

    page = page_with(slippage=[market, trailing])

    assert "XAUUSD market 241 0.02 0.019 0.05 0.40 0.10 240.25" in page.text
    assert "XAUUSD trailing stop 0 not measured: 3 fills had no price to compare with" in page.text


def test_each_bar_of_the_histogram_is_as_high_as_its_part_of_the_highest(page):
    heights = [float(each["height"]) for tag, each in page.elements if tag == "rect"]

    assert [76.0, round(76 * 41 / 200, 2)] == heights


def test_open_positions_say_what_they_cost_and_the_last_price():
    held = OpenPosition("XAUUSD", Decimal("-0.30"), Decimal("2034.1000") + Decimal(1) / 3, 2040.5)

    page = page_with(positions=[held])

    assert f"XAUUSD {MINUS}0.30 2034.43333 2040.50" in page.text


def test_vetoes_are_counted_and_give_their_reasons():
    page = page_with(vetoes=[Veto("limit", 1204, [Reason(f"why {each}", 9 - each) for each in range(5)], 7)])

    assert "limit 1,204 why 0 × 9 why 1 × 8 why 2 × 7 2 more why 3 × 6 why 4 × 5" in page.text
    assert "and 7 for other reasons" in page.text


def test_failures_are_said_at_the_top_and_counted_below():
    page = page_with(
        failures=[
            Failure("cross", "on_bar", 3, "ValueError: no"),
            Failure("cross", "on_fill", 1, "KeyError: 1"),
            Failure("telegram", "notify", 1200, "OSError: gone"),
        ]
    )

    assert "Plugins failed during this run: cross, telegram." in page.text
    assert "cross on_bar 3 ValueError: no cross on_fill 1 KeyError: 1" in page.text
    assert "telegram notify 1,200 OSError: gone" in page.text


def test_defects_of_the_data_are_counted_by_kind(page):
    assert "backward 2 duplicate 11" in page.text
    assert "refused by the engine 3" in page_with(refused=3).text
    assert "Data quality Nothing was left out." in page_with(quality={}).text


def test_gaps_are_counted_and_the_longest_shown():
    hours = 3600 * SECOND
    gaps = Gaps("XAUUSD", 4000, 2, 1005, [Gap(0, 1000 * hours, 1000), Gap(1100 * hours, 1105 * hours, 5)])

    page = page_with(gaps=[gaps])

    assert (
        "XAUUSD: 4,000 bars. 1,005 are missing in 2 gaps while the configured sessions are open." in page.text
    )
    assert "1970-01-01 00:00 1970-02-11 16:00 1,000" in page.text
    assert "None is missing" in page_with(gaps=[replace(gaps, gaps=0, missing=0, longest=[])]).text


def test_latencies_are_microseconds():
    page = page_with(hooks=[HookSummary("on_bar", "cross", 4000, 2, 8.24e-6, 1.21e-3)])

    assert "on_bar cross 4,000 2 8.2 1,210.0" in page.text


def test_the_configuration_the_fingerprint_and_the_version_are_there(page, result):
    assert " ".join(sample.CONFIGURATION.split()) in page.text
    assert f"Fingerprint {result.fingerprint}" in page.text
    assert "Version nicegold 0.1.0" in page.text
    assert "Source of gold XAUUSD_H1.csv SHA-256 0c5e" in page.text
    assert f"nicegold replay {result.run}" in page.text


def test_intervals_stand_with_their_figures(page, result):
    found = result.significance.intervals

    assert found is not None
    assert f"Sharpe {result.sharpe:.2f} {found.sharpe.low:.2f} to {found.sharpe.high:.2f}".replace(
        "-", MINUS
    ) in (page.text)
    assert "There are no intervals: they need 20 days or more." in page_with().text


def test_a_return_is_made_one_of_a_year_only_after_a_year():
    statistics = sample.result(30).statistics

    short, long = (
        page_with(statistics=replace(statistics, years=each, annual_return=0.05)) for each in (0.9, 1)
    )

    assert "Return a year 5.00% Max drawdown" not in short.text
    assert "Return a year 5.00% Max drawdown" in long.text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"total_return": None}, "the run began with no cash"),
        ({"sharpe": None}, "it needs returns of two days or more that differ"),
        ({"trades": []}, "no trade was closed"),
        ({"seconds": 0.0}, "not measured"),
        ({"bars_per_second": 0.0}, "not measured"),
        ({"ended": ""}, "not recorded"),
        ({"costs": UNSEEN}, "the market was not read again"),
        ({"hooks": [HookSummary("notify", "log", 0, 0, 0.0, 0.0)]}, "never called"),
        ({"positions": [OpenPosition("XAUUSD", Decimal(1), Decimal(1), None)]}, "no price was seen"),
    ],
)
def test_a_figure_without_meaning_is_a_dash_that_says_why(changes, why):
    page = page_with(**changes)

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
    usual = sample.result(30)
    (trade,), (slippage,), benchmark = usual.trades, usual.slippage, usual.benchmark
    plain_prices = usual.prices["XAUUSD"]
    assert benchmark is not None
    plain = page_with(curve=usual.curve)

    page = page_with(
        curve=usual.curve,
        run=HOSTILE,
        mode=HOSTILE,
        ended=HOSTILE,
        version=HOSTILE,
        currency=HOSTILE,
        halted=HOSTILE,
        fingerprint=HOSTILE,
        configuration=HOSTILE,
        quality={HOSTILE: 1},
        failures=[Failure(HOSTILE, HOSTILE, 1, HOSTILE)],
        instruments=[HOSTILE],
        strategies={HOSTILE: HOSTILE},
        sources={HOSTILE: Source(HOSTILE, HOSTILE)},
        gaps=[Gaps(HOSTILE, 1, 1, 1, [])],
        prices={HOSTILE: plain_prices},
        unread=HOSTILE,
        slippage=[replace(slippage, symbol=HOSTILE)],
        benchmark=replace(benchmark, symbols=[HOSTILE]),
        trades=[replace(trade, strategy=HOSTILE, symbol=HOSTILE)],
        vetoes=[Veto(HOSTILE, 1, [Reason(HOSTILE, 1)])],
        hooks=[HookSummary(HOSTILE, HOSTILE, 1, 0, 1e-6, 1e-6)],
        positions=[OpenPosition(HOSTILE, Decimal(1), Decimal(1), 1.0)],
    )

    assert [] == page.open
    assert plain.count("script") == page.count("script")
    assert 0 == page.count("img")
    assert HOSTILE in page.text
    assert "evil.example" not in " ".join(page.attributes("src"))
    # Bokeh sets tooltips as HTML, and paints other texts.
    tooltips = [each["tooltips"] for each in _objects(page.chart["doc"]) if "tooltips" in each]
    assert tooltips
    assert "<img" not in json.dumps(tooltips)


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

    colours = [tag for tag in tags if " " in tag]
    assert {
        "--gold",
        "--gain",
        "--loss",
        "--grid",
        "--muted",
        "--faint",
        "--paper",
        "--benchmark",
        "--range",
    } == {tag.split()[1] for tag in colours}
    for tag in colours:
        assert f"{tag.split()[1]}: #" in page.styles


def test_a_picture_of_fewer_points_than_samples_says_so(result):
    assert "Equity is drawn from" not in Page(page_of(result)).text
    assert (
        "Equity is drawn from 4,000 of 1,000,000 samples"
        in Page(page_of(replace(result, bars=1_000_000))).text
    )


def test_a_long_run_with_many_trades_is_a_small_page(result):
    prices = {"XAUUSD": result.prices["XAUUSD"][:4096]}
    many = replace(result, bars=1_000_000, trades=result.trades * 100, prices=prices)

    own = len(page_of(many)) - len(library())

    assert own < 1_200_000


def test_a_run_that_saw_nothing_has_a_page():
    page = Page(page_of(sample.empty()))

    for expected in (
        "Backtest XAUUSD cross (ma_cross) No bar was seen Run",
        "Final equity, USD 100,000.00 Return 0.00% Max drawdown 0.00% Sharpe – Trades 0",
        "It did not trade, so there is nothing to judge.",
        "Too few bars to draw.",
        "No trade was closed.",
        "Flat at the end.",
        "Nobody objected to an order.",
        "No plugin failed.",
        "Nothing was left out.",
        "No hook was called.",
    ):
        assert expected in page.text
    assert [] == page.open
    assert 1 == len(page.scripts)


def test_one_bar_is_no_line_and_two_are():
    assert 1 == len(Page(page_of(sample.result(1))).scripts)
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
