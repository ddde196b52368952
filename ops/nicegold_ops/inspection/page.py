"""What is in market data, as one HTML page that needs no network."""

from __future__ import annotations

from html import escape
from typing import Any

from nicegold import DAY, show_time
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.inspection import Inspected
from nicegold_ops.inspection.coverage import COLUMN, COLUMNS, Coverage, Row
from nicegold_ops.inspection.finding import Finding

#: A week each, of twenty years.
_ROWS = 1_040
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }
td:nth-child(3) { white-space: nowrap } td.number { text-align: right; font-variant-numeric: tabular-nums }
.warning, .dropped { color: #c2410c; font-weight: 600 }
"""


def page(found: Inspected, coverage: Coverage, zone: str) -> str:
    """The page. Raises ConfigurationError where Bokeh, which draws it, is not installed."""
    try:
        from bokeh.embed import components
        from bokeh.resources import INLINE
    except ImportError:
        raise ConfigurationError('--html needs bokeh: pip install "nicegold[report]"') from None
    script, drawing = components(_drawn(coverage.rows(_ROWS), zone))
    verdict = found.clock
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(found.file.name)}</title><style>{_STYLE}</style>{INLINE.render()}</head><body>
<h1>{escape(found.file.name)}</h1>
<p>{found.rows:,} rows, {found.events:,} of them used,
{show_time(found.first)} to {show_time(found.last)} UTC,
read by {escape(found.feed)}.<br>{"<br>".join(map(escape, found.recognised))}</p>
<p>The clock {escape(verdict.declared)}: <b>{escape(verdict.says)}</b>; {escape(verdict.reason)}.</p>
<h2>Findings</h2>{_table(found.findings)}
<h2>Where there are bars</h2>{drawing}{script}</body></html>
"""


def _table(findings: list[Finding]) -> str:
    if not findings:
        return "<p>Nothing odd was found.</p>"
    head = "<tr><th>finding<th>times<th>first at (UTC)<th>why<th>what to do"
    return f"<table>{head}{''.join(map(_line, findings))}</table>"


def _line(finding: Finding) -> str:
    return (
        f'<tr><td>{escape(finding.kind)}<br><span class="{finding.severity}">{finding.severity}</span>'
        f'<td class="number">{finding.count:,}<td>{"<br>".join(map(escape, finding.first))}'
        f"<td>{escape(finding.why)}<td>{escape(finding.advice)}"
    )


def _drawn(rows: list[Row], zone: str) -> Any:
    from bokeh.models import ColumnDataSource, DataRange1d, Range1d
    from bokeh.plotting import figure
    from bokeh.transform import linear_cmap

    cells = [(row, column) for row in rows for column in range(COLUMNS) if row.cells[column] is not None]
    width = 24 // COLUMN
    step = rows[1].begin - rows[0].begin if len(rows) > 1 else 7 * DAY
    source = ColumnDataSource(
        {
            "x": [column + 0.5 for _, column in cells],
            "y": [(row.begin + step / 2) / 1e6 for row, _ in cells],
            "share": [row.cells[column] for row, column in cells],
            "when": [f"{_DAYS[column // width]} {column % width * COLUMN:02}:00" for _, column in cells],
            "week": [show_time(row.begin)[:10] for row, _ in cells],
        }
    )
    plot = figure(
        height=max(240, min(900, 12 * len(rows))),
        sizing_mode="stretch_width",
        y_axis_type="datetime",
        y_range=Range1d(start=(rows[-1].begin + step) / 1e6, end=rows[0].begin / 1e6)
        if rows
        else DataRange1d(),
        x_range=Range1d(start=0, end=COLUMNS),
        tooltips=[("week of", "@week"), ("", f"@when {zone}"), ("bars", "@share{0.0%}")],
        tools="hover,ywheel_zoom,ypan,reset",
        toolbar_location=None,
    )
    plot.xaxis.ticker = [width // 2 + width * day for day in range(7)]
    plot.xaxis.major_label_overrides = {width // 2 + width * day: name for day, name in enumerate(_DAYS)}
    plot.grid.visible = False
    colour = linear_cmap(
        "share", ["#b91c1c", "#ea580c", "#f59e0b", "#a3a33b", "#4d8f6a", "#2f7d5b"], 0.0, 1.0
    )
    plot.rect("x", "y", 0.95, 0.92 * step / 1e6, source=source, fill_color=colour, line_color=None)
    plot.background_fill_alpha = plot.border_fill_alpha = 0.0
    for axis in plot.axis:
        axis.major_label_text_color = axis.axis_line_color = "#888888"
    return plot
