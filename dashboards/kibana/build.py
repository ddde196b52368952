"""Writes what Kibana imports, from the questions in `boards.py`: a file of saved objects for each dashboard.

`python -m dashboards.kibana.build` writes them again; with `--check` it says whether they are as it would.
The form is that of an export of Kibana 8.9, which 8.19 and 9 take and bring up to date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

from dashboards.committed import main
from dashboards.kibana.boards import BOARDS, COUNT, Board, Figure, Panel, Search, Series, Source, Table

HERE = Path(__file__).parent
Saved: TypeAlias = dict[str, Any]
_LAYER = "layer1"
#: The versions whose form this is: of Kibana's core, and of each type.
_CORE = "8.8.0"
_VERSIONS = {"index-pattern": "8.0.0", "search": "8.0.0", "lens": "8.9.0", "dashboard": "8.9.0"}
#: Of the 48 columns of a dashboard and in its rows.
_WIDE, _HALF, _HIGH = 48, 24, 12
_ROWS = 20


def saved(board: Board) -> list[Saved]:
    """The objects of *board*: data views, panels, and the dashboard that shows them."""
    sources = {panel.source.id: panel.source for panel in board.panels}
    panels = [_panel(board, number, panel) for number, panel in enumerate(board.panels)]
    return [*map(_view, sources.values()), *panels, _dashboard(board, panels)]


def text(board: Board) -> str:
    """These as they are in a file."""
    lines = [json.dumps(each, sort_keys=True, ensure_ascii=False) for each in saved(board)]
    return "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    """What each file has to hold."""
    return {HERE / f"{board.id}.ndjson": text(board) for board in BOARDS}


def _view(source: Source) -> Saved:
    said = {"title": source.pattern, "name": source.title, "timeFieldName": "@timestamp"}
    return _object("index-pattern", source.id, said, [])


def _panel(board: Board, number: int, panel: Panel) -> Saved:
    id = f"nicegold-{board.id}-{number}"
    match panel:
        case Table():
            return _lens(id, panel, "lnsDatatable", _columns(panel.by, panel.figures), _as_table)
        case Series():
            return _lens(id, panel, "lnsXY", {"time": _TIME, **_columns((panel.by,), (COUNT,))}, _as_bars)
        case Search():
            return _search(id, panel)


def _search(id: str, panel: Search) -> Saved:
    source = "kibanaSavedObjectMeta.searchSourceJSON.index"
    asked = {"query": _query(panel.query), "filter": [], "indexRefName": source}
    said = {
        "title": panel.title,
        "description": "",
        "columns": list(panel.columns),
        "sort": [["@timestamp", "desc"]],
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(asked)},
    }
    return _object("search", id, said, [_to("index-pattern", panel.source.id, source)])


def _lens(id: str, panel: Table | Series, kind: str, columns: dict[str, Saved], drawn: Any) -> Saved:
    layer = {"columns": columns, "columnOrder": list(columns), "incompleteColumns": {}}
    said = {
        "title": panel.title,
        "description": "",
        "visualizationType": kind,
        "state": {
            "query": _query(panel.query),
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {_LAYER: layer}}},
            "visualization": drawn(columns),
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }
    source = _to("index-pattern", panel.source.id, f"indexpattern-datasource-layer-{_LAYER}")
    return _object("lens", id, said, [source])


def _columns(by: tuple[str, ...], figures: tuple[Figure, ...]) -> dict[str, Saved]:
    first = "figure0"
    groups = {f"by{number}": _terms(name, first) for number, name in enumerate(by)}
    return groups | {f"figure{number}": _figure(each) for number, each in enumerate(figures)}


def _terms(name: str, ordered_by: str) -> Saved:
    return {
        "label": name,
        "dataType": "string",
        "operationType": "terms",
        "scale": "ordinal",
        "sourceField": name,
        "isBucketed": True,
        "params": {
            "size": _ROWS,
            "orderBy": {"type": "column", "columnId": ordered_by},
            "orderDirection": "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    }


def _figure(figure: Figure) -> Saved:
    is_date = figure.field == "@timestamp"
    return {
        "label": figure.label,
        "customLabel": True,
        "dataType": "date" if is_date else "number",
        "operationType": figure.operation,
        "scale": "ratio",
        "sourceField": figure.field,
        "isBucketed": False,
        "params": {"percentile": figure.percentile} if figure.percentile else {},
    }


_TIME: Saved = {
    "label": "@timestamp",
    "dataType": "date",
    "operationType": "date_histogram",
    "scale": "interval",
    "sourceField": "@timestamp",
    "isBucketed": True,
    "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
}


def _as_table(columns: dict[str, Saved]) -> Saved:
    shown = [{"columnId": name, "isTransposed": False} for name in columns]
    return {"layerId": _LAYER, "layerType": "data", "columns": shown}


def _as_bars(columns: dict[str, Saved]) -> Saved:
    layer = {
        "layerId": _LAYER,
        "layerType": "data",
        "seriesType": "bar_stacked",
        "xAccessor": "time",
        "splitAccessor": "by0",
        "accessors": ["figure0"],
    }
    return {
        "preferredSeriesType": "bar_stacked",
        "legend": {"isVisible": True, "position": "right"},
        "valueLabels": "hide",
        "layers": [layer],
    }


def _dashboard(board: Board, panels: list[Saved]) -> Saved:
    placed, references, top, left = [], [], 0, 0
    for number, panel in enumerate(panels):
        name = f"p{number}"
        is_wide = panel["type"] == "search" or panel["attributes"]["visualizationType"] == "lnsXY"
        width = _WIDE if is_wide else _HALF
        if left + width > _WIDE:
            top, left = top + _HIGH, 0
        placed.append(
            {
                "type": panel["type"],
                "gridData": {"x": left, "y": top, "w": width, "h": _HIGH, "i": name},
                "panelIndex": name,
                "embeddableConfig": {"enhancements": {}},
                "panelRefName": f"panel_{name}",
            }
        )
        references.append(_to(panel["type"], panel["id"], f"{name}:panel_{name}"))
        left += width
    said = {
        "title": f"nicegold: {board.title}",
        "description": board.question,
        "panelsJSON": json.dumps(placed),
        "optionsJSON": json.dumps({"useMargins": True, "syncColors": True, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 60_000},
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps({"query": _query(""), "filter": []})},
    }
    return _object("dashboard", f"nicegold-{board.id}", said, references)


def _query(text: str) -> Saved:
    return {"query": text, "language": "lucene"}


def _to(kind: str, id: str, name: str) -> Saved:
    return {"type": kind, "id": id, "name": name}


def _object(kind: str, id: str, said: Saved, references: list[Saved]) -> Saved:
    return {
        "type": kind,
        "id": id,
        "attributes": said,
        "references": references,
        "managed": False,
        "coreMigrationVersion": _CORE,
        "typeMigrationVersion": _VERSIONS[kind],
    }


if __name__ == "__main__":
    sys.exit(main(files(), sys.argv[1:]))
