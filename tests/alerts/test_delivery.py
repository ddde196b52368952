"""What is done beside trading goes wrong, with real servers, and Prometheus and Alertmanager tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import STDOUT, Popen
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from nicegold_ops.reference import Reference
from nicegold_ops.secrets import Local, Secrets
from nicegold_ops.telemetry import Telemetry
from nicegold_ops.telemetry.watch import LAP
from nicegold_ops.vault.settings import VaultSettings
from tests.dashboards.panels import queries, unanswered
from tests.ops.commandline import market_in, spawn, spawned
from tests.ops.ship.streams import made_otherwise, without_fills
from tests.services.alertmanager import Receiver, alertmanager, receiver
from tests.services.elasticsearch import elasticsearch
from tests.services.openbao import OpenBao, openbao
from tests.services.postgresql import PostgreSQL, free_port, postgresql
from tests.services.prometheus import Prometheus, deployed, prometheus, until

pytestmark = pytest.mark.slow

#: Seconds that the slowest of these alerts may take: what waits for a minute, for a minute on end.
_SLOWEST = 480.0

PAGES = {"NicegoldVaultLeaseExpiring", "NicegoldVaultTokenExpiring"}
TICKETS = {
    "NicegoldAuditCheckpointStale",
    "NicegoldAuditRejected",
    "NicegoldAuditShipperSilent",
    "NicegoldCallsOverwritten",
    "NicegoldVaultRenewalFailing",
}
#: It fires too; what causes it is told instead.
INHIBITED = {"NicegoldAuditOutboxBacklog"}
#: The process ends with it.
LAST = {"NicegoldWorkDown"}
FIRED = PAGES | TICKETS | INHIBITED | LAST


class Borrower:
    """A session's watching, which reads a secret and has a user of a database lent for twenty seconds."""

    def __init__(self, folder: Path, bao: OpenBao, database: PostgreSQL) -> None:
        _lend(bao, database)
        settings = VaultSettings(address=bao.url, **_let_in(folder, bao, "borrower", "600s"))
        self.telemetry = Telemetry(folder, "borrower")
        self.secrets = Secrets(settings, Local({}))
        self.telemetry.watch_secrets(self.secrets)
        self.address = f"127.0.0.1:{self.telemetry.serve('127.0.0.1', 0, lambda: (True, {}))}"
        self._cycles = self.telemetry.cycles(every=0, budget=float("inf"))
        self._call = self.telemetry.observe("on_bar", "cross", lambda bar: None)
        self._cycles.take(0)
        self.telemetry.watch_losses({("call", "overwritten"): lambda: self._cycles.missed})

    def borrow(self) -> None:
        """Have lent what is to be kept from now on."""
        assert self.secrets.vault is not None
        self.secrets.keep()
        self.secrets.resolve(Reference("vault:kv/nicegold/mt5#password"))
        self.secrets.vault.credentials("database", "gold")

    def rush(self) -> None:
        """More calls than the flight recorder's laps hold until somebody reads them."""
        for _ in range(40 * LAP):
            self.telemetry.cause[0] += 1
            self._call("bar")
        self._cycles.take(self.telemetry.cause[0])

    def close(self) -> None:
        self.secrets.close()
        self.telemetry.close()


def _lend(bao: OpenBao, database: PostgreSQL) -> None:
    """Vault makes users of *database* for the role gold."""
    bao.root.sys.enable_secrets_engine("database")
    bao.write(
        "database/config/gold",
        plugin_name="postgresql-database-plugin",
        allowed_roles=["gold"],
        connection_url=f"postgresql://{{{{username}}}}@127.0.0.1:{database.port}/postgres",
        username="nicegold",
        password="-",
    )
    creation = """CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'"""
    bao.write(
        "database/roles/gold",
        db_name="gold",
        creation_statements=[creation],
        default_ttl="20s",
        max_ttl="600s",
    )


def _let_in(folder: Path, bao: OpenBao, name: str, ttl: str) -> dict[str, Any]:
    """What a table [vault] says of how *name* gets in, with a token of *ttl*."""
    role_id, secret_id = bao.app_role(
        name, token_policies="trader", token_ttl=ttl, token_max_ttl="1200s", secret_id_ttl="1200s"
    )
    folder.mkdir(exist_ok=True)
    secret = folder / "secret-id"
    secret.write_text(secret_id)
    secret.chmod(0o600)
    return {"auth": "approle", "role_id": role_id, "secret_id": Reference(f"file:{secret}")}


