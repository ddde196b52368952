"""`nicegold doctor`: whether this machine and this configuration are fit to trade."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import click
import sqlalchemy as sa
from rich.text import Text

from nicegold import engine, pure
from nicegold_ops.commands._finding import Finding, Status
from nicegold_ops.commands._options import CONFIGURATION, config_option, json_option, state_option
from nicegold_ops.commands._output import answer, console, moment, table
from nicegold_ops.commands._runs import journal_in, opened, secrets_of
from nicegold_ops.commands._servers import servers
from nicegold_ops.config import Settings, installed, load
from nicegold_ops.errors import DataError, NicegoldError, in_one_line
from nicegold_ops.journal import Run, all_runs, journal_path, read
from nicegold_ops.reference import Reference
from nicegold_ops.secrets import Local, Secrets
from nicegold_ops.telemetry.watch import native
from nicegold_ops.toml import key_to_toml
from nicegold_ops.vault.api import VaultFailed
from nicegold_ops.vault.health import OLDEST, health_of
from nicegold_ops.vault.login import Door
from nicegold_ops.vault.settings import VaultSettings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_GIGABYTE = 10**9
#: Free bytes below which a run should not begin, and below which it should not be left alone.
_TOO_LITTLE, _LITTLE = _GIGABYTE // 10, _GIGABYTE
#: Seconds for a write to reach the disk, above which each order waits noticeably.
_SLOW = 0.05
#: Runs whose chains are verified, from the last.
_RUNS = 5
#: ns that a file's time may be ahead of UTC, where a file system keeps local time.
_ZONES = 86_400 * 10**9
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)[^;]*(?:;.*extra == ['\"](?P<extra>\w+)['\"])?")


@click.command()
@config_option
@state_option
@json_option
def command(config: Path, state: Path | None, json_to: Path | None) -> int:
    """See whether machine and configuration are fit to trade.

    Exits with 1 if something is not.
    """
    findings = [*_machine(), *_plugins(), *_configured(config, state)]
    shown = table("", "about", "is", "way out")
    for each in findings:
        shown.add_row(Text(each.status, _COLOURS[each.status]), each.about, each.says, each.way_out)
    answer(findings, json_to, shown)
    return 1 if any(each.status == "fail" for each in findings) else 0


# The machine.


def _machine() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{sys.version.split()[0]} on {sys.platform}")
    yield from _packages()
    yield Finding("sqlite", "ok", sqlite3.sqlite_version)
    yield _clock(time.time_ns())
    yield from _compiled()
    promtool = shutil.which("promtool")
    yield (
        Finding("promtool", "ok", promtool)
        if promtool
        else Finding("promtool", "warn", "is not installed", "to check rules: apt-get install prometheus")
    )
    out = console()
    kind = f"{out.color_system or 'no'} colours, {out.width} columns" if out.is_terminal else "none"
    yield Finding("terminal", "ok", kind)


def _packages() -> Iterator[Finding]:
    needed: dict[str, str | None] = {}
    for requirement in requires("nicegold") or ():
        found = _REQUIREMENT.match(requirement)
        if found is not None:
            needed.setdefault(found["name"], found["extra"])
    yield from (_package(name, extra) for name, extra in needed.items())


def _package(name: str, extra: str | None) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        way_out = f'pip install "nicegold[{extra}]"' if extra else f"pip install {name}"
        return Finding(name, "warn" if extra else "fail", "is not installed", way_out)


def _clock(now: int) -> Finding:
    installed_at = Path(__file__).stat().st_mtime_ns
    if now < installed_at - _ZONES:
        says = f"shows {moment(now)} UTC, which is before nicegold was installed"
        return Finding("clock", "fail", says, "set it: every order is stamped with it")
    return Finding("clock", "ok", f"{moment(now)} UTC")


def _compiled() -> Iterator[Finding]:
    yield _part("watched calls", native(time.perf_counter) is not None)
    yield _part("core", pure.is_compiled(engine))


def _part(name: str, is_compiled: bool) -> Finding:
    if is_compiled:
        return Finding(name, "ok", "compiled")
    if pure.ASKED:
        return Finding(name, "ok", "pure Python: NICEGOLD_PURE=1 asks for it")
    way_out = "to be faster: apt-get install gcc python3-dev, then install nicegold again"
    return Finding(name, "warn", "pure Python", way_out)


# The plugins.


def _plugins() -> Iterator[Finding]:
    broken = 0
    for name, entry in installed().items():
        try:
            entry.load()
        except (Exception, SystemExit) as error:
            broken += 1
            says = f"cannot be imported: {in_one_line(error)}"
            whose = entry.dist.name if entry.dist else entry.module
            yield Finding(f"plugin {name}", "warn", says, f"mend or uninstall {whose}")
    yield Finding("plugins", "ok", f"{len(installed()) - broken} can be enabled")


# The configuration, and what it has done.


def _configured(config: Path, state: Path | None) -> Iterator[Finding]:
    store: Settings | None = None
    try:
        settings = load(config)
    except NicegoldError as error:
        missing = config == CONFIGURATION and not config.exists()
        yield Finding("configuration", "warn" if missing else "fail", str(error), "")
    else:
        yield Finding(
            "configuration", "ok", f"{config}: {len(settings.plugins)} plugins in {settings.run.mode}"
        )
        yield from _vault(settings.vault)
        with secrets_of(settings) as secrets:
            yield from _secrets(settings, secrets)
            # Those whose keys are behind a wrapping are not asked.
            if settings.vault is None or not settings.vault.wrapped:
                yield from servers(settings, secrets)
        store = settings if state is None and settings.run.store else None
        state = state or settings.run.state
    if state is not None:
        yield from _state(state)
        yield from _journal(state, store)


# What it refers to.


def _vault(settings: VaultSettings | None) -> Iterator[Finding]:
    if settings is None:
        return
    try:
        health = health_of(settings)
    except VaultFailed as error:
        yield Finding("vault", "fail", str(error), "start it, or mend [vault] address and ca")
        return
    if health.is_old:
        oldest = ".".join(map(str, OLDEST))
        yield Finding(
            "vault", "warn", f"is version {health.version}", f"use {oldest} or later: no other is tried"
        )
    if not health.initialized:
        yield Finding("vault", "fail", f"{settings.address} is not initialized", "vault operator init")
    elif health.sealed:
        yield Finding("vault", "fail", f"{settings.address} is sealed", "vault operator unseal")
    else:
        yield Finding("vault", "ok", f"{health.version} at {settings.address}")


def _secrets(settings: Settings, secrets: Secrets) -> Iterator[Finding]:
    """Whether each can be read now. What is wrapped stays so: it can be opened once, and a run needs it."""
    wanted = _references(settings)
    if settings.vault is not None and settings.vault.wrapped:
        yield _wrapping(settings.vault)
        wanted = {name: each for name, each in wanted.items() if each.scheme != "vault"}
    failed = {name: said for name, each in wanted.items() if (said := _unread(secrets, each))}
    for name, said in failed.items():
        yield Finding(name, "fail", said, "a run that needs it does not begin")
    if wanted:
        yield Finding("secrets", "ok", f"{len(wanted) - len(failed)} can be read")


def _is_behind_a_wrapping(settings: Settings) -> bool:
    password = settings.run.store_password
    is_in_vault = settings.run.store_role or (password is not None and password.scheme == "vault")
    return bool(settings.vault and settings.vault.wrapped and is_in_vault)


def _references(settings: Settings) -> dict[str, Reference]:
    """What is referred to, by where."""
    found = {
        f"[{key_to_toml('plugins', plugin.name)}] {name}": value
        for plugin in settings.plugins
        for name, value in plugin.values.items()
        if isinstance(value, Reference)
    }
    others = {
        "[run] store_password": settings.run.store_password,
        "[traces] key": settings.traces.key if settings.traces else None,
        "[errors] dsn": settings.errors.dsn if settings.errors else None,
        "[elasticsearch] api_key": settings.elasticsearch.api_key if settings.elasticsearch else None,
        "[audit] signing_key": settings.audit.signing_key if settings.audit else None,
        "[audit] mac_key": settings.audit.mac_key if settings.audit else None,
    }
    return {name: each for name, each in others.items() if each is not None} | found


def _unread(secrets: Secrets, reference: Reference) -> str:
    """Why *reference* leads to no secret; empty when it does."""
    try:
        secrets.resolve(reference)
    except NicegoldError as error:
        return str(error)
    return ""


def _wrapping(settings: VaultSettings) -> Finding:
    try:
        Door(settings, Local(os.environ).resolve).refuse_tampered()
    except NicegoldError as error:
        return Finding("secret_id", "fail", str(error), "")
    return Finding("secret_id", "ok", "is wrapped, for us, and stays so: what is in Vault was not read")


def _state(state: Path) -> Iterator[Finding]:
    folder = next(each for each in (state.absolute(), *state.absolute().parents) if each.exists())
    yield _room(shutil.disk_usage(folder).free)
    try:
        seconds = _durable_write(folder)
    except OSError as error:
        way_out = "make it writable, or name another folder in [run] state"
        yield Finding("state", "fail", f"{folder}: {error.strerror}", way_out)
        return
    yield Finding("state", "ok", f"{state} can be written")
    if seconds > _SLOW:
        way_out = "each order waits for it; put the state folder on a faster disk"
        yield Finding("fsync", "warn", f"takes {seconds * 1e3:,.1f} ms", way_out)
    else:
        yield Finding("fsync", "ok", f"takes {seconds * 1e3:,.1f} ms")


def _durable_write(folder: Path) -> float:
    """Seconds that it takes to get a page onto the disk of *folder*. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
        return time.perf_counter() - began


