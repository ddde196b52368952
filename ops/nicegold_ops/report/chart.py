"""Equity, drawdown, price with its trades, and what was held: charts that zoom together, drawn by Bokeh.

Bokeh is an extra, so whoever imports this must be ready for an ImportError. A model's tags, such as
"line_color --gold", say which CSS variable of the page paints what: a canvas does not follow a
change between light and dark by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, cast

import numpy as np
from bokeh.embed import json_item
from bokeh.layouts import gridplot
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CrosshairTool,
    DataRange1d,
    DatetimeTicker,
    DatetimeTickFormatter,
    HoverTool,
    NoOverlap,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.models.annotations import Span, Title
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from bokeh.resources import Resources

from nicegold import Side
from nicegold_ops.report.prices import Candle
from nicegold_ops.report.result import Result
from nicegold_ops.report.trades import Trade

#: Instruments that are drawn, those with the most trades.
MOST_INSTRUMENTS = 4
_NS_IN_MS = 1e6
#: Room for the labels, so that all charts begin and end at the same place.
_LEFT, _RIGHT = 62, 8
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
#: Bokeh's own tooltip has colours of its own.
_TIP = """
<div style="font: 12px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; text-align: right">
  {lines}
</div>
"""
_LINE = '<div style="color: var({})">{}</div>'


def charts_of(result: Result, shown: Sequence[int]) -> dict[str, Any]:
    """The charts as JSON, which `Bokeh.embed.embed_item` draws; at least two points of the curve.

    Of the trades those at the places *shown* are drawn. The range of time is the model "time".
    """
    time = _time_range(result)
    points = _points(result)
    charts = [_equity(result, points, time), _drawdown(points, time)]
    for symbol in drawn_instruments(result):
        trades = [(place, result.trades[place]) for place in shown if result.trades[place].symbol == symbol]
        candles = _candles(result.prices[symbol])
        charts.append(_price(symbol, candles, trades, time))
        if any(each.least or each.most for each in result.prices[symbol]):
            charts.append(_exposure(symbol, candles, time))
    crosshair = Span(dimension="height", tags=["line_color --faint"])
    for chart in charts:
        chart.add_tools(CrosshairTool(overlay=crosshair, visible=False))
        _dress(chart)
    grid = gridplot([[chart] for chart in charts], sizing_mode="stretch_width", toolbar_location="above")
    grid.toolbar.logo = None
    grid.toolbar.tags = ["toolbar"]
    return dict(json_item(grid))


def drawn_instruments(result: Result) -> list[str]:
    """Those with the most trades first, and then in the order of the configuration."""
    trades = Counter(trade.symbol for trade in result.trades)
    found = [symbol for symbol, candles in result.prices.items() if len(candles) > 1]
    return sorted(found, key=lambda symbol: -trades[symbol])[:MOST_INSTRUMENTS]


def library() -> str:
    """BokehJS in script tags: without its widgets and formulas, which are two thirds of it."""
    return Resources(mode="inline", components=["bokeh"]).render_js()


def _time_range(result: Result) -> Range1d:
    first, last = result.curve[0].time, result.curve[-1].time
    room = max((last - first) // 100, 1)
    return Range1d(start=(first - room) / _NS_IN_MS, end=(last + room) / _NS_IN_MS, name="time")


def _points(result: Result) -> ColumnDataSource:
    return ColumnDataSource(
        {
            "time": _times(point.time for point in result.curve),
            "equity": np.array([point.equity for point in result.curve]),
            "drawdown": -np.array([point.drawdown for point in result.curve]),
        }
    )


def _candles(candles: Sequence[Candle]) -> ColumnDataSource:
    return ColumnDataSource(
        {
            "start": _times(each.start for each in candles),
            "time": _times(each.time for each in candles),
            "low": np.array([each.low for each in candles]),
            "high": np.array([each.high for each in candles]),
            "close": np.array([each.close for each in candles]),
            "least": np.array([min(each.least, 0.0) for each in candles]),
            "most": np.array([max(each.most, 0.0) for each in candles]),
        }
    )


def _times(times: Iterable[int]) -> Any:
    return np.array(list(times)) / _NS_IN_MS


def _figure(title: str, height: int, time: Range1d, **options: Any) -> figure:
    chart = figure(
        title=Title(
            text=title,
            text_font=_FONT,
            text_font_size="12px",
            text_font_style="normal",
            tags=["text_color --muted"],
        ),
        height=height,
        tools="xpan,xbox_zoom,xzoom_in,xzoom_out,reset",
        x_axis_type="datetime",
        x_range=time,
        # Zoomed in on a week, the other axis shows the week.
        window_axis="x",
        **options,
    )
    # A finger that scrolls the page must not zoom.
    chart.toolbar.active_drag = None
    return chart


def _equity(result: Result, points: ColumnDataSource, time: Range1d) -> figure:
    chart = _figure(f"Equity, {result.currency}", 300, time)
    cast(DataRange1d, chart.y_range).only_visible = True
    if result.benchmark is not None:
        marks = result.benchmark.curve
        held = ColumnDataSource(
            {"time": _times(each.time for each in marks), "equity": np.array([each.equity for each in marks])}
        )
        line = chart.line("time", "equity", source=held, line_width=1.1, line_join="round")
        _paint(line, "line_color --benchmark")
        line.name = "benchmark"
    curve = chart.line("time", "equity", source=points, line_width=1.8, line_join="round")
    _paint(curve, "line_color --gold")
    said = ("--ink", f"@equity{{0,0.00}} {escape(result.currency)}"), ("--loss", "@drawdown{0.00%}")
    chart.add_tools(_hover(curve, *said))
    chart.yaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    return chart


def _drawdown(points: ColumnDataSource, time: Range1d) -> figure:
    deepest = float(np.min(points.data["drawdown"]))
    falls = Range1d(start=min(deepest * 1.1, -0.001), end=0)
    chart = _figure("Drawdown", 140, time, y_range=falls)
    area = chart.varea("time", 0, "drawdown", source=points, fill_alpha=0.22)
    curve = chart.line("time", "drawdown", source=points, line_join="round")
    _paint(area, "fill_color --loss")
    _paint(curve, "line_color --loss")
    chart.add_tools(_hover(curve, ("--loss", "@drawdown{0.00%}")))
    _percents(chart)
    return chart


def _price(
    symbol: str, candles: ColumnDataSource, trades: Sequence[tuple[int, Trade]], time: Range1d
) -> figure:
    """A line through the closes over bars from low to high, and each trade from its entry to its exit."""
    chart = _figure(f"{symbol} and trades" if trades else symbol, 320, time)
    bars = chart.segment("time", "low", "time", "high", source=candles, line_width=1)
    closes = chart.line("time", "close", source=candles, line_join="round")
    _paint(bars, "line_color --range")
    _paint(closes, "line_color --muted")
    # A range of prices that follows the zoom takes lines only.
    reach = [chart.line("time", each, source=candles, line_alpha=0.0) for each in ("low", "high")]
    cast(DataRange1d, chart.y_range).renderers = [*reach]
    chart.add_tools(
        _hover(
            closes, ("--ink", "@close{0,0.00[000]}"), ("--muted", "@low{0,0.00[000]} to @high{0,0.00[000]}")
        )
    )
    for has_won, colour in ((True, "--gain"), (False, "--loss")):
        for side in Side:
            told = [each for each in trades if (_net(each[1]) > 0) is has_won and each[1].side is side]
            if told:
                _draw_trades(chart, told, side, colour)
    chart.yaxis.formatter = NumeralTickFormatter(format="0,0.00[000]")
    return chart


def _draw_trades(chart: figure, trades: Sequence[tuple[int, Trade]], side: Side, colour: str) -> None:
    """A line each, from a triangle that says which way it went to a dot."""
    source = ColumnDataSource(
        {
            "number": [place + 1 for place, _ in trades],
            "entry": _times(each.entry_time for _, each in trades),
            "exit": _times(each.exit_time for _, each in trades),
            "bought": np.array([float(each.entry_price) for _, each in trades]),
            "sold": np.array([float(each.exit_price) for _, each in trades]),
            "net": np.array([float(_net(each)) for _, each in trades]),
        }
    )
    lines = chart.segment("entry", "bought", "exit", "sold", source=source, line_width=1.4)
    marker = "triangle" if side is Side.BUY else "inverted_triangle"
    entries = chart.scatter("entry", "bought", source=source, marker=marker, size=8, line_width=0.8)
    exits = chart.scatter("exit", "sold", source=source, marker="circle", size=5, line_width=0.8)
    _paint(lines, f"line_color {colour}")
    for each in (entries, exits):
        _paint(each, f"fill_color {colour}", "line_color --paper")
        each.tags = ["mark"]
    name = "long" if side is Side.BUY else "short"
    said = ("--muted", f"No. @number, {name}"), (colour, "@net{+0,0.00} net")
    chart.add_tools(
        HoverTool(
            renderers=[entries, exits],
            tooltips=_tip(*said, time=False),
            show_arrow=False,
            visible=False,
        )
    )


def _exposure(symbol: str, candles: ColumnDataSource, time: Range1d) -> figure:
    """As far as it went while each candle lasted, on either side of nothing."""
    chart = _figure(f"Exposure in {symbol}, of equity", 130, time)
    area = chart.varea_step("start", "least", "most", source=candles, step_mode="after", fill_alpha=0.5)
    _paint(area, "fill_color --gold")
    _percents(chart)
    return chart


def _net(trade: Trade) -> Any:
    return trade.profit - trade.costs


def _percents(chart: figure) -> None:
    chart.yaxis.formatter = NumeralTickFormatter(format="0.[00]%")
    chart.yaxis.ticker = BasicTicker(desired_num_ticks=3)


def _paint(renderer: GlyphRenderer[Any], *tags: str) -> None:
    renderer.glyph.tags = list(tags)


def _hover(curve: GlyphRenderer[Any], *said: tuple[str, str]) -> HoverTool:
    return HoverTool(
        renderers=[curve],
        mode="vline",
        line_policy="nearest",
        point_policy="follow_mouse",
        tooltips=_tip(*said),
        formatters={"@time": "datetime"},
        show_arrow=False,
        visible=False,
    )


def _tip(*said: tuple[str, str], time: bool = True) -> str:
    lines = [("--muted", "@time{%F %H:%M} UTC"), *said] if time else said
    return _TIP.format(lines="".join(_LINE.format(*each) for each in lines))


def _dress(chart: figure) -> None:
    chart.sizing_mode = "stretch_width"
    chart.min_border_left, chart.min_border_right = _LEFT, _RIGHT
    chart.background_fill_alpha = chart.border_fill_alpha = 0.0
    chart.outline_line_color = None
    chart.xgrid.grid_line_color = None
    chart.ygrid.tags = ["grid_line_color --grid"]
    chart.xaxis.ticker = DatetimeTicker(desired_num_ticks=6)
    chart.xaxis.formatter = DatetimeTickFormatter(
        minutes="%H:%M", hours="%H:%M", days="%d %b", months="%b %Y", years="%Y"
    )
    for axis in chart.axis:
        axis.major_label_policy = NoOverlap(min_distance=8)
        axis.axis_line_color = axis.minor_tick_line_color = None
        axis.major_label_text_font = _FONT
        axis.major_label_text_font_size = "11px"
        axis.tags = ["major_label_text_color --muted", "major_tick_line_color --grid"]