def _traded(folder: Path, url: str, namespace: str, **vault: str) -> None:
    """A session that is over, whose audit trail goes to *namespace*; with *vault*, its key is there."""
    folder.mkdir(exist_ok=True)
    config = market_in(folder, bars=300)
    text = f'{config.read_text()}\n[elasticsearch]\nurl = "{url}"\nnamespace = "{namespace}"\n'
    if vault:
        text += "\n[vault]\n" + "".join(f'{name} = "{said}"\n' for name, said in vault.items())
        text += '\n[audit]\ntransit_key = "checkpoints"\nevery = 1\n'
        text += '\n[errors]\ndsn = "file:dsn"\n'
        (folder / "dsn").write_text("http://key@127.0.0.1:1/1")
        (folder / "dsn").chmod(0o600)
    config.write_text(text)
    _trade(folder)


def _trade(folder: Path) -> None:
    done = spawned(folder, "run", "--set", "run.mode=paper")
    assert done.code == 0, done.err


@contextmanager
def working(folder: Path) -> Iterator[tuple[Popen[str], str]]:
    """`nicegold work`, and where its metrics are."""
    port = free_port()
    with (
        (folder / "work.log").open("w") as log,
        spawn(folder, "work", "--metrics-port", str(port), stdout=log, stderr=STDOUT) as process,
    ):
        yield process, f"127.0.0.1:{port}"


def _until_told(person: Receiver, server: Prometheus) -> None:
    def missing() -> set[str]:
        told = person.firing("/pager") & PAGES | person.firing("/tickets") & TICKETS
        return (PAGES | TICKETS) - told | INHIBITED - server.firing()

    until(lambda: not missing(), lambda: f"not told, or do not fire: {sorted(missing())}", _SLOWEST)


def test_what_goes_wrong_beside_trading_is_told_to_whom_it_concerns(tmp_path: Path):
    with ExitStack() as undo:
        node = undo.enter_context(elasticsearch("9.0.8"))
        bao = undo.enter_context(openbao())
        bao.with_kv(password="not-a-real-one")
        bao.root.sys.enable_secrets_engine("transit")
        bao.write("transit/keys/checkpoints", type="ed25519")
        bao.allow(
            "trader",
            **{"kv/data/*": "read", "database/creds/*": "read", "transit/*": "read, update"},
        )
        database = undo.enter_context(postgresql())
        borrower = Borrower(tmp_path / "borrower", bao, database)
        undo.callback(borrower.close)
        signs, refused = tmp_path / "signs", tmp_path / "refused"
        _traded(signs, node.url, "signs", address=bao.url, **_let_in(signs, bao, "signs", "40s"))
        _traded(refused, node.url, "refused")
        made_otherwise(Elasticsearch(node.url), "logs-nicegold.audit-refused", without_fills())
        process, first = undo.enter_context(working(signs))
        _, second = undo.enter_context(working(refused))
        person = undo.enter_context(receiver())
        manager = undo.enter_context(alertmanager(tmp_path, person))
        server = undo.enter_context(
            prometheus(
                tmp_path,
                "",
                deployed(tmp_path, borrower.address, work=(first, second), alertmanagers=(manager,)),
            )
        )

        borrower.borrow()
        asked = [each for each in queries() if each.is_beside]
        until(
            lambda: not unanswered(server, asked),
            lambda: f"nothing is there for {unanswered(server, asked)}",
        )
        until(lambda: server.query("nicegold_audit_outbox_records == 0") != [], "nothing has arrived")
        until(lambda: "NicegoldAuditRejected" in server.firing(), "nothing is refused", _SLOWEST)
        borrower.rush()
        node.stop()
        bao.seal()
        # Something is new, which can be neither signed nor copied.
        _trade(signs)
        _until_told(person, server)

        process.kill()
        until(lambda: person.firing("/tickets") >= LAST, "nobody hears that it has ended", _SLOWEST)
        bao.unseal()

    assert set() == person.firing("/tickets") & INHIBITED
    told = [each for path in ("/pager", "/tickets") for each in person.alerts(path)]
    assert [] == [each for each in told if "error expanding" in str(each["annotations"])]
