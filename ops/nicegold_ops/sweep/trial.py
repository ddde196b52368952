"""One backtest of many: in a worker process, and kept as a few figures instead of a journal."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec.structs import replace

from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import Settings, parse
from nicegold_ops.errors import ConfigurationError, DataError, NicegoldError, PluginError, in_one_line
from nicegold_ops.journal import Run, open_journal, read
from nicegold_ops.report.reading import Reading
from nicegold_ops.report.returns import daily_returns, sharpe
from nicegold_ops.report.statistics import Statistics, statistics_of, traded_value
from nicegold_ops.report.trades import trades_of
from nicegold_ops.sweep.grid import Combination
from nicegold_ops.sweep.window import Window


class Trial(msgspec.Struct, frozen=True):
    """One backtest that a sweep asks for.

    *choice* identifies what is run, settings, code and data, and *key* that in the window that is
    *seen*. *overrides* are the options of `--set` that come after the sweep's own.
    """

    combination: Combination
    window: Window
    choice: str
    seen: str
    key: str
    overrides: tuple[str, ...]


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial came to: either *failed*, which says why, or its figures.

    *closes* are the equity at the end of each trading day on which it could trade, counted from
    1970, and *sharpe* is their Sharpe ratio of a day, not annualized. *halted* says who ended the
    trading and why.
    """

    failed: str = ""
    statistics: Statistics | None = None
    sharpe: float | None = None
    halted: str = ""
    fingerprint: str = ""
    closes: dict[int, float] = {}

    def without_closes(self) -> Tried:
        """It as a line of a table."""
        return replace(self, closes={})


class Bench(msgspec.Struct, frozen=True):
    """What all trials of a sweep are run on: a configuration with options, and its data.

    *text* is what the file *path* held when the sweep began. *digests* are those of the data, by
    feed.
    """

    text: str
    path: Path
    overrides: tuple[str, ...]
    digests: dict[str, str]

    def attempt(self, trial: Trial, *, scratch: Path | None = None) -> Tried:
        """Run *trial*, with its files in *scratch* meanwhile.

        Raises DataError if its data cannot be read, or are no longer those of the sweep.
        """
        with TemporaryDirectory(prefix="nicegold-", dir=scratch) as folder:
            try:
                app = app_of(self.settings(trial.overrides), Path(folder))
            except (ConfigurationError, PluginError) as error:
                return Tried(failed=" ".join(str(error).split()))
            try:
                self._refuse_other_data(app)
                return _tried(app, trial.window)
            finally:
                app.close()

    def settings(self, overrides: tuple[str, ...]) -> Settings:
        """The settings with further options of `--set`. Raises as `parse` does."""
        return parse(self.text, self.path, [*self.overrides, *overrides])

    def _refuse_other_data(self, app: App) -> None:
        for feed, source in app.sources.items():
            if source.digest != self.digests.get(feed):
                raise DataError(
                    f"{feed}: {source.location} is not what it was when the sweep began; "
                    "what is done is kept, start the sweep again"
                )


def app_of(settings: Settings, folder: Path) -> App:
    """The app for a backtest whose files are in *folder* and journal nowhere. Raises as `bootstrap` does."""
    aside = replace(settings, run=replace(settings.run, state=folder))
    return bootstrap(aside, Run("trial", "backtest", 0), store=open_journal(None))


def _tried(app: App, window: Window) -> Tried:
    """Raises what is not the trial's own fault: it must not be on the ledger as if it were."""
    try:
        session.backtest(app)
        reading = Reading(app.settings, read(app.store, app.run.run))
    except PluginError as error:
        return Tried(failed=str(error))
    except DataError as error:
        # Some of its kinds cannot be sent to another process.
        raise DataError(str(error)) from None
    except (NicegoldError, OSError, MemoryError):
        raise
    except Exception as error:
        return Tried(failed=in_one_line(error))
    if reading.failures:
        first = reading.failures[0]
        return Tried(failed=f"{first.plugin}.{first.hook} failed {first.count:,} times: {first.error}")
    return _added_up(app, reading, window)


def _added_up(app: App, reading: Reading, window: Window) -> Tried:
    curve, start = app.curve, float(app.settings.run.cash)
    app.valuation.settle()
    # What is known when the window begins is of the day before.
    first = _trading_day(app, window.start if window.trades_from is None else window.trades_from)
    closes = {day: close for day, close in curve.closes.items() if day >= first}
    instruments = app.settings.instruments
    return Tried(
        statistics=statistics_of(
            start,
            closes,
            trades_of(reading.fills, instruments),
            max_drawdown=curve.max_drawdown,
            exposure=curve.exposure,
            traded=traded_value(reading.fills, instruments),
        ),
        sharpe=sharpe(daily_returns([start, *closes.values()]), 1),
        halted=reading.halted,
        fingerprint=reading.fingerprint,
        closes=closes,
    )


def _trading_day(app: App, time: int | None) -> int:
    if time is None:
        return 0
    return next(iter(app.settings.instruments.values())).sessions.trading_day(time)
