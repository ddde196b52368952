"""nicegold.toml, read and checked against the fields of what it configures.

All problems of a file are found in one reading; each names the thing, the place and the way out.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec

from nicegold import Instrument, Secret, Sessions
from nicegold.host import ENGINE, installed
from nicegold.sessions import NAMED
from nicegold_ops.audit.settings import AuditSettings
from nicegold_ops.errors import ConfigurationError, NicegoldError, PluginError, in_one_line
from nicegold_ops.installed import brought, find
from nicegold_ops.reference import Reference
from nicegold_ops.setting import Setting, settings_of, shown, words
from nicegold_ops.ship.settings import ElasticsearchSettings
from nicegold_ops.suggest import did_you_mean, nearest
from nicegold_ops.telemetry.settings import ErrorSettings, TraceSettings
from nicegold_ops.toml import Document, Key, Place, key_to_toml, table_to_toml, to_toml
from nicegold_ops.vault.settings import VaultSettings

__all__ = ["PluginSettings", "RunSettings", "Settings", "build", "installed", "load", "parse"]

Made = TypeVar("Made")
#: The secret that a reference leads to. Raises NicegoldError that goes on after the setting's name.
Resolve: TypeAlias = Callable[[Reference], Secret]

#: With more, cents would get lost in the sums.
_TOO_MUCH = Decimal(10) ** 12
_PLUGIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_Moment: TypeAlias = Annotated[
    datetime,
    msgspec.Meta(tz=True, description="a date and time with its zone, such as 2026-01-05T00:00:00Z"),
]

_Role: TypeAlias = Annotated[
    str,
    msgspec.Meta(pattern=r"^[^/#\s]+/[^/#\s]+$", description='a mount and a role, such as "database/gold"'),
]


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run starts with.

    *mode* is where the market and the fills come from. *cash* is what the account starts with, in
    *currency*. *seed* is where all randomness starts. *state* is the folder of what runs
    leave, seen from the configuration's own; the journal is there too, unless *store* is the URL of a
    PostgreSQL database. Its user's password is *store_password*; or *store_role*, such as "database/gold",
    is the role for which Vault's database engine, mounted there, makes a user and a password.

    Market events that are known before *start*, or from *end* on, are left out. *pace* is market
    events a second in paper mode; 0 is as fast as they come. *on_halt* says
    whether a halt leaves positions as they are (hold) or closes them (flatten). A venue's clock may differ
    from ours by *clock_tolerance* seconds; beyond, nothing new is sent. Metrics and health
    are served on *metrics_host* and *metrics_port*; port 0 is any free one. A log of *log_size* MB is
    renamed, and *log_files* such are kept.
    """

    mode: Literal["backtest", "paper", "replay", "live"] = "backtest"
    cash: Decimal
    currency: Annotated[
        str, msgspec.Meta(pattern="^[A-Z]{3,5}$", description='a currency in capitals, such as "USD"')
    ] = "USD"
    seed: Annotated[
        int, msgspec.Meta(ge=0, le=2**63 - 1, description="a whole number from 0 to 2^63 - 1")
    ] = 0
    state: Path = Path("state")
    store: str | None = None
    store_password: Reference | None = None
    store_role: _Role | None = None
    start: _Moment | None = None
    end: _Moment | None = None
    pace: Annotated[float, msgspec.Meta(ge=0, description="a number, 0 or above")] = 0.0
    on_halt: Literal["hold", "flatten"] = "hold"
    clock_tolerance: Annotated[
        float, msgspec.Meta(gt=0, le=86400, description="seconds, above 0 and at most a day")
    ] = 1.0
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535, description="a port, 0 to 65535")] = 0
    log_size: Annotated[float, msgspec.Meta(ge=0.01, description="MB, 0.01 or above")] = 100.0
    log_files: Annotated[int, msgspec.Meta(ge=1, description="a whole number, 1 or above")] = 10

    def __post_init__(self) -> None:
        if not 0 < self.cash < _TOO_MUCH:
            raise ValueError(f"cash is {self.cash}; it must be above 0 and below {_TOO_MUCH}")
        if self.start is not None and self.end is not None and not self.start < self.end:
            raise ValueError(f"start is {self.start.isoformat()}; it must be before end")
        if self.store is not None:
            _refuse_as_store(self.store)
        _refuse_login(self.store, self.store_password, self.store_role)


def _refuse_login(store: str | None, password: Reference | None, role: str | None) -> None:
    if password is not None and role is not None:
        raise ValueError("has both store_password and store_role; the role has a password of its own")
    for name, said in (("store_password", password), ("store_role", role)):
        if said is not None and store is None:
            raise ValueError(f"{name} is for a database; name it with store")


