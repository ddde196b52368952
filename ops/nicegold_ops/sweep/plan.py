"""What a sweep would do, known before anything runs: its trials, and what each of them depends on."""

from __future__ import annotations

import hashlib
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec.structs import replace

from nicegold import Source
from nicegold_ops.app import App, feeds
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import ConfigurationError, DataError, NicegoldError
from nicegold_ops.period import nanoseconds
from nicegold_ops.suggest import did_you_mean
from nicegold_ops.sweep.condition import Condition
from nicegold_ops.sweep.grid import Combination, Grid
from nicegold_ops.sweep.trial import Bench, Trial, app_of
from nicegold_ops.sweep.window import Window
from nicegold_ops.toml import Document, key_to_toml, to_toml

#: What a backtest does not depend on.
_WITHOUT_EFFECT = frozenset(
    {
        *("run.mode", "run.state", "run.store", "run.store_password", "run.store_role", "run.pace"),
        *("run.metrics_host", "run.metrics_port"),
    }
)
#: What a window says.
_BOUNDS = frozenset({"run.start", "run.end"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep that can be run.

    *context* is all that its trials depend on and share, by name: settings, data, code and
    version. *settings* are those of its first trial, *sources* its data. *canonical* has the values
    of each parameter in one form, whichever way they were written. *strategy* and *data* are what
    trials are counted by.
    """

    bench: Bench
    settings: Settings
    sources: dict[str, Source]
    grid: Grid
    combinations: list[Combination]
    context: dict[str, str]
    canonical: tuple[tuple[str, ...], ...]
    strategy: str
    data: str

    def trial(self, combination: Combination, window: Window | None = None) -> Trial:
        """The backtest of *combination*, on all data or those of a *window*."""
        chosen = {
            each.key: values[at]
            for each, values, at in zip(self.grid.parameters, self.canonical, combination, strict=True)
        }
        # In the place of what stands there: swept or written in the file, it is one choice.
        choice = _digest({**self.context, **chosen})
        seen = msgspec.json.encode(window or self._own_window()).decode()
        return Trial(
            combination=combination,
            window=window or Window(),
            choice=choice,
            seen=seen,
            key=_digest({"choice": choice, "window": seen}),
            overrides=(*self.grid.overrides(combination), *(window.overrides() if window else ())),
        )

    def trials(self, window: Window | None = None) -> list[Trial]:
        """One for each combination."""
        return [self.trial(each, window) for each in self.combinations]

    @contextmanager
    def app(self) -> Iterator[App]:
        """The app of its settings, which leaves nothing behind."""
        with TemporaryDirectory(prefix="nicegold-") as folder:
            app = app_of(self.settings, Path(folder))
            try:
                yield app
            finally:
                app.close()

    def _own_window(self) -> Window:
        start, end = self.settings.run.start, self.settings.run.end
        return Window(
            start=nanoseconds(start) if start is not None else None,
            end=nanoseconds(end) if end is not None else None,
        )


def plan(
    config: Path,
    overrides: Sequence[str],
    grid: Grid,
    condition: Condition | None = None,
    *,
    sample: int | None = None,
    seed: int = 0,
) -> Plan:
    """What sweeping *grid* over the configuration *config* with *overrides* means.

    Raises what `nicegold check` would: ConfigurationError, PluginError or DataError.
    """
    canonical = _canonical(config, overrides, grid)
    combinations = grid.combinations(condition, sample=sample, seed=seed)
    bench = Bench(config.read_text("utf-8-sig"), config, tuple(overrides), {})
    with _first_app(bench, grid, combinations) as (settings, app):
        _refuse_unsound(app, grid)
        context = _context(app, {each.key for each in grid.parameters})
        about_data = {name: said for name, said in context.items() if name.startswith(DATA)}
        return Plan(
            bench=replace(bench, digests={feed: source.digest for feed, source in app.sources.items()}),
            settings=settings,
            sources=dict(app.sources),
            grid=grid,
            combinations=combinations,
            context=context,
            canonical=canonical,
            strategy=_strategy(app),
            data=_digest({**about_data, "run.seed": str(app.settings.run.seed)}),
        )


def _canonical(config: Path, overrides: Sequence[str], grid: Grid) -> tuple[tuple[str, ...], ...]:
    """Each parameter's values in the form of the canonical text. Raises as `load` does, for all at once."""
    firsts = grid.overrides((0,) * len(grid.parameters))
    _refuse_unknown_plugins(config, overrides, grid)
    found, problems = [], dict[str, NicegoldError]()
    for parameter in grid.parameters:
        read = []
        for value in parameter.values:
            try:
                settings = load(config, [*overrides, *firsts, f"{parameter.key}={value}"])
            except NicegoldError as error:
                problems.setdefault(_as_typed(str(error), grid), error)
            else:
                read.append(_written(settings, parameter.key))
        found.append(tuple(read))
    if problems:
        raise type(next(iter(problems.values())))("\n".join(problems))
    return tuple(found)


def _refuse_unknown_plugins(config: Path, overrides: Sequence[str], grid: Grid) -> None:
    try:
        document = Document.parse(str(config), config.read_text("utf-8-sig"))
    except (OSError, UnicodeError):
        return  # `load` says it better
    for number, option in enumerate(overrides):
        document = document.with_option(number, option)
    known = document.tables.get("plugins", {})
    for parameter in grid.parameters:
        name = parameter.plugin
        if name is not None and name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise ConfigurationError(f"--over {parameter.name}: there is no [plugins.{name}]{hint}")


def _as_typed(message: str, grid: Grid) -> str:
    for each in grid.parameters:
        message = message.replace(f"--set {each.key}:", f"--over {each.name}:")
    return message


def _written(settings: Settings, key: str) -> str:
    written = _flat(settings.text)[key]
    chosen = [each for each in settings.plugins if key == f"plugins.{each.name}.use"]
    return " ".join([written, *(_code_of(each.plugin) for each in chosen)])


@contextmanager
def _first_app(
    bench: Bench, grid: Grid, combinations: Sequence[Combination]
) -> Iterator[tuple[Settings, App]]:
    """Of the first combination to which no plugin objects. Raises what is said to the very first."""
    refusal: ConfigurationError | None = None
    for combination in combinations:
        with TemporaryDirectory(prefix="nicegold-") as folder:
            try:
                settings = bench.settings(grid.overrides(combination))
                app = app_of(settings, Path(folder))
            except ConfigurationError as error:
                refusal = refusal or error
                continue
            try:
                yield settings, app
            finally:
                app.close()
            return
    if refusal is not None:
        raise refusal


def _refuse_unsound(app: App, grid: Grid) -> None:
    """Refuse what would compare results that cannot be compared."""
    for feed in feeds(app.host):
        if feed.name not in app.sources:
            raise DataError(f"{feed.name} cannot be read again, so its trials would not see the same data")
    for each in grid.parameters:
        if each.plugin in app.sources:
            raise ConfigurationError(
                f"--over {each.name}: {each.plugin} is what all trials read; choose it by --set"
            )
        if each.key in _WITHOUT_EFFECT:
            raise ConfigurationError(f"--over {each.name}: a backtest does not depend on it")
        if each.key in _BOUNDS:
            raise ConfigurationError(f"--over {each.name}: `nicegold walkforward` goes through time")


# What a trial depends on.

#: With these words begins what the context calls data and code.
DATA, CODE = "the data of ", "the code of "
#: Stands in a context for what has many values.
SWEPT = "swept"


def _context(app: App, swept: set[str]) -> dict[str, str]:
    written = _flat(app.settings.text)
    return {
        **{
            key: SWEPT if key in swept else said
            for key, said in written.items()
            if key not in _WITHOUT_EFFECT | _BOUNDS
        },
        **{f"{DATA}{feed}": source.digest for feed, source in app.sources.items()},
        **{f"{CODE}{each.name}": _code_of(each.plugin) for each in app.settings.plugins},
        "nicegold": version("nicegold"),
    }


def _flat(text: str) -> dict[str, str]:
    """The settings of a canonical *text*, each by its key with dots."""
    return dict(_leaves(tomllib.loads(text), ()))


def _leaves(tables: Mapping[str, Any], key: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*key, name))
        else:
            yield key_to_toml(*key, name), to_toml(value)


def _code_of(plugin: type) -> str:
    """A digest of the source of *plugin*: all of its package, or its file if it is in none."""
    top = sys.modules[plugin.__module__.partition(".")[0]].__file__
    file = sys.modules[plugin.__module__].__file__
    if top is not None and Path(top).name == "__init__.py":
        files = sorted(Path(top).parent.rglob("*.py"))
    else:
        files = [Path(file)] if file is not None else []
    return _digest({str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in files})


def _strategy(app: App) -> str:
    """The plugins that trade, by what they use."""
    uses = {each.name: each.use for each in app.settings.plugins}
    trading = [name for name, each in app.host.plugins.items() if each.kind == "strategy"]
    return ", ".join(sorted(uses[name] for name in trading))


def _digest(said: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()
