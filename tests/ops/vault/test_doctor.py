"""`nicegold doctor` says how Vault is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nicegold_ops.vault.health import VaultHealth
from tests.ops.commandline import CONFIGURATION, Shell
from tests.ops.test_secrets import beside_telegram
from tests.ops.vault.conftest import CANARY
from tests.services.openbao import OpenBao
from tests.services.postgresql import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    yield from beside_telegram(tmp_path, monkeypatch, capsys)


def found(shell: Shell, vault: str, reference: str = "vault:kv/nicegold/mt5#password") -> dict[str, Any]:
    """What the doctor finds, by what it is about."""
    telegram = f'[plugins.telegram]\nuse = "telegram:Telegram"\ntoken = "{reference}"\n'
    shell.write("nicegold.toml", f"{vault}\n{CONFIGURATION}\n{telegram}")
    answer = shell("doctor", "--json", "-")
    assert CANARY not in answer.out + answer.err
    return {each["about"]: each for each in answer.json}


def with_token(bao: OpenBao, monkeypatch: pytest.MonkeyPatch, token: str = "") -> str:
    monkeypatch.setenv("NICEGOLD_TOKEN", token or bao.token)
    return f'[vault]\naddress = "{bao.url}"\nauth = "token"\ntoken = "env:NICEGOLD_TOKEN"\n'


def test_a_vault_that_works_is_well_and_its_secrets_can_be_read(bao, shell, monkeypatch):
    told = found(shell, with_token(bao, monkeypatch))

    assert ("ok", f"2.7.2 at {bao.url}") == (told["vault"]["status"], told["vault"]["says"])
    assert ("ok", "1 can be read") == (told["secrets"]["status"], told["secrets"]["says"])


def test_a_vault_that_is_sealed_is_to_be_unsealed(bao, shell, monkeypatch):
    vault = with_token(bao, monkeypatch)
    bao.seal()

    told = found(shell, vault)

    assert ("fail", f"{bao.url} is sealed", "vault operator unseal") == tuple(
        told["vault"][name] for name in ("status", "says", "way_out")
    )
    assert "fail" == told["[plugins.telegram] token"]["status"]


def test_a_vault_that_is_not_there_is_to_be_started(shell, monkeypatch):
    monkeypatch.setenv("NICEGOLD_TOKEN", "x")
    address = f"http://127.0.0.1:{free_port()}"

    told = found(shell, f'[vault]\naddress = "{address}"\nauth = "token"\ntoken = "env:NICEGOLD_TOKEN"\n')

    assert "fail" == told["vault"]["status"]
    assert f"{address} cannot be reached" in told["vault"]["says"]


def test_a_token_that_is_not_valid_is_to_be_replaced(bao, shell, monkeypatch):
    told = found(shell, with_token(bao, monkeypatch, "wrong"))

    assert "ok" == told["vault"]["status"]
    assert "put a new token where [vault] token says" in told["[plugins.telegram] token"]["says"]


def test_a_secret_that_is_missing_is_named(bao, shell, monkeypatch):
    told = found(shell, with_token(bao, monkeypatch), "vault:kv/nicegold/mt5#pin")

    said = told["[plugins.telegram] token"]
    assert ("fail", True) == (said["status"], "there is no such field" in said["says"])


def test_a_wrapped_secret_id_stays_wrapped(bao, shell):
    role_id, _ = bao.app_role("patient", token_policies="trader")
    shell.write("wrapping", bao.wrapped_secret_id("patient")).chmod(0o600)
    vault = (
        f'[vault]\naddress = "{bao.url}"\nauth = "approle"\nrole_id = "{role_id}"\n'
        'secret_id = "file:wrapping"\nwrapped = true\nrole = "patient"\n'
    )

    first, second = (found(shell, vault)["secret_id"] for _ in range(2))
    bao.root.sys.unwrap((shell.folder / "wrapping").read_text())
    opened = found(shell, vault)["secret_id"]

    assert ("ok", "ok", "fail") == (first["status"], second["status"], opened["status"])
    assert opened["says"].startswith("SECURITY: ")


def test_without_vault_the_doctor_says_nothing_of_it(shell, monkeypatch):
    monkeypatch.setenv("TELEGRAM", CANARY)

    told = found(shell, "", "env:TELEGRAM")

    assert "vault" not in told
    assert "ok" == told["secrets"]["status"]


@pytest.mark.parametrize(
    ("version", "is_old"),
    [("1.13.2", True), ("0.11.0", True), ("1.14.0", False), ("1.20.4+ent", False), ("2.7.2", False)],
)
def test_a_version_that_nobody_has_tried_is_old(version, is_old):
    assert is_old == VaultHealth(True, False, version).is_old