def _refuse_as_store(url: str) -> None:
    # All of SQLAlchemy for one text: only where there is one.
    from nicegold_ops.store.place import url_of

    try:
        url_of(url)
    except ValueError as error:
        raise ValueError(f"store {error}") from None


class PluginSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that is to run: under which *name*, of which class, with which *values*.

    *values* hold every setting, also those that were left to their defaults; of a secret, where it is.
    *place* is where its table was written.
    """

    name: str
    use: str
    values: dict[str, Any]
    place: str
    plugin: type


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that has been checked.

    *text* says the same as the files and options that it came from, defaults included and always
    in the same form; paths in it are as they were written.
    """

    run: RunSettings
    instruments: dict[str, Instrument]
    plugins: tuple[PluginSettings, ...]
    text: str
    vault: VaultSettings | None = None
    traces: TraceSettings | None = None
    errors: ErrorSettings | None = None
    elasticsearch: ElasticsearchSettings | None = None
    audit: AuditSettings | None = None


def load(path: Path | str, overrides: Iterable[str] = ()) -> Settings:
    """Read the file *path*; *overrides* such as ``plugins.cross.fast=5`` come after it, in order.

    Paths in it are seen from its folder. Raises ConfigurationError that names every problem, or
    PluginError if a plugin that it uses is broken.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path}:{line}: this is not UTF-8 text") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a configuration with --config") from None
    return parse(text, path, overrides)


def parse(text: str, path: Path | str, overrides: Iterable[str] = ()) -> Settings:
    """Read *text* as if it were the file *path*; see `load`."""
    document = Document.parse(str(path), text)
    for number, option in enumerate(overrides):
        document = document.with_option(number, option)
    return _Reading(document, Path(path).absolute().parent).settings()


def withheld(reference: Reference) -> Secret:
    """In place of a secret where nothing is going to run."""
    return Secret.withheld(
        f"{reference} is not read here: only a run has secrets, and from startup() on, not while it is built"
    )


def build(settings: Settings, resolve: Resolve = withheld) -> dict[str, object]:
    """A new instance of each plugin, by name, in the order of the configuration.

    *resolve* says what its secrets are. Raises ConfigurationError that says what the plugins object to in
    their settings, PluginError if one fails in another way, or what *resolve* raises.
    """
    problems: list[_Problem] = []
    built: dict[str, object] = {}
    for number, plugin in enumerate(settings.plugins):
        place = Place((0, number), plugin.place)
        values, unresolved = _resolved(plugin, resolve)
        problems += [_Problem(place, str(error), type(error)) for error in unresolved]
        if not unresolved:
            try:
                built[plugin.name] = _instance(plugin, values)
            except NicegoldError as error:
                problems.append(_Problem(place, str(error), type(error)))
    if problems:
        raise _error(problems)
    return built


def _resolved(plugin: PluginSettings, resolve: Resolve) -> tuple[dict[str, Any], list[NicegoldError]]:
    """The values of *plugin* with its secrets, and what is wrong with those that cannot be had."""
    # A copy: an instance that changes its list must not change what the next one is built with.
    values, problems = copy.deepcopy(plugin.values), list[NicegoldError]()
    for name, value in plugin.values.items():
        if isinstance(value, Reference):
            try:
                values[name] = resolve(value)
            except NicegoldError as error:
                problems.append(type(error)(f"{_title(('plugins', plugin.name))} {name}: {error}"))
    return values, problems


def _instance(plugin: PluginSettings, values: dict[str, Any]) -> object:
    title = _title(("plugins", plugin.name))
    takes_name = any(field.init and field.name == "name" for field in fields(plugin.plugin))
    name = {"name": plugin.name} if takes_name else {}
    try:
        return plugin.plugin(**values, **name)
    # Numbers that are too large for what is made of them are the settings' fault too.
    except (ValueError, ArithmeticError) as error:
        said = in_one_line(error).removeprefix(f"{type(error).__name__}: ")
        raise ConfigurationError(f"{title} {said}") from None
    except (Exception, SystemExit) as error:
        raise PluginError(f'{title} "{plugin.use}" cannot be built: {in_one_line(error)}') from None


class _Problem(msgspec.Struct, frozen=True):
    place: Place
    text: str
    kind: type[NicegoldError] = ConfigurationError


def _error(problems: list[_Problem]) -> NicegoldError:
    """All *problems* in one; it is the plugins' fault only if nothing else is wrong."""
    ordered = sorted(problems, key=lambda problem: problem.place)
    message = "\n".join(f"{problem.place.text}: {problem.text}" for problem in ordered)
    kinds = {problem.kind for problem in problems}
    return kinds.pop()(message) if len(kinds) == 1 else ConfigurationError(message)


