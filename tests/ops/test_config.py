"""What nicegold.toml may say, and what a person is told when it cannot be meant."""

# A message is one line here because it is one line to the user.
# ruff: noqa: E501

from __future__ import annotations

import sys
from datetime import time
from decimal import Decimal
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nicegold import Sessions
from nicegold_ops.config import RunSettings, build, installed, load, parse
from nicegold_ops.errors import ConfigurationError, DataError, HaltedByRisk, NicegoldError, PluginError
from nicegold_ops.installed import brought, find
from nicegold_ops.setting import settings_of
from nicegold_ops.toml import table_to_toml
from nicegold_ops.vault.settings import VaultSettings

ACME = """
from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from nicegold import plugin


class Side(str, Enum):
    LONG = "long"
    SHORT = "short"


@plugin
class Cross:
    instrument: str
    fast: int
    slow: int
    quantity: Decimal
    name: str = "nobody"

    def __post_init__(self):
        if not self.fast < self.slow:
            raise ValueError(f"fast must be below slow: they are {self.fast} and {self.slow}")


@plugin
class Everything:
    version: ClassVar[int] = 3
    whole: int = 1
    ratio: float = 0.5
    truth: bool = False
    text: str = ""
    limit: Decimal | None = None
    path: Path = Path("data/bars.csv")
    order: Literal["first", "last"] = "first"
    side: Side = Side.LONG
    at: time = time(7, 30)
    windows: tuple[int, ...] = (5, 10)
    limits: list[Decimal] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    pair: tuple[str, int] = ("a", 1)
    place: str = ""
    percent: Annotated[int, msgspec.Meta(ge=0, le=100, description="a percentage, 0 to 100")] = 50
    _seen: list[str] = field(init=False, default_factory=list)


@plugin
class Explodes:
    def __post_init__(self):
        raise KeyError("boom")


@plugin
class Memory:
    size: int = 10

    def __post_init__(self):
        self._cells = bytearray(self.size)


@plugin
class Misannotated:
    limit: Decimale


@plugin
class Unreadable:
    limit: Decimal | str


@plugin
class Callback:
    call: Any = print


@dataclass
class NotMarked:
    limit: int = 1


class Derived(Cross):
    extra: int = 1
"""

ENTRY_POINTS = """
[nicegold]
acme_callback = acme_plugins:Callback
acme_cross = acme_plugins:Cross
acme_derived = acme_plugins:Derived
acme_everything = acme_plugins:Everything
acme_explodes = acme_plugins:Explodes
acme_memory = acme_plugins:Memory
acme_exits = acme_exits:Exits
acme_gone = acme_plugins:Gone
acme_misannotated = acme_plugins:Misannotated
acme_not_marked = acme_plugins:NotMarked
acme_unreadable = acme_plugins:Unreadable
"""

BASE = """\
[run]
cash = "100000"

[instruments.XAUUSD]
tick_size = "0.01"

[plugins.cross]
use = "acme_cross"
instrument = "XAUUSD"
fast = 10
slow = 30
quantity = "0.10"
"""

#: As small as can be; what a test is about comes after it, from line 7 on.
SMALL = """\
[run]
cash = 100000

[instruments.XAUUSD]
tick_size = "0.01"

"""


def install(site: Path, name: str, version: str, entry_points: str) -> None:
    """Put a distribution's card into the folder *site*."""
    information = site / f"{name}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (information / "entry_points.txt").write_text(entry_points)


@pytest.fixture(autouse=True, scope="module")
def acme(tmp_path_factory):
    """A distribution of somebody else's, installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "acme_plugins.py").write_text(ACME)
    (site / "acme_exits.py").write_text("raise SystemExit(3)")
    install(site, "acme", "1.2", ENTRY_POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield


@pytest.fixture
def own_path(monkeypatch):
    """What a configuration adds to the import path is gone after the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def message_of(text: str, *overrides: str) -> str:
    """What the user is told about nicegold.toml with this *text*."""
    with pytest.raises(NicegoldError) as refused:
        build(parse(text, "nicegold.toml", overrides))
    return str(refused.value)


def plugin(*lines: str, use: str = "acme_everything") -> str:
    """A configuration with one plugin; its table is in line 7, *lines* begin in line 9."""
    return SMALL + "\n".join(["[plugins.it]", f'use = "{use}"', *lines]) + "\n"


def value_of(setting: str, line: str, *overrides: str) -> object:
    (found,) = parse(plugin(line), "/etc/nicegold/nicegold.toml", overrides).plugins
    return found.values[setting]


# What it means.


