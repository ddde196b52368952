"""docs/published.md, which shows what the tests of this folder compute."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "published.md"


def rows_missing(*rows: tuple[str, ...]) -> list[str]:
    """The *rows* that do not stand on the page as the first cells of a row of a table."""
    page = PAGE.read_text(encoding="utf-8")
    return [row for row in (f"| {' | '.join(cells)} |" for cells in rows) if row not in page]