class _Reading:
    """One reading of a *document*: what is wrong with it is noted, and raised at the end."""

    def __init__(self, document: Document, folder: Path) -> None:
        self._document = document
        self._folder = folder
        self._entries = brought()
        self._problems: list[_Problem] = []
        #: The tables of the canonical text.
        self._written: list[str] = []

    def settings(self) -> Settings:
        """The whole. Raises what was noted on the way."""
        self._refuse_unknown_tables()
        run, vault = self._run(), self._optional("vault", VaultSettings)
        if run is not None and run.store_role is not None and "vault" not in self._document.tables:
            self._note(
                ("run", "store_role"), "[run] store_role is in Vault; add a table [vault] that says where"
            )
        instruments = {key[-1]: self._instrument(key) for key in self._tables_of("instruments")}
        if not instruments:
            self._note((), "there is no instrument; add a table such as [instruments.XAUUSD]")
        plugins = [self._plugin(key, instruments) for key in self._tables_of("plugins")]
        traces = self._optional("traces", TraceSettings)
        errors = self._optional("errors", ErrorSettings)
        elasticsearch = self._optional("elasticsearch", ElasticsearchSettings)
        audit = self._optional("audit", AuditSettings)
        if self._problems or run is None:
            raise _error(self._problems)
        return Settings(
            run=run,
            instruments={name: found for name, found in instruments.items() if found is not None},
            plugins=tuple(found for found in plugins if found is not None),
            text="\n".join(self._written),
            vault=vault,
            traces=traces,
            errors=errors,
            elasticsearch=elasticsearch,
            audit=audit,
        )

    # What there is to read.

    def _run(self) -> RunSettings | None:
        key = ("run",)
        values = self._values(key, settings_of(RunSettings))
        return None if values is None else self._made(key, values, RunSettings)

    def _optional(self, name: str, kind: type[Made]) -> Made | None:
        """The table *name*, None where it is not there."""
        if name not in self._document.tables:
            return None
        values = self._values((name,), settings_of(kind))
        return None if values is None else self._made((name,), values, kind)

    def _instrument(self, key: Key) -> Instrument | None:
        values = self._values(key, instrument_settings())
        if values is None:
            return None
        # A name may come to mean other hours; what this configuration means must not change.
        hours = values["sessions"]
        values["sessions"] = NAMED.get(hours.lower(), hours) or "always"
        return self._made(key, values, partial(_instrument, key[-1]))

    def _plugin(self, key: Key, instruments: Collection[str]) -> PluginSettings | None:
        self._refuse_name(key)
        use = self._use(key)
        if use is None:
            return None
        try:
            plugin = find(use, self._entries, self._folder)
            settings = settings_of(plugin)
        except NicegoldError as error:
            self._note((*key, "use"), f"{_title(key)} uses {to_toml(use)}, {error}", type(error))
            return None
        values = self._values(key, {"use": _USE, **settings})
        if values is None:
            return None
        self._refuse_unknown_instrument(key, values, instruments)
        place = self._document.place(key).text
        return self._made(key, values, partial(_plugin_settings, key[-1], place, plugin))

    def _use(self, key: Key) -> str | None:
        table = self._table(key)
        if table is None:
            return None
        if "use" in table:
            use: str | None = self._value(key, _USE, table["use"])
            return use
        near = nearest("use", table)
        if near is None:
            self._note(key, f'{_title(key)} needs "use", the name of an installed plugin')
        else:
            self._note((*key, near), f'{_title(key)} has no setting {to_toml(near)}; did you mean "use"?')
        return None

    # How it is read.

    def _table(self, key: Key) -> dict[str, Any] | None:
        """The table at *key*: empty if there is none, None if something else is there."""
        found: Any = self._document.tables
        for name in key:
            found = found.get(name, {})
        if isinstance(found, dict):
            return found
        self._note(key, f"{_title(key)} is {shown(found)}; it must be a table")
        return None

    def _tables_of(self, name: str) -> list[Key]:
        return [(name, inner) for inner in self._table((name,)) or ()]

    def _values(self, key: Key, settings: dict[str, Setting]) -> dict[str, Any] | None:
        """All *settings* as the table at *key* has them, or their defaults; None if any is wrong."""
        table = self._table(key)
        if table is None:
            return None
        known = len(self._problems)
        self._refuse_unknown(key, table, settings)
        values = {
            name: self._value(key, setting, table[name]) if name in table else setting.default
            for name, setting in settings.items()
        }
        return values if len(self._problems) == known else None

    def _value(self, key: Key, setting: Setting, value: Any) -> Any:
        try:
            read = setting.read(value)
        except NicegoldError as error:
            self._note((*key, setting.name), f"{_title(key)} {error}", type(error))
            return None
        if isinstance(read, Reference):
            self._refuse_nowhere((*key, setting.name), read)
        return read

    def _made(self, key: Key, values: dict[str, Any], make: Callable[..., Made]) -> Made | None:
        self._written.append(table_to_toml(key, values))
        try:
            return make(**_seen_from(self._folder, values))
        except ValueError as error:
            self._note(key, f"{_title(key)} {error}")
            return None

    # What is refused.

    def _note(self, key: Key, text: str, kind: type[NicegoldError] = ConfigurationError) -> None:
        self._problems.append(_Problem(self._document.place(key), text, kind))

    def _refuse_unknown_tables(self) -> None:
        for name in self._document.tables:
            if name not in _TABLES:
                near = nearest(name, _TABLES)
                hint = f"did you mean [{near}]?" if near else f"there are [{'], ['.join(_TABLES)}]"
                self._note((name,), f"there is no {_title((name,))}; {hint}")

    def _refuse_unknown(self, key: Key, table: Collection[str], settings: dict[str, Setting]) -> None:
        meant = {nearest(name, settings) for name in table if name not in settings}
        for name in table:
            if name not in settings:
                hint = did_you_mean(name, settings) or f"; it has {', '.join(settings)}"
                self._note((*key, name), f"{_title(key)} has no setting {to_toml(name)}{hint}")
        for name, setting in settings.items():
            if setting.is_required and name not in table and name not in meant:
                self._note(key, f'{_title(key)} needs "{name}", {words(setting.kind)}')

    def _refuse_nowhere(self, key: Key, reference: Reference) -> None:
        if reference.scheme != "vault":
            return
        if key[0] == "vault":
            self._note(
                key, f'{_title(key[:-1])} {key[-1]} is what opens Vault; say "env:NAME" or "file:PATH"'
            )
        elif "vault" not in self._document.tables:
            self._note(
                key, f"{_title(key[:-1])} {key[-1]} is in Vault; add a table [vault] that says where that is"
            )

    def _refuse_name(self, key: Key) -> None:
        if not _PLUGIN_NAME.fullmatch(key[-1]):
            self._note(key, f"{_title(key)} is no name for a plugin; use letters, digits, - and _")
        elif key[-1] == ENGINE:
            self._note(key, f"{_title(key)} has the engine's own name; choose another")

    def _refuse_unknown_instrument(
        self, key: Key, values: dict[str, Any], instruments: Collection[str]
    ) -> None:
        symbol = values.get("instrument")
        if instruments and isinstance(symbol, str) and symbol and symbol not in instruments:
            hint = did_you_mean(symbol, instruments) or f"; there are {', '.join(instruments)}"
            place = (*key, "instrument")
            self._note(place, f"{_title(key)} instrument is {shown(symbol)}, which is not configured{hint}")