def test_a_configuration_becomes_a_run_instruments_and_plugins():
    settings = parse(BASE, "nicegold.toml")

    (cross,) = settings.plugins
    assert Decimal(100000) == settings.run.cash
    assert ("backtest", "USD", 0, "hold") == (
        settings.run.mode,
        settings.run.currency,
        settings.run.seed,
        settings.run.on_halt,
    )
    assert Decimal("0.01") == settings.instruments["XAUUSD"].tick_size
    assert ("cross", "acme_cross", "nicegold.toml:7") == (cross.name, cross.use, cross.place)
    assert {"instrument": "XAUUSD", "fast": 10, "slow": 30, "quantity": Decimal("0.10")} == cross.values


def test_instruments_keep_hours_by_name_and_as_written():
    hours = "Sun 17:00 - Fri 17:00 America/New_York"
    text = SMALL + f'sessions = "gold"\n[instruments.EURUSD]\ntick_size = "0.00001"\nsessions = "{hours}"\n'

    instruments = parse(text, "nicegold.toml").instruments

    assert Sessions.parse("gold") == instruments["XAUUSD"].sessions
    assert Sessions.parse(hours) == instruments["EURUSD"].sessions


def test_plugins_are_built_in_the_order_of_the_file_under_their_names():
    first = BASE[BASE.index("[plugins") :].replace("cross]", "zulu]")
    settings = parse(SMALL + first + first.replace("zulu]", "alpha]"), "nicegold.toml")

    built: dict[str, Any] = build(settings)

    assert ["zulu", "alpha"] == [each.name for each in built.values()]
    assert ["zulu", "alpha"] == list(built)


def test_each_building_makes_instances_of_its_own():
    settings = parse(plugin('limits = ["1"]'), "nicegold.toml")

    first: Any = build(settings)["it"]
    second: Any = build(settings)["it"]
    first.limits.append(Decimal(2))

    assert [Decimal(1)] == second.limits
    assert [Decimal(1)] == settings.plugins[0].values["limits"]


@pytest.mark.parametrize(
    ("setting", "line", "expected"),
    [
        ("whole", "whole = 1_000", 1000),
        ("ratio", "ratio = 0.25", 0.25),
        ("ratio", "ratio = 2", 2.0),
        ("truth", "truth = true", True),
        ("text", "text = 'as it is'", "as it is"),
        ("limit", 'limit = "0.10"', Decimal("0.10")),
        ("limit", "limit = 3", Decimal(3)),
        ("limit", "", None),
        ("path", 'path = "bars.csv"', Path("/etc/nicegold/bars.csv")),
        ("path", 'path = "/data/bars.csv"', Path("/data/bars.csv")),
        ("path", "", Path("/etc/nicegold/data/bars.csv")),
        ("paths", 'paths = {a = "x.csv"}', {"a": Path("/etc/nicegold/x.csv")}),
        ("order", 'order = "last"', "last"),
        ("at", "at = 08:15:00", time(8, 15)),
        ("windows", "windows = [1, 2]", (1, 2)),
        ("limits", 'limits = ["0.5", 1]', [Decimal("0.5"), Decimal(1)]),
        ("names", 'names = ["b", "a"]', frozenset({"a", "b"})),
        ("pair", 'pair = ["b", 2]', ("b", 2)),
    ],
)
def test_values_have_the_type_of_the_field(setting, line, expected):
    found = value_of(setting, line)

    assert (type(expected), expected) == (type(found), found)


def test_an_enumeration_is_written_by_its_values():
    found = value_of("side", 'side = "short"')

    assert ("Side", "short") == (type(found).__name__, found)


def test_paths_may_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/quant")

    found = value_of("path", 'path = "~/bars.csv"')

    assert Path("/home/quant/bars.csv") == found


def test_the_state_folder_is_seen_from_the_file(tmp_path):
    (tmp_path / "nicegold.toml").write_text(SMALL)

    settings = load(tmp_path / "nicegold.toml")

    assert tmp_path / "state" == settings.run.state


def test_a_byte_order_mark_and_windows_line_ends_are_no_obstacle(tmp_path):
    path = tmp_path / "nicegold.toml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())

    settings = load(path)

    assert f"{path}:7" == settings.plugins[0].place


# What comes from the command line.


def test_options_come_after_the_file_and_the_last_one_wins():
    overrides = ["run.mode=paper", "run.cash=5.50", "plugins.cross.fast=1", "plugins.cross.fast = 2"]

    settings = parse(BASE, "nicegold.toml", overrides)

    assert ("paper", Decimal("5.50"), 2) == (
        settings.run.mode,
        settings.run.cash,
        settings.plugins[0].values["fast"],
    )


@pytest.mark.parametrize(
    ("option", "setting", "expected"),
    [
        ("whole=7", "whole", 7),
        ("ratio=0.75", "ratio", 0.75),
        ("truth=true", "truth", True),
        ("text=007", "text", "007"),
        ("text=a=b", "text", "a=b"),
        ('text="quoted"', "text", "quoted"),
        ("limit=0.10", "limit", Decimal("0.10")),
        ("windows=[3, 4]", "windows", (3, 4)),
        ('paths={a = "x.csv"}', "paths", {"a": Path("/etc/nicegold/x.csv")}),
        ("paths.a=x.csv", "paths", {"a": Path("/etc/nicegold/x.csv")}),
    ],
)
def test_options_need_no_quotes_where_the_field_says_what_is_meant(option, setting, expected):
    assert expected == value_of(setting, "", f"plugins.it.{option}")


