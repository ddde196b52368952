"""A picture of the gaps for a terminal: a week is a line, and three hours are a block."""

from __future__ import annotations

from rich.text import Text

from nicegold import DAY, show_time
from nicegold_ops.inspection.coverage import COLUMN, Cell, Coverage

_LINES = 36
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: From this share of the bars on, a block looks so.
_SHADES = ((0.995, "█", ""), (0.9, "▓", ""), (0.5, "▒", "yellow"), (1e-9, "░", "yellow"), (0.0, "·", "red"))
_LEGEND = "█ all bars  ▓ 90%  ▒ half  ░ a few  · none, though open    blank: closed"


def picture(coverage: Coverage, zone: str) -> list[Text]:
    """The lines of it, 68 columns wide."""
    rows = coverage.rows(_LINES)
    if not rows:
        return []
    weeks = (rows[1].begin - rows[0].begin) // (7 * DAY) if len(rows) > 1 else 1
    each = "a week" if weeks == 1 else f"{weeks} weeks"
    width = 24 // COLUMN
    head = Text(" " * 12 + "".join(day.ljust(width) for day in _DAYS), style="dim")
    lines = [_line(show_time(row.begin)[:10], row.cells) for row in rows]
    return [
        Text(f"a line is {each}, a block {COLUMN} hours, in {zone}"),
        head,
        *lines,
        Text(_LEGEND, style="dim"),
    ]


def _line(label: str, cells: list[Cell]) -> Text:
    line = Text(f"{label}  ")
    for cell in cells:
        shade, style = _shade(cell)
        line.append(shade, style)
    return line


def _shade(cell: Cell) -> tuple[str, str]:
    if cell is None:
        return " ", ""
    return next((shade, style) for least, shade, style in _SHADES if cell >= least)
