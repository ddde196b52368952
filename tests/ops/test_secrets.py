"""Secrets are referred to, read when a run is built, and on record nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nicegold import Secret
from nicegold_ops.config import build, parse
from nicegold_ops.errors import ConfigurationError, PluginError
from nicegold_ops.reference import Reference
from nicegold_ops.secrets import LONGEST, Local
from nicegold_ops.vault.settings import VaultSettings
from tests.ops.commandline import CONFIGURATION, Shell, market_in

CANARY = "canary-5b1c"
TELEGRAM = """
from dataclasses import field

from nicegold import Alert, Secret, hookimpl, plugin


@plugin
class Telegram:
    token: Secret
    chat: str = "gold"
    backup: Secret | None = None

    @hookimpl
    def startup(self) -> None:
        self.told = self.token.reveal()[:0]

    @hookimpl
    def notify(self, alert: Alert) -> None:
        pass


@plugin
class Silent:
    token: Secret

    @hookimpl
    def notify(self, alert: Alert) -> None:
        pass


@plugin
class Nested:
    tokens: list[Secret]


@plugin
class Defaulted:
    token: Secret = field(default_factory=lambda: Secret("canary-5b1c"))


@plugin
class Telling:
    token: Secret

    def __post_init__(self):
        raise ValueError(self.token)
"""
VAULT = '[vault]\naddress = "https://vault:8200"\nauth = "token"\ntoken = "env:VAULT_TOKEN"\n'


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    yield from beside_telegram(tmp_path, monkeypatch, capsys)


def beside_telegram(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    """A shell in *folder*, where there are a market and TELEGRAM's plugins."""
    market_in(folder)
    (folder / "telegram.py").write_text(TELEGRAM)
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "telegram", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield Shell(folder, capsys)
    sys.modules.pop("telegram", None)


def with_telegram(said: str, use: str = "Telegram", before: str = "") -> str:
    return f'{before}{CONFIGURATION}\n[plugins.telegram]\nuse = "telegram:{use}"\n{said}\n'


def refused(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "nicegold.toml", overrides)
    return str(caught.value)


# What is written.


@pytest.mark.parametrize(
    "text",
    ["env:TELEGRAM_TOKEN", "file:/run/secrets/telegram", "file:~/token", "vault:kv/nicegold/telegram#token"],
)
def test_a_reference_is_written_in_place_of_a_secret(shell, text):
    settings = parse(with_telegram(f'token = "{text}"', before=VAULT), shell.folder / "nicegold.toml")

    assert f'token = "{text}"' in settings.text
    assert isinstance(settings.plugins[-1].values["token"], Reference)


@pytest.mark.parametrize(
    "said",
    [
        f'"{CANARY}"',
        f'"{CANARY}:x"',
        f'["{CANARY}"]',
        f'{{a = "{CANARY}"}}',
        f'"env:{CANARY}"',
        f'"vault:{CANARY}"',
        f'"vault:kv/../{CANARY}#x"',
    ],
)
def test_a_secret_itself_is_refused_and_not_repeated(shell, said):
    told = refused(with_telegram(f"token = {said}"))

    assert "[plugins.telegram] token " in told
    assert '"vault:MOUNT/PATH#FIELD", "env:NAME" or "file:PATH"' in told
    assert CANARY not in told


@pytest.mark.parametrize("option", [CANARY, f'"{CANARY}', f'["{CANARY}"]'])
def test_a_secret_on_the_command_line_is_not_repeated(shell, option):
    told = refused(with_telegram('token = "env:X"'), f"plugins.telegram.token={option}")

    assert told.startswith("--set plugins.telegram.token: ")
    assert CANARY not in told


def test_what_is_missing_is_said_with_how_to_write_it(shell):
    assert 'needs "token", where the secret is: "vault:MOUNT/PATH#FIELD"' in refused(with_telegram(""))


@pytest.mark.parametrize(
    ("use", "words"), [("Nested", "tokens holds a secret among other things"), ("Defaulted", "token is")]
)
def test_a_plugin_whose_secret_could_be_in_the_file_or_the_code_is_refused(shell, use, words):
    with pytest.raises(PluginError, match=words) as caught:
        parse(with_telegram("", use), "nicegold.toml")

    assert CANARY not in str(caught.value)


def test_a_secret_in_vault_needs_to_know_where_that_is(shell):
    told = refused(with_telegram('token = "vault:kv/a#b"'))

    assert "[plugins.telegram] token is in Vault; add a table [vault]" in told


def test_what_opens_vault_is_not_in_it(shell):
    told = refused(with_telegram("", before=VAULT.replace("env:VAULT_TOKEN", "vault:kv/a#b")))

    assert '[vault] token is what opens Vault; say "env:NAME" or "file:PATH"' in told


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": "http://vault.example.com:8200"}, "address is not https"),
        (
            {"address": "https://me:canary-5b1c@vault:8200"},
            "address must be a host and a port, and nothing else",
        ),
        ({"address": "vault:8200"}, "address must be such as https"),
        ({"token": None}, 'needs "token" for auth = "token"'),
        ({"role_id": "x"}, 'role_id means nothing for auth = "token"'),
        ({"auth": "kubernetes", "token": None}, 'needs "role" for auth = "kubernetes"'),
        (
            {
                "auth": "approle",
                "token": None,
                "role_id": "x",
                "secret_id": Reference("env:X"),
                "wrapped": True,
            },
            "takes wrapped and role together",
        ),
    ],
)
def test_a_table_of_vault_that_cannot_be_meant_is_refused(settings, words):
    meant = {"address": "https://vault:8200", "auth": "token", "token": Reference("env:X")}

    with pytest.raises(ValueError, match=words) as caught:
        VaultSettings(**{**meant, **settings})

    assert CANARY not in str(caught.value)


