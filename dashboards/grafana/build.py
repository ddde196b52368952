"""Writes the dashboards that Grafana shows, from the questions in `boards.py`.

`python -m dashboards.grafana.build` writes them again; with `--check` it says whether they are as it would.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphGradientMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
)
from grafana_foundation_sdk.models.dashboard import Panel as Model

from dashboards.committed import main
from dashboards.grafana.boards import BOARDS, Board, Panel

HERE = Path(__file__).parent
_SOURCE = DataSourceRef("prometheus", "$datasource")
_GREEN, _YELLOW, _RED = "green", "yellow", "red"


def built(board: Board) -> str:
    """The JSON of *board*, as it is in its file."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.question)
        .tags(["nicegold"])
        .timezone("utc")
        .refresh("10s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            dashboard.DashboardLink("nicegold")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["nicegold"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_instance())
    )
    for title, panels in board.rows.items():
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(_panel(panel))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _instance() -> dashboard.QueryVariable:
    """Which sessions are looked at: all that Prometheus scrapes, if not said."""
    return (
        dashboard.QueryVariable("instance")
        .label("Session")
        .datasource(_SOURCE)
        .query("label_values(nicegold_build_info, instance)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def _panel(panel: Panel) -> Builder[Model]:
    made = _drawn(panel)
    made.title(panel.title).description(panel.advice).datasource(_SOURCE).unit(panel.unit)
    made.thresholds(_thresholds(panel)).span(panel.width).height(7 if panel.shape != "number" else 5)
    for number, (expression, legend) in enumerate(panel.queries.items()):
        query = prometheus.Dataquery().expr(selected(expression)).legend_format(legend)
        made.with_target(query.ref_id(chr(ord("A") + number)).datasource(_SOURCE))
    return made.no_value(panel.may_be_empty) if panel.may_be_empty else made


def _drawn(panel: Panel) -> stat.Panel | statetimeline.Panel | timeseries.Panel:
    match panel.shape:
        case "number":
            return (
                stat.Panel()
                .color_mode(BigValueColorMode.BACKGROUND if panel.limits else BigValueColorMode.VALUE)
                .graph_mode(BigValueGraphMode.NONE)
                .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
            )
        case "states":
            return (
                statetimeline.Panel()
                .merge_values(True)
                .show_value(VisibilityMode.NEVER)
                .mappings([ValueMap(_words(panel))])
            )
        case _:
            return _lines(panel)


def _lines(panel: Panel) -> timeseries.Panel:
    lines = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(30 if panel.stacked else 8)
        .gradient_mode(GraphGradientMode.NONE)
        .show_points(VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
    )
    if panel.limits:
        lines.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE))
    if panel.stacked:
        lines.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    return lines if panel.signed else lines.axis_soft_min(0)


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    """Green up to the first limit; the last is red. Where less is worse it is the other way round."""
    colors = [_GREEN, _YELLOW, _RED] if len(panel.limits) > 1 else [_GREEN, _RED]
    if panel.less_is_worse:
        colors.reverse()
    steps = [None, *panel.limits]
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value, color) for value, color in zip(steps, colors, strict=False)])
    )


def _words(panel: Panel) -> dict[str, ValueMappingResult]:
    yes, no = (_RED, "transparent") if panel.one_is_bad else (_GREEN, "transparent")
    return {"1": ValueMappingResult("yes", yes), "0": ValueMappingResult("no", no)}


def selected(expression: str) -> str:
    """*expression* of the sessions that are looked at: `@` stands for them."""
    return expression.replace("@", 'instance=~"$instance"')


def files() -> dict[Path, str]:
    """Each dashboard's file and what it should hold."""
    return {HERE / f"{board.uid.removeprefix('nicegold-')}.json": built(board) for board in BOARDS}


if __name__ == "__main__":
    sys.exit(main(files(), sys.argv[1:]))