def test_an_option_can_add_a_plugin():
    overrides = ["plugins.more.use=acme_everything", "plugins.more.whole=5"]

    settings = parse(BASE, "nicegold.toml", overrides)

    assert ["cross", "more"] == [each.name for each in settings.plugins]
    assert 5 == settings.plugins[1].values["whole"]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("plugins.cross.fsat=5", '--set plugins.cross.fsat: [plugins.cross] has no setting "fsat"; did you mean "fast"?'),
        ("plugins.cross.fast=ten", '--set plugins.cross.fast: [plugins.cross] fast is "ten"; it must be a whole number'),
        ("plugins.cross.fast=5.5", '--set plugins.cross.fast: [plugins.cross] fast is "5.5"; it must be a whole number'),
        ("run.mode=papr", '--set run.mode: [run] mode is "papr"; did you mean "paper"?'),
        ("run.state=\udcff", "--set run.state: this is not UTF-8 text"),
        ("run.mode", "--set run.mode: write KEY=VALUE, such as run.mode=paper"),
        ("=5", "--set =5: this is not a key; write one such as plugins.cross.fast"),
        ("#=5", "--set #: this is not a key; write one such as plugins.cross.fast"),
        ("run mode=5", "--set run mode: this is not a key; write one such as plugins.cross.fast"),
        ("run.mode.fast=5", '--set run.mode.fast: mode is "backtest", not a table'),
        ("plugins.cross.fast=[5", "--set plugins.cross.fast: the value is not TOML: Unclosed array"),
        ("plugins.cross=5", '--set plugins.cross: [plugins.cross] is "5"; it must be a table'),
        ('plugins.cross={use = "acme_everything", hole = 5}', '--set plugins.cross: [plugins.cross] has no setting "hole"; did you mean "whole"?'),
        ("plugins.more.use=acme_crss", '--set plugins.more.use: [plugins.more] uses "acme_crss", which is not installed; did you mean "acme_cross"?'),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(option, expected):
    text = BASE.replace("[run]\n", '[run]\nmode = "backtest"\n')

    assert expected == message_of(text, option)


NESTED = [
    "a = " + "[" * 500,
    "a = " + "[" * 60 + "]" * 60,
    ".".join(["a"] * 60) + " = 1",
    "[" + ".".join("a" * 999) + "]",
]


@pytest.mark.parametrize("text", NESTED)
def test_what_is_nested_deeper_than_anybody_means_is_refused(text):
    assert "nicegold.toml: this is not TOML: values are nested more than 50 deep" == message_of(text)


def test_a_setting_that_is_too_large_for_what_is_made_of_it_is_the_settings_fault():
    settings = parse(plugin(f"size = {10**20}", use="acme_memory"), "nicegold.toml")

    with pytest.raises(ConfigurationError, match=r"^nicegold\.toml:7: \[plugins\.it\] cannot fit 'int' into"):
        build(settings)


