"""Where runs are: the journal and the folders below a state folder, and the names that runs get."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from msgspec.structs import replace

from nicegold_ops.app import App, bootstrap, journal_of
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import ConfigurationError, DataError, NicegoldError
from nicegold_ops.journal import Run, journal_path, open_journal
from nicegold_ops.secrets import Local, Secrets

RESULT = "result.json"
REPORT = "report.html"
_SECOND = 1_000_000_000


def state_of(config: Path, state: Path | None) -> Path:
    """The state folder that options name. Raises ConfigurationError when they name none."""
    return runs_of(config, state)[0]


def runs_of(config: Path, state: Path | None) -> tuple[Path, str | None]:
    """The state folder that options name, and the URL of the store where the journal is not in it.

    Raises ConfigurationError when they name none.
    """
    if state is not None:
        return state, None
    run = _configured(config).run
    return run.state, run.store


def _configured(config: Path) -> Settings:
    try:
        return load(config)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}, or the folder of the journal with --state") from None


def base_of(configuration: str, state: Path) -> Path:
    """The folder from which the paths in *configuration* are seen, given where its *state* folder is."""
    written = Path(tomllib.loads(configuration)["run"]["state"])
    if written.is_absolute() or str(written).startswith("~"):
        return Path.cwd()
    return Path(os.path.normpath(state.absolute() / Path(*[".."] * len(written.parts))))


def folder_of(state: Path, run: str) -> Path:
    """Where the files of *run* are."""
    return state / "runs" / run


def claim(settings: Settings, mode: str, time: int) -> Run:
    """A run that begins at *time* (ns UTC) under a name that no other has; its folder is made."""
    began = f"{datetime.fromtimestamp(time // _SECOND, UTC):%Y%m%dT%H%M%SZ}-{mode}"
    names = chain([began], (f"{began}-{number}" for number in count(2)))
    state = settings.run.state
    return next(Run(name, mode, time) for name in names if _makes(folder_of(state, name)))


def begin(settings: Settings, run: Run) -> App:
    """What *run* is made of. Raises what `bootstrap` raises, and then no folder of it stays."""
    try:
        return bootstrap(settings, run)
    except NicegoldError:
        shutil.rmtree(folder_of(settings.run.state, run.run), ignore_errors=True)
        raise


def _makes(folder: Path) -> bool:
    """Make *folder*, unless it is there: of two processes that try, one does."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


@contextmanager
def aside(settings: Settings) -> Iterator[Settings]:
    """*settings* with a state folder that is gone afterwards: what is done with them leaves nothing."""
    with TemporaryDirectory(prefix="nicegold-") as folder:
        yield replace(settings, run=replace(settings.run, state=Path(folder)))


def journal_at(config: Path, state: Path | None) -> tuple[Path, sa.Engine]:
    """The state folder that options name, and the journal of its runs.

    Raises ConfigurationError when they name none, DataError when there is none.
    """
    if state is not None:
        return state, journal_in(state)
    settings = _configured(config)
    return settings.run.state, opened(settings)


def opened(settings: Settings) -> sa.Engine:
    """The journal that is there already. Disposing of it gives back what Vault has lent for it."""
    secrets = Secrets(settings.vault, Local(os.environ))
    try:
        return opened_with(settings, secrets)
    finally:
        if settings.run.store_role is None:
            secrets.close()


def opened_with(settings: Settings, secrets: Secrets) -> sa.Engine:
    """The same, entered with *secrets* that are in use for more."""
    if settings.run.store is None:
        return journal_in(settings.run.state)
    return open_journal(journal_of(settings, secrets))


@contextmanager
def secrets_of(settings: Settings) -> Iterator[Secrets]:
    """What *settings* refer to; in the end, what Vault has lent is given back."""
    secrets = Secrets(settings.vault, Local(os.environ))
    try:
        yield secrets
    finally:
        secrets.close()


def journal_in(state: Path) -> sa.Engine:
    """The journal that is in *state* already. Raises DataError when there is none."""
    path = journal_path(state)
    if not path.is_file():
        raise DataError(f"{path}: there is no journal; name its folder with --state")
    return open_journal(path)


def last_run_with(state: Path, name: str) -> str:
    """The last run in whose folder is the file *name*. Raises DataError when there is none."""
    runs = state / "runs"
    found = sorted(runs.glob(f"*/{name}"))
    if not found:
        raise DataError(f"{runs} holds no run with a {name}; name the state folder with --state")
    return found[-1].parent.name