# What they lead to.


def test_a_variable_of_the_environment_is_a_secret():
    assert CANARY == Local({"TOKEN": CANARY}).resolve(Reference("env:TOKEN")).reveal()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_end_of_a_files_line_is_no_part_of_its_secret(tmp_path, ending):
    file = tmp_path / "token"
    file.write_bytes(f" {CANARY} {ending}".encode())

    assert f" {CANARY} " == Local({}).resolve(Reference(f"file:{file}")).reveal()


@pytest.mark.parametrize(
    ("mode", "is_warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)]
)
def test_a_file_that_others_may_use_is_warned_of(tmp_path, mode, is_warned):
    warned: list[str] = []
    file = tmp_path / "token"
    file.write_text(CANARY)
    file.chmod(mode)

    Local({}, lambda text, **_: warned.append(text)).resolve(Reference(f"file:{file}"))

    assert is_warned == any("chmod 600" in text for text in warned)
    assert CANARY not in str(warned)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"x" * (LONGEST + 1), "is longer than"),
        (b"canary-5b1c\xff", "is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_secret_is_named(tmp_path, content, words):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigurationError, match=words) as caught:
        Local({}, lambda text, **_: None).resolve(Reference(f"file:{file}"))

    assert f"file:{file}: " in str(caught.value)
    assert CANARY not in str(caught.value)


def test_all_secrets_that_cannot_be_had_are_named_at_once(shell):
    settings = parse(with_telegram('token = "env:ONE"\nbackup = "file:two"'), shell.folder / "nicegold.toml")

    with pytest.raises(ConfigurationError) as caught:
        build(settings, Local({}).resolve)

    one, two = str(caught.value).splitlines()
    assert "nicegold.toml:36: [plugins.telegram] token: env:ONE: the variable is not set; export it" in one
    assert f"[plugins.telegram] backup: file:{shell.folder}/two: No such file or directory; put" in two


def test_a_plugin_gets_the_secret_itself(shell):
    settings = parse(with_telegram('token = "env:ONE"'), shell.folder / "nicegold.toml")

    plugin: Any = build(settings, Local({"ONE": CANARY}).resolve)["telegram"]

    assert Secret(CANARY) == plugin.token
    assert plugin.backup is None


def test_a_plugin_that_raises_its_secret_does_not_show_it(shell):
    settings = parse(with_telegram('token = "env:ONE"', "Telling"), shell.folder / "nicegold.toml")

    with pytest.raises(ConfigurationError, match="Secret") as caught:
        build(settings, Local({"ONE": CANARY}).resolve)

    assert CANARY not in str(caught.value)


# What a run leaves.


def test_check_reads_no_secret(shell, monkeypatch):
    monkeypatch.delenv("TELEGRAM_TOKEN", raising=False)
    shell.write("nicegold.toml", with_telegram('token = "env:TELEGRAM_TOKEN"'))

    answer = shell("check", "--json", "-")

    assert 0 == answer.code, answer.err
    assert "env:TELEGRAM_TOKEN" == answer.json["plugins"][-1]["settings"]["token"]


def test_a_run_without_its_secret_does_not_begin(shell, monkeypatch):
    monkeypatch.delenv("TELEGRAM_TOKEN", raising=False)
    shell.write("nicegold.toml", with_telegram('token = "env:TELEGRAM_TOKEN"'))

    answer = shell("backtest")

    assert 2 == answer.code
    assert "[plugins.telegram] token: env:TELEGRAM_TOKEN: the variable is not set" in answer.err


def test_a_run_leaves_the_reference_and_never_the_secret(shell, monkeypatch):
    monkeypatch.setenv("TELEGRAM_TOKEN", CANARY)
    shell.write("nicegold.toml", with_telegram('token = "env:TELEGRAM_TOKEN"'))

    ran = shell("backtest", "--report", "page.html", "--json", "result.json")
    replayed = shell("replay")

    assert (0, 0) == (ran.code, replayed.code), ran.err + replayed.err
    left = {path: path.read_bytes() for path in shell.folder.rglob("*") if path.is_file()}
    with_reference = {path.name for path, content in left.items() if b"env:TELEGRAM_TOKEN" in content}
    assert {"journal.sqlite", "page.html", "result.json"} <= with_reference
    assert [] == [
        path for path, content in left.items() if CANARY.encode() in content and path.name != "telegram.py"
    ]
    assert CANARY not in ran.out + ran.err + replayed.out + replayed.err


def test_a_replay_does_without_a_secret_that_nobody_asks_for(shell, monkeypatch):
    monkeypatch.setenv("TELEGRAM_TOKEN", CANARY)
    shell.write("nicegold.toml", with_telegram('token = "env:TELEGRAM_TOKEN"', "Silent"))
    shell("backtest")
    monkeypatch.delenv("TELEGRAM_TOKEN")

    assert 0 == shell("replay").code


def test_a_replay_says_which_secret_it_was_asked_for(shell, monkeypatch):
    monkeypatch.setenv("TELEGRAM_TOKEN", CANARY)
    shell.write("nicegold.toml", with_telegram('token = "env:TELEGRAM_TOKEN"'))
    shell("backtest")
    monkeypatch.delenv("TELEGRAM_TOKEN")

    replayed = shell("replay")

    assert 5 == replayed.code
    assert (
        "telegram did not start: failed: ValueError: env:TELEGRAM_TOKEN: the variable is not set"
        in replayed.err
    )