# What is refused, as the user sees it.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hole = 1", 'nicegold.toml:9: [plugins.it] has no setting "hole"; did you mean "whole"?'),
        ("WHOLE = 1", 'nicegold.toml:9: [plugins.it] has no setting "WHOLE"; did you mean "whole"?'),
        ("# why\n\nhole = 1", 'nicegold.toml:11: [plugins.it] has no setting "hole"; did you mean "whole"?'),
        ('windows = [\n  1, # "]"\n]\nhole = 1', 'nicegold.toml:12: [plugins.it] has no setting "hole"; did you mean "whole"?'),
        ('text = """\n[run]\nhole = 1\n"""\nhole = 1', 'nicegold.toml:13: [plugins.it] has no setting "hole"; did you mean "whole"?'),
        ('"ho\\nle" = 1', 'nicegold.toml:9: [plugins.it] has no setting "ho\\nle"; did you mean "whole"?'),
        ('"ho.le" = 1', 'nicegold.toml:9: [plugins.it] has no setting "ho.le"; did you mean "whole"?'),
        ("hole.much = 1", 'nicegold.toml:9: [plugins.it] has no setting "hole"; did you mean "whole"?'),
        ("[plugins.it.hole]\nmuch = 1", 'nicegold.toml:9: [plugins.it] has no setting "hole"; did you mean "whole"?'),
        ("zzzz = 1", 'nicegold.toml:9: [plugins.it] has no setting "zzzz"; it has use, whole, ratio, truth, text, limit, path, order, side, at, windows, limits, paths, names, pair, place, percent'),
        ('name = "me"', 'nicegold.toml:9: [plugins.it] has no setting "name"; did you mean "names"?'),
        ('whole = "1"', 'nicegold.toml:9: [plugins.it] whole is "1"; it must be a whole number'),
        ("whole = 1.0", "nicegold.toml:9: [plugins.it] whole is 1.0; it must be a whole number"),
        ("whole = true", "nicegold.toml:9: [plugins.it] whole is true; it must be a whole number"),
        ('ratio = "1"', 'nicegold.toml:9: [plugins.it] ratio is "1"; it must be a number'),
        ("ratio = nan", "nicegold.toml:9: [plugins.it] ratio is nan; it must be finite"),
        ("ratio = -inf", "nicegold.toml:9: [plugins.it] ratio is -inf; it must be finite"),
        ("truth = 1", "nicegold.toml:9: [plugins.it] truth is 1; it must be true or false"),
        ("text = 1", "nicegold.toml:9: [plugins.it] text is 1; it must be text"),
        ("limit = 0.10", 'nicegold.toml:9: [plugins.it] limit is 0.10; binary floats are not exact, so write it as a string: "0.10"'),
        ("limit = 1e-2", 'nicegold.toml:9: [plugins.it] limit is 1e-2; binary floats are not exact, so write it as a string: "1e-2"'),
        ('limit = "much"', 'nicegold.toml:9: [plugins.it] limit is "much"; it must be a decimal number in quotes, such as "0.01"'),
        ('limit = "NaN"', 'nicegold.toml:9: [plugins.it] limit is "NaN"; it must be finite'),
        ("limit = inf", 'nicegold.toml:9: [plugins.it] limit is inf; it must be finite'),
        ("path = 5", "nicegold.toml:9: [plugins.it] path is 5; it must be a path"),
        ('order = "frist"', 'nicegold.toml:9: [plugins.it] order is "frist"; did you mean "first"?'),
        ('order = "none"', 'nicegold.toml:9: [plugins.it] order is "none"; it must be "first" or "last"'),
        ("order = 5", 'nicegold.toml:9: [plugins.it] order is 5; it must be "first" or "last"'),
        ('side = "log"', 'nicegold.toml:9: [plugins.it] side is "log"; did you mean "long"?'),
        ("at = 2024-01-01", "nicegold.toml:9: [plugins.it] at is 2024-01-01; it must be a time"),
        ("windows = 5", "nicegold.toml:9: [plugins.it] windows is 5; it must be a list (a whole number each)"),
        ("limits = [0.5, 1]", 'nicegold.toml:9: [plugins.it] limits is [0.5, 1]; binary floats are not exact, so write each as a string: ["0.5", 1]'),
        ("paths = 5", "nicegold.toml:9: [plugins.it] paths is 5; it must be a table (a path each)"),
        ('pair = ["a"]', 'nicegold.toml:9: [plugins.it] pair is ["a"]; it must be a list (text, a whole number)'),
        ("percent = 101", "nicegold.toml:9: [plugins.it] percent is 101; it must be a percentage, 0 to 100"),
        (f"whole = '{'x' * 99}'", f'nicegold.toml:9: [plugins.it] whole is "{"x" * 59}...; it must be a whole number'),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_its_line_and_the_way_out(line, expected):
    assert expected == message_of(plugin(line))


@pytest.mark.parametrize(
    "table",
    [
        '[plugins.it]\nuse = "acme_everything"\nhole = 1',
        "[ plugins . 'it' ] # here\nuse = 'acme_everything'\nhole = 1",
        "[plugins]\nit.use = 'acme_everything'\nit.hole = 1",
        "[plugins]\n\nit = {use = 'acme_everything', hole = 1}",
        "[plugins.it.paths]\n[plugins.it]\nhole = 1\nuse = 'acme_everything'",
        "[plugins.it]\r\nuse = 'acme_everything'\r\nhole = 1\r\n",
        "[plugins.it]\nuse = 'acme_everything'\n\"hole\" = [\n[1],\n'[run]']",
    ],
)
def test_the_line_is_found_however_the_table_is_written(table):
    expected = 'nicegold.toml:9: [plugins.it] has no setting "hole"; did you mean "whole"?'

    assert expected == message_of(SMALL + table)