_TABLES = ("run", "vault", "instruments", "plugins", "traces", "errors", "elasticsearch", "audit")
_USE = Setting("use", str)
_HOURS = Annotated[
    str,
    msgspec.Meta(description='hours: gold, fx, always, or such as "Sun 17:00 - Fri 17:00 America/New_York"'),
]


def instrument_settings() -> dict[str, Setting]:
    """What can be set of an instrument; its symbol is the name of its table."""
    settings = settings_of(Instrument)
    del settings["symbol"]
    return {**settings, "sessions": Setting("sessions", _HOURS, "always")}


def _instrument(symbol: str, /, *, sessions: str, **values: Any) -> Instrument:
    try:
        return Instrument(symbol=symbol, sessions=Sessions.parse(sessions), **values)
    except ValueError as error:
        raise ValueError(str(error).removeprefix(f"instrument {symbol}: ")) from None


# The / lets a plugin have a setting that is called "place".
def _plugin_settings(name: str, place: str, plugin: type, /, *, use: str, **values: Any) -> PluginSettings:
    return PluginSettings(name=name, use=use, values=values, place=place, plugin=plugin)


def _title(key: Key) -> str:
    return f"[{key_to_toml(*key)}]"


def _seen_from(folder: Path, value: Any) -> Any:
    """*value* with its paths made absolute; ``~`` is the home directory."""
    match value:
        case Reference():
            return value.seen_from(folder)
        case Path():
            return Path(os.path.normpath(folder / os.path.expanduser(value)))
        case list() | tuple():
            return type(value)(_seen_from(folder, item) for item in value)
        case dict():
            return {name: _seen_from(folder, item) for name, item in value.items()}
        case _:
            return value