def _room(free: int) -> Finding:
    status: Status = "fail" if free < _TOO_LITTLE else "warn" if free < _LITTLE else "ok"
    way_out = "" if status == "ok" else "make room: a full disk stops trading"
    return Finding("disk", status, f"{free / _GIGABYTE:,.1f} GB free", way_out)


def _journal(state: Path, store: Settings | None) -> Iterator[Finding]:
    if store is not None and _is_behind_a_wrapping(store):
        yield Finding("journal", "ok", "was not opened: what lets us in is in Vault, and its door is wrapped")
        return
    if store is None and not journal_path(state).exists():
        yield Finding("journal", "ok", "there is none yet")
        return
    with ExitStack() as done:
        try:
            journal = journal_in(state) if store is None else opened(store)
            done.callback(journal.dispose)
            runs = all_runs(journal)
        except (NicegoldError, sa.exc.SQLAlchemyError) as error:
            way_out = "mend it" if store else "move it away; the next run begins a new one"
            yield Finding("journal", "fail", in_one_line(error), way_out)
            return
        yield Finding("journal", "ok", f"{len(runs)} runs")
        yield from (_chain(journal, run) for run in runs[-_RUNS:])


def _chain(store: sa.Engine, run: Run) -> Finding:
    try:
        events = sum(1 for _ in read(store, run.run))
    except DataError as error:
        way_out = "restore the journal from a copy: nicegold restore"
        return Finding(f"run {run.run}", "fail", str(error), way_out)
    return Finding(f"run {run.run}", "ok", f"{events:,} records, each block as it was written")