def test_the_null_of_an_option_is_refused():
    expected = '--set plugins.it.limit: [plugins.it] limit is "null"; leave it out instead'

    assert expected == message_of(plugin(), "plugins.it.limit=null")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("fast = 10", "fsat = 10", 'nicegold.toml:10: [plugins.cross] has no setting "fsat"; did you mean "fast"?'),
        ("fast = 10", "", 'nicegold.toml:7: [plugins.cross] needs "fast", a whole number'),
        ("fast = 10", "fast = 30", "nicegold.toml:7: [plugins.cross] fast must be below slow: they are 30 and 30"),
        ('use = "acme_cross"', 'us = "acme_cross"', 'nicegold.toml:8: [plugins.cross] has no setting "us"; did you mean "use"?'),
        ('use = "acme_cross"', "", 'nicegold.toml:7: [plugins.cross] needs "use", the name of an installed plugin'),
        ('use = "acme_cross"', "use = 5", "nicegold.toml:8: [plugins.cross] use is 5; it must be text"),
        ("acme_cross", "acme_crss", 'nicegold.toml:8: [plugins.cross] uses "acme_crss", which is not installed; did you mean "acme_cross"?'),
        ("acme_cross", "zzzz", 'nicegold.toml:8: [plugins.cross] uses "zzzz", which is not installed; `nicegold plugins` lists what is'),
        ('"XAUUSD"', '"XAUSD"', 'nicegold.toml:9: [plugins.cross] instrument is "XAUSD", which is not configured; did you mean "XAUUSD"?'),
        ('"XAUUSD"', '"GBPJPY"', 'nicegold.toml:9: [plugins.cross] instrument is "GBPJPY", which is not configured; there are XAUUSD'),
        ("[plugins.cross]", "[plugins.engine]", "nicegold.toml:7: [plugins.engine] has the engine's own name; choose another"),
        ("[plugins.cross]", '[plugins."my cross"]', 'nicegold.toml:7: [plugins."my cross"] is no name for a plugin; use letters, digits, - and _'),
        ("[plugins.cross]", "[[plugins.cross]]", 'nicegold.toml:7: [plugins.cross] is [{use = "acme_cross", instrument = "XAUUSD", fast = 10, slow...; it must be a table'),
        ("[plugins.cross]", "[plugin.cross]", "nicegold.toml:7: there is no [plugin]; did you mean [plugins]?"),
        ("[plugins.cross]", "[zzzz]", "nicegold.toml:7: there is no [zzzz]; there are [run], [vault], [instruments], [plugins], [traces], [errors], [elasticsearch], [audit]"),
        ('cash = "100000"', "", 'nicegold.toml:1: [run] needs "cash", a decimal number in quotes, such as "0.01"'),
        ('cash = "100000"', "cash = 100000.0", 'nicegold.toml:2: [run] cash is 100000.0; binary floats are not exact, so write it as a string: "100000.0"'),
        ('cash = "100000"', "cash = 0", "nicegold.toml:1: [run] cash is 0; it must be above 0 and below 1000000000000"),
        ("cash =", 'currency = "usd"\ncash =', 'nicegold.toml:2: [run] currency is "usd"; it must be a currency in capitals, such as "USD"'),
        ("cash =", 'mode = "test"\ncash =', 'nicegold.toml:2: [run] mode is "test"; did you mean "backtest"?'),
        ("cash =", 'mode = "x"\ncash =', 'nicegold.toml:2: [run] mode is "x"; it must be "backtest", "paper", "replay" or "live"'),
        ("cash =", "seed = -1\ncash =", "nicegold.toml:2: [run] seed is -1; it must be a whole number from 0 to 2^63 - 1"),
        ("cash =", "pace = -0.5\ncash =", "nicegold.toml:2: [run] pace is -0.5; it must be a number, 0 or above"),
        ("cash =", "metrics_port = 65536\ncash =", "nicegold.toml:2: [run] metrics_port is 65536; it must be a port, 0 to 65535"),
        ("cash =", "csh =", 'nicegold.toml:2: [run] has no setting "csh"; did you mean "cash"?'),
        ('[run]\ncash = "100000"', "run = 5", "nicegold.toml:1: [run] is 5; it must be a table"),
        ('[run]\ncash = "100000"', "", 'nicegold.toml: [run] needs "cash", a decimal number in quotes, such as "0.01"'),
        ("tick_size =", "tick_sise =", 'nicegold.toml:5: [instruments.XAUUSD] has no setting "tick_sise"; did you mean "tick_size"?'),
        ('tick_size = "0.01"', "tick_size = 0.01", 'nicegold.toml:5: [instruments.XAUUSD] tick_size is 0.01; binary floats are not exact, so write it as a string: "0.01"'),
        ('tick_size = "0.01"', "tick_size = 0", "nicegold.toml:4: [instruments.XAUUSD] tick_size is 0; it must be above 0"),
        ("tick_size", 'symbol = "X"\ntick_size', 'nicegold.toml:5: [instruments.XAUUSD] has no setting "symbol"; it has tick_size, lot_size, quantity_step, currency, margin_rate, swap_long, swap_short, spread, sessions'),
        ("tick_size", "sessions = 5\ntick_size", 'nicegold.toml:5: [instruments.XAUUSD] sessions is 5; it must be hours: gold, fx, always, or such as "Sun 17:00 - Fri 17:00 America/New_York"'),
        ("tick_size", 'sessions = "goldd"\ntick_size', 'nicegold.toml:4: [instruments.XAUUSD] sessions "goldd" are not hours; write always, gold, fx or "Sun 18:00 - Fri 17:00 America/New_York, break 17:00 - 18:00"'),
        ('[instruments.XAUUSD]\ntick_size = "0.01"', "", "nicegold.toml: there is no instrument; add a table such as [instruments.XAUUSD]"),
        ("fast = 10", "fast = 10\nfast = 11", "nicegold.toml:11: this is not TOML: Cannot overwrite a value"),
        ("fast = 10", "fast 10", "nicegold.toml:10: this is not TOML: Expected '=' after a key in a key/value pair"),
        ('quantity = "0.10"\n', 'quantity = """', "nicegold.toml:12: this is not TOML: Unterminated string"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named_with_its_line_and_the_way_out(old, new, expected):
    assert expected == message_of(BASE.replace(old, new, 1) if old != '"XAUUSD"' else BASE.replace(old, new))


def test_all_problems_are_named_at_once_in_the_order_of_their_lines():
    text = BASE.replace("cash", "csh").replace("fast = 10", "fsat = 10").replace('"0.01"', "0.01")

    message = message_of(text, "run.seed=x", "plugins.cross.slwo=5")

    assert [
        'nicegold.toml:2: [run] has no setting "csh"; did you mean "cash"?',
        'nicegold.toml:5: [instruments.XAUUSD] tick_size is 0.01; binary floats are not exact, so write it as a string: "0.01"',
        'nicegold.toml:10: [plugins.cross] has no setting "fsat"; did you mean "fast"?',
        '--set run.seed: [run] seed is "x"; it must be a whole number from 0 to 2^63 - 1',
        '--set plugins.cross.slwo: [plugins.cross] has no setting "slwo"; did you mean "slow"?',
    ] == message.splitlines()


def test_all_plugins_say_at_once_what_they_object_to():
    wrong = BASE[BASE.index("[plugins") :].replace("fast = 10", "fast = 40")
    text = BASE.replace("fast = 10", "fast = 30") + wrong.replace("plugins.cross", "plugins.other")

    message = message_of(text)

    assert [
        "nicegold.toml:7: [plugins.cross] fast must be below slow: they are 30 and 30",
        "nicegold.toml:13: [plugins.other] fast must be below slow: they are 40 and 30",
    ] == message.splitlines()


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "nicegold.toml"

    with pytest.raises(ConfigurationError) as refused:
        load(path)

    assert f"{path}: No such file or directory; name a configuration with --config" == str(refused.value)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "nicegold.toml"
    path.write_bytes(b"[run]\ncurrency = '\xff'\n")

    with pytest.raises(ConfigurationError) as refused:
        load(path)

    assert f"{path}:2: this is not UTF-8 text" == str(refused.value)


# Plugins that cannot run.


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("acme_exits", 'nicegold.toml:8: [plugins.it] uses "acme_exits", which cannot be imported from acme 1.2: SystemExit: 3'),
        ("acme_gone", "nicegold.toml:8: [plugins.it] uses \"acme_gone\", which cannot be imported from acme 1.2: AttributeError: module 'acme_plugins' has no attribute 'Gone'"),
        ("acme_not_marked", 'nicegold.toml:8: [plugins.it] uses "acme_not_marked", which is not a plugin; mark its class with @plugin'),
        ("acme_derived", 'nicegold.toml:8: [plugins.it] uses "acme_derived", which is not a plugin; mark its class with @plugin'),
        ("acme_misannotated", "nicegold.toml:8: [plugins.it] uses \"acme_misannotated\", whose annotations cannot be read: NameError: name 'Decimale' is not defined"),
        ("acme_callback", 'nicegold.toml:8: [plugins.it] uses "acme_callback", whose call is no setting, since TOML cannot hold <built-in function print>; make it a field(init=False)'),
        ("acme_explodes", "nicegold.toml:7: [plugins.it] \"acme_explodes\" cannot be built: KeyError: 'boom'"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_named_with_whose_it_is_and_what_failed(use, expected):
    with pytest.raises(PluginError) as refused:
        build(parse(plugin(use=use), "nicegold.toml"))

    assert expected == str(refused.value)
    assert 5 == refused.value.exit_code


def test_a_setting_of_a_type_that_cannot_be_read_is_the_plugins_fault():
    with pytest.raises(
        PluginError, match=r"^nicegold.toml:9: \[plugins.it\] limit is of a type that cannot be read: "
    ):
        parse(plugin('limit = "1"', use="acme_unreadable"), "nicegold.toml")


def test_a_broken_plugin_beside_a_wrong_setting_is_a_matter_of_configuration():
    with pytest.raises(ConfigurationError) as refused:
        parse(plugin(use="acme_exits").replace("cash", "csh"), "nicegold.toml")

    assert ["nicegold.toml:2", "nicegold.toml:8"] == [line[:15] for line in str(refused.value).splitlines()]
    assert 2 == refused.value.exit_code


def test_a_name_that_two_distributions_bring_is_refused(tmp_path, monkeypatch):
    install(tmp_path, "zenith", "2.0", "[nicegold]\nacme_cross = zenith:Cross\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert (
        'nicegold.toml:8: [plugins.it] uses "acme_cross", which acme 1.2 and zenith 2.0 both bring;'
        ' write "acme_plugins:Cross" for the first'
    ) == message_of(plugin(use="acme_cross"))


# Plugins in a file at hand.

OWN = "from nicegold import plugin\n\n\n@plugin\nclass Mine:\n    fast: int\n"


@pytest.mark.usefixtures("own_path")
def test_a_class_in_a_file_beside_the_configuration_can_be_used(tmp_path):
    (tmp_path / "beside_it.py").write_text(OWN)

    built: dict[str, Any] = build(parse(plugin("fast = 5", use="beside_it:Mine"), tmp_path / "nicegold.toml"))

    assert 5 == built["it"].fast


@pytest.mark.usefixtures("own_path")
def test_a_class_in_a_file_of_the_working_directory_can_be_used(tmp_path, monkeypatch):
    (tmp_path / "in_here.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)

    built: dict[str, Any] = build(
        parse(plugin("fast = 5", use="in_here:Mine"), "/etc/nicegold/nicegold.toml")
    )

    assert 5 == built["it"].fast


@pytest.mark.usefixtures("own_path")
def test_a_file_beside_the_configuration_never_stands_in_for_an_installed_module(tmp_path):
    (tmp_path / "acme_plugins.py").write_text("raise SystemExit")

    built: dict[str, Any] = build(parse(plugin(use="acme_plugins:Everything"), tmp_path / "nicegold.toml"))

    assert 1 == built["it"].whole


@pytest.mark.usefixtures("own_path")
@pytest.mark.parametrize(
    ("use", "source", "expected"),
    [
        ("own_a:Mine", "import not_there", "which cannot be imported: ModuleNotFoundError: No module named 'not_there'"),
        ("own_b:Mine", "x = (", "which cannot be imported: SyntaxError: '(' was never closed (own_b.py, line 1)"),
        ("own_c:Mnie", OWN, 'but own_c has no Mnie; did you mean "Mine"?'),
        ("own_d:Mine", "Mine = 5", "which is not a plugin; mark its class with @plugin"),
        ("own_e:", OWN, 'which names no class; write "package.module:Class"'),
    ],
)  # fmt: skip
def test_a_class_that_cannot_be_used_is_named(use, source, expected, tmp_path):
    (tmp_path / f"{use.partition(':')[0]}.py").write_text(source)

    with pytest.raises(NicegoldError) as refused:
        parse(plugin(use=use), tmp_path / "nicegold.toml")

    assert f'{tmp_path}/nicegold.toml:8: [plugins.it] uses "{use}", {expected}' == str(refused.value)


@pytest.mark.usefixtures("own_path")
def test_a_module_that_is_nowhere_is_a_matter_of_configuration(tmp_path):
    with pytest.raises(ConfigurationError) as refused:
        parse(plugin(use="not_there.strategies:Mine"), tmp_path / "nicegold.toml")

    assert str(refused.value).endswith(
        f"but there is no module not_there in {tmp_path}, in the working directory or installed"
    )


# The text that stands for it all.


def test_the_text_says_everything_in_one_form():
    settings = parse(BASE, "/etc/nicegold/nicegold.toml", ["run.seed=7"])

    assert (
        """\
[run]
mode = "backtest"
cash = "100000"
currency = "USD"
seed = 7
state = "state"
pace = 0.0
on_halt = "hold"
clock_tolerance = 1.0
metrics_host = "127.0.0.1"
metrics_port = 0
log_size = 100.0
log_files = 10

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "1"
quantity_step = "1"
currency = "USD"
margin_rate = "0"
swap_long = "0"
swap_short = "0"
spread = "0"
sessions = "always"

[plugins.cross]
use = "acme_cross"
instrument = "XAUUSD"
fast = 10
slow = 30
quantity = "0.10"
"""
        == settings.text
    )


def test_the_text_keeps_the_hours_that_a_name_means_today():
    settings = parse(SMALL + 'sessions = "GOLD"\n', "nicegold.toml")

    assert 'sessions = "Sun 18:00 - Fri 17:00 America/New_York, break 17:00 - 18:00"\n' in settings.text


def test_the_text_is_the_same_wherever_the_file_is_and_however_it_is_written():
    inline = (
        "run.cash = '100000' # dollars\n"
        "instruments = {XAUUSD = {tick_size = '0.01'}}\n"
        "[plugins]\n"
        "cross = {use = 'acme_cross', quantity = '0.10', slow = 0x1e, fast = 10, instrument = 'XAUUSD'}\n"
    )

    first, second = parse(BASE, "/etc/nicegold.toml"), parse(inline, "/home/quant/x.toml")

    assert first.text == second.text


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
everything = st.fixed_dictionaries(
    {},
    optional={
        "whole": st.integers(-(2**63), 2**63 - 1),
        "ratio": st.floats(allow_nan=False, allow_infinity=False),
        "truth": st.booleans(),
        "text": texts,
        "limit": decimals,
        "path": texts.map(lambda text: f"data/{text}").filter(lambda text: "\0" not in text),
        "order": st.sampled_from(["first", "last"]),
        "windows": st.lists(st.integers(0, 9), max_size=3),
        "limits": st.lists(decimals, max_size=3),
        "paths": st.dictionaries(texts, st.just("x.csv"), max_size=3),
        "names": st.lists(texts, max_size=3),
    },
)


@given(everything)
def test_the_text_read_again_means_the_same(values):
    written = SMALL + table_to_toml(("plugins", "it"), {"use": "acme_everything", **values})
    first = parse(written, "nicegold.toml")

    again = parse(first.text, "nicegold.toml")

    assert first.text == again.text
    assert first.plugins[0].values == again.plugins[0].values
    assert (first.run, first.instruments) == (again.run, again.instruments)


# Whatever is misspelt.

ALL_KEYS = parse(SMALL + 'sessions = "gold"\n', "nicegold.toml").text


@st.composite
def misspelt(draw, word):
    """*word* after one slip of the fingers."""
    at = draw(st.integers(0, len(word) - 1))
    letter = draw(st.sampled_from(ascii_lowercase + "_"))
    slips = [
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :],
    ]
    slip = draw(st.sampled_from(slips))
    assume(slip != word)
    return slip


@given(st.data())
def test_any_key_that_is_misspelt_by_one_slip_is_refused_with_a_suggestion(data):
    lines = parse(BASE, "nicegold.toml").text.splitlines()
    keys = {number: line.partition(" =")[0] for number, line in enumerate(lines) if " =" in line}
    number = data.draw(st.sampled_from(sorted(keys)))
    slip = data.draw(misspelt(keys[number]))
    assume(slip not in keys.values())
    lines[number] = lines[number].replace(keys[number], slip, 1)

    message = message_of("\n".join(lines))

    (problem,) = message.splitlines()
    start, _, suggestion = problem.partition("; did you mean ")
    assert start.startswith(f"nicegold.toml:{number + 1}: [")
    assert start.endswith(f'] has no setting "{slip}"')
    assert suggestion.strip('"?') in keys.values()


# Ours.


OURS = sorted(name for name, entry in installed().items() if entry.module.startswith("nicegold_plugins."))


def undocumented(cls: type) -> list[str]:
    """The settings that the docstring of *cls* does not speak of, as *setting*."""
    return [name for name in settings_of(cls) if f"*{name}*" not in (cls.__doc__ or "")]


@pytest.mark.parametrize("name", OURS)
def test_each_setting_of_our_plugins_can_be_read_and_is_documented(name):
    plugin_class = find(name, brought(), Path())

    assert [] == undocumented(plugin_class)


@pytest.mark.parametrize("table", [RunSettings, VaultSettings])
def test_each_setting_of_a_table_of_ours_is_documented(table):
    assert [] == undocumented(table)


def documented(language: str) -> str:
    """The block of docs/configure.md in this *language*."""
    page = (Path(__file__).parents[2] / "docs/configure.md").read_text("utf-8")
    _, _, rest = page.partition(f"```{language}\n")
    return rest.partition("```")[0]


def test_the_configuration_in_the_docs_can_be_built():
    built = build(parse(documented("toml"), "nicegold.toml"))

    assert ["gold", "cross", "limit", "venue"] == list(built)


def test_the_mistakes_in_the_docs_are_told_as_the_docs_say():
    text = documented("toml").replace("lot_size", "lotsize").replace("fast", "fsat")

    assert documented("text").strip() == message_of(text)


# How a script is told.


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (NicegoldError, 1),
        (ConfigurationError, 2),
        (DataError, 3),
        (HaltedByRisk, 4),
        (PluginError, 5),
    ],
)
def test_exit_codes_are_stable(kind, code):
    assert code == kind.exit_code


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ('transit_key = "nicegold-audit"', ("nicegold-audit", None)),
        ('signing_key = "file:/etc/nicegold/audit.pem"', (None, "file:/etc/nicegold/audit.pem")),
    ],
)
def test_checkpoints_are_signed_by_a_key_that_is_in_vault_or_in_a_file(key, expected):
    audit = parse(f"{BASE}\n[audit]\n{key}\n", "nicegold.toml").audit

    assert audit is not None
    assert expected == (audit.transit_key, audit.signing_key)


def test_a_key_in_vault_has_a_name_of_letters_and_digits():
    text = f'{BASE}\n[audit]\ntransit_key = "my key"\n'

    with pytest.raises(ConfigurationError, match=r"\[audit\] transit_key .*a key's name, such as"):
        parse(text, "nicegold.toml")
