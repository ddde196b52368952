"""Equity over time, and below it how far from its peak it was, drawn by Bokeh.

Bokeh is an extra, so whoever imports this must be ready for an ImportError.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.layouts import column
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
from bokeh.models.annotations import Span
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from bokeh.resources import Resources

from nicegold_ops.curve import Point

_NS_IN_MS = 1e6
#: Room for the labels, so that both charts begin and end at the same place.
_LEFT, _RIGHT = 62, 8
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
#: Bokeh's own tooltip has colours of its own.
_TIP = """
<div style="font: 12px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; text-align: right">
  <div style="color: var(--muted)">@time{{%F %H:%M}} UTC</div>
  <div style="color: var(--ink)">@equity{{0,0.00}} {currency}</div>
  <div style="color: var(--loss)">@drawdown{{0.00%}}</div>
</div>
"""


def chart_of(points: list[Point], currency: str) -> dict[str, Any]:
    """Both charts as JSON, which `Bokeh.embed.embed_item` draws; at least one point.

    A model's tags, such as "line_color --gold", say which CSS variable of the page paints what:
    a canvas does not follow a change between light and dark by itself.
    """
    source = ColumnDataSource(_columns(points))
    equity, drawdown = _equity(source, currency), _drawdown(source, currency)
    drawdown.x_range = equity.x_range
    crosshair = Span(dimension="height", tags=["line_color --faint"])
    for chart in (equity, drawdown):
        chart.add_tools(CrosshairTool(overlay=crosshair, visible=False))
        _dress(chart)
    return dict(json_item(column(equity, drawdown, sizing_mode="stretch_width")))


def library() -> str:
    """BokehJS in script tags: without its widgets and formulas, which are two thirds of it."""
    return Resources(mode="inline", components=["bokeh"]).render_js()


def _columns(points: list[Point]) -> dict[str, Any]:
    return {
        "time": np.array([point.time for point in points]) / _NS_IN_MS,
        "equity": np.array([point.equity for point in points]),
        "drawdown": -np.array([point.drawdown for point in points]),
    }


def _equity(source: ColumnDataSource, currency: str) -> figure:
    chart = figure(
        height=290,
        tools="xpan,xbox_zoom,reset",
        toolbar_location="above",
        x_axis_type="datetime",
        x_range=DataRange1d(range_padding=0.01),
        # Zoomed in on a week, the axis of equity shows the week.
        window_axis="x",
    )
    curve = chart.line("time", "equity", source=source, line_width=1.6, line_join="round")
    _paint(curve, "line_color --gold")
    chart.add_tools(_hover(curve, currency))
    chart.xaxis.visible = False
    chart.yaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    chart.toolbar.autohide = True
    chart.toolbar.logo = None
    # A finger that scrolls the page must not zoom.
    chart.toolbar.active_drag = None
    return chart


def _drawdown(source: ColumnDataSource, currency: str) -> figure:
    deepest = float(np.min(source.data["drawdown"]))
    chart = figure(
        height=160,
        tools="",
        toolbar_location=None,
        x_axis_type="datetime",
        y_range=Range1d(start=min(deepest * 1.1, -0.001), end=0),
    )
    area = chart.varea("time", 0, "drawdown", source=source, fill_alpha=0.22)
    curve = chart.line("time", "drawdown", source=source, line_join="round")
    _paint(area, "fill_color --loss")
    _paint(curve, "line_color --loss")
    chart.add_tools(_hover(curve, currency))
    chart.yaxis.formatter = NumeralTickFormatter(format="0.[00]%")
    chart.yaxis.ticker = BasicTicker(desired_num_ticks=3)
    return chart


def _paint(renderer: GlyphRenderer[Any], tag: str) -> None:
    renderer.glyph.tags = [tag]


def _hover(curve: GlyphRenderer[Any], currency: str) -> HoverTool:
    return HoverTool(
        renderers=[curve],
        mode="vline",
        line_policy="nearest",
        point_policy="follow_mouse",
        tooltips=_TIP.format(currency=escape(currency)),
        formatters={"@time": "datetime"},
        show_arrow=False,
        visible=False,
    )


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
