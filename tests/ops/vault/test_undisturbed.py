"""What Vault takes back is had anew, and nobody can tell from the record; where it is not, that is told.

The store is in a real PostgreSQL, whose user a real OpenBao makes and takes away while the session trades.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nicegold_ops.app import App
from nicegold_ops.reference import Reference
from nicegold_ops.vault.settings import VaultSettings
from tests.ops.vault.conftest import lend
from tests.services.openbao import OpenBao
from tests.services.prometheus import Prometheus, deployed, prometheus, until
from tests.test_telemetry_changes_nothing import lived

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What is on record without Vault, in a file."""
    return lived(tmp_path_factory.mktemp("undisturbed"))


class Trader:
    """Sessions that *bao* lets in with an AppRole, and into a store at *url*, whose users *engine* makes."""

    def __init__(self, bao: OpenBao, url: str, engine: str, folder: Path) -> None:
        self.bao, self.folder = bao, folder
        self.run: dict[str, Any] = {"store": url, "store_role": engine}
        self.name = engine.partition("/")[2]

    def settings(self, **role: str) -> VaultSettings:
        role_id, secret_id = self.bao.app_role(
            self.name, **{"token_policies": "trader", "token_ttl": "4s", "token_max_ttl": "600s", **role}
        )
        path = self.folder / "secret-id"
        path.write_text(secret_id)
        path.chmod(0o600)
        return VaultSettings(
            address=self.bao.url, auth="approle", role_id=role_id, secret_id=Reference(f"file:{path}")
        )

    def revoke_tokens(self) -> None:
        """All that were given for this AppRole, and with them what was lent to them."""
        for accessor in self.bao.root.auth.token.list_accessors()["data"]["keys"]:
            found = self.bao.write("auth/token/lookup-accessor", accessor=accessor)["data"]
            if found["meta"] and found["meta"].get("role_name") == self.name:
                self.bao.write("auth/token/revoke-accessor", accessor=accessor)

    def revoke_leases(self) -> None:
        self.bao.root.sys.revoke_prefix(f"database/creds/{self.name}")

    def let_nobody_in(self) -> None:
        self.bao.root.adapter.delete(f"/v1/auth/approle/role/{self.name}")

    def lend_nothing(self) -> None:
        self.bao.root.adapter.delete(f"/v1/database/roles/{self.name}")


@pytest.fixture
def trader(bao: OpenBao, url: str, engine: str, tmp_path: Path) -> Trader:
    return Trader(bao, url, engine, tmp_path)


def _users(app: App, name: str) -> int:
    """Grows with each user that was lent for the role *name*."""
    assert app.secrets.vault is not None
    return app.secrets.vault.number_of("database", name)


def _logins(app: App) -> int:
    assert app.secrets.vault is not None
    return app.secrets.vault.renewals["login", "success"]


@pytest.mark.parametrize(
    ("befall", "role"),
    [
        (lambda trader: None, {"token_max_ttl": "4s"}),
        (Trader.revoke_tokens, {}),
        (Trader.revoke_leases, {}),
    ],
    ids=["the token expires", "the token is revoked", "the lease is revoked"],
)
def test_what_is_taken_back_and_given_anew_changes_no_record(
    trader, expected, befall: Callable[[Trader], None], role: dict[str, str]
):
    lend(trader.bao, trader.name, "4s", "600s")
    given: list[int] = []

    def breaks(app: App) -> None:
        users, logins = _users(app, trader.name), _logins(app)
        befall(trader)
        until(lambda: _users(app, trader.name) > users, "the store has the same user for ever")
        given.append(_logins(app) - logins)

    found = lived(trader.folder, breaks=breaks, vault=trader.settings(**role), **trader.run)

    assert expected == found
    [tokens] = given
    assert bool(tokens) == (befall is not Trader.revoke_leases)


def test_a_vault_that_is_sealed_for_less_than_it_has_lent_changes_no_record(trader, expected):
    lend(trader.bao, trader.name, "8s", "600s")

    def breaks(app: App) -> None:
        assert app.secrets.vault is not None
        renewals = app.secrets.vault.renewals
        trader.bao.seal()
        until(lambda: renewals["token", "failure"] > 0, "nothing is asked of it")
        trader.bao.unseal()
        until(lambda: renewals["lease", "success"] > 0, "the lease is not renewed")

    assert expected == lived(
        trader.folder, breaks=breaks, vault=trader.settings(token_ttl="8s"), **trader.run
    )


def _firing(server: Prometheus) -> set[str]:
    return {name for name in server.firing() if name.startswith("NicegoldVault") or "Halted" in name}


@pytest.fixture
def scraped(tmp_path: Path) -> Iterator[Callable[[App], Prometheus]]:
    """Makes a Prometheus that scrapes a session."""
    with ExitStack() as undo:

        def scrape(app: App) -> Prometheus:
            address = f"127.0.0.1:{app.telemetry.serve('127.0.0.1', 0, app.liveness)}"
            return undo.enter_context(prometheus(tmp_path, "", deployed(tmp_path, address)))

        yield scrape


@pytest.mark.parametrize(
    ("befall", "given", "fires"),
    [
        (
            Trader.revoke_tokens,
            Trader.let_nobody_in,
            {"NicegoldVaultTokenExpiring", "NicegoldVaultLeaseExpiring"},
        ),
        (Trader.revoke_leases, Trader.lend_nothing, {"NicegoldVaultLeaseExpiring"}),
    ],
    ids=["the token", "the lease"],
)
def test_what_is_taken_back_and_not_given_anew_is_told_and_halts(trader, scraped, befall, given, fires):
    lend(trader.bao, trader.name, "4s", "600s")
    wanted = {"NicegoldVaultRenewalFailing", "NicegoldEngineHalted", *fires}
    told: list[set[str]] = []

    def breaks(app: App) -> None:
        server = scraped(app)
        given(trader)
        befall(trader)
        until(lambda: wanted <= _firing(server), lambda: f"fire: {_firing(server)}", 120)
        told.append(_firing(server))

    record = lived(trader.folder, breaks=breaks, vault=trader.settings(), **trader.run)

    assert [wanted] == told
    before, _, after = record.partition(b'{"event":"Halted","plugin":"vault"')
    assert b'"event":"Placed"' in before or b'"event":"Accepted"' in before
    assert after
    assert b'"event":"Accepted"' not in after
