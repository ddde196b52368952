"""A Vault for tests, which is an OpenBao, and clocks that they move."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nicegold_ops.reference import Reference
from nicegold_ops.secrets import Local
from nicegold_ops.vault.settings import VaultSettings
from nicegold_ops.vault.vault import Vault
from tests.services.openbao import OpenBao, openbao
from tests.services.postgresql import PostgreSQL, postgresql

CANARY = "canary-of-the-broker"
PASSWORD = "canary-of-the-store"
#: Each user that Vault makes works as gold, so that what one has made the next one may use.
CREATION = (
    """CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE gold;"""
    """ALTER ROLE "{{name}}" SET role = 'gold';"""
)


class Clock:
    """Tells the time that it was moved to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Seen:
    """What a Vault has told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.lost: list[str] = []

    def watch(self, vault: Vault) -> None:
        vault.watch(lambda *said: self.told.append(said), self.lost.append)


@pytest.fixture(scope="session")
def shared_bao() -> Iterator[OpenBao]:
    with openbao() as running:
        running.with_kv(password=CANARY)
        running.allow("trader", **{"kv/data/*": "read", "database/creds/*": "read", "transit/*": "update"})
        yield running


@pytest.fixture
def bao(shared_bao: OpenBao) -> Iterator[OpenBao]:
    """One for all tests, unsealed again after each."""
    yield shared_bao
    shared_bao.heal()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def connect(bao: OpenBao, tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Vault]]:
    """Makes a Vault that logs in as an AppRole of these settings, in *bao* or through another address."""
    made: list[Vault] = []
    numbers = count(1)

    def make(address: str = "", **role: Any) -> Vault:
        name = f"role{next(numbers)}-{tmp_path.name[-20:]}"
        role_id, secret_id = bao.app_role(name, **{"token_policies": "trader", "token_ttl": "600s", **role})
        secret = tmp_path / name
        secret.write_text(secret_id + "\n")
        secret.chmod(0o600)
        settings = VaultSettings(
            address=address or bao.url, auth="approle", role_id=role_id, secret_id=Reference(f"file:{secret}")
        )
        made.append(opened(settings, clock))
        return made[-1]

    yield make
    for vault in made:
        vault.close()


def opened(
    settings: VaultSettings,
    clock: Callable[[], float] = time.monotonic,
    *,
    chance: float = 0.0,
    **environment: str,
) -> Vault:
    """A Vault that is opened with what this *environment* has, and files."""
    return Vault(settings, Local(environment).resolve, monotonic=clock, chance=lambda: chance)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        rules = running.data / "pg_hba.conf"
        # All but the test itself are asked for a password.
        rules.write_text("host all nicegold 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        with running.connect() as connection:
            connection.execute(f"CREATE ROLE gold; CREATE ROLE trader LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("GRANT gold TO trader")
            connection.execute("CREATE ROLE vault LOGIN CREATEROLE PASSWORD 'vault-itself'")
            connection.execute("GRANT gold TO vault WITH ADMIN OPTION")
            connection.execute("SELECT pg_reload_conf()")
        yield running


@pytest.fixture
def database(server: PostgreSQL) -> str:
    name = server.new_database()
    with server.connect() as connection:
        connection.execute(f"ALTER DATABASE {name} OWNER TO gold")
    return name


@pytest.fixture
def url(server: PostgreSQL, database: str) -> str:
    return server.url(database).replace("nicegold@", "")


@pytest.fixture
def engine(bao: OpenBao, server: PostgreSQL, database: str) -> str:
    """The role of the database engine that makes users of the database: "database/ROLE"."""
    if "database/" not in bao.root.sys.list_mounted_secrets_engines()["data"]:
        bao.root.sys.enable_secrets_engine("database")
    bao.write(
        f"database/config/{database}",
        plugin_name="postgresql-database-plugin",
        allowed_roles=[database],
        connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{server.port}/{database}",
        username="vault",
        password="vault-itself",
    )
    lend(bao, database, "600s", "1200s")
    return f"database/{database}"


def lend(bao: OpenBao, database: str, ttl: str, longest: str) -> None:
    bao.write(
        f"database/roles/{database}",
        db_name=database,
        creation_statements=[CREATION],
        default_ttl=ttl,
        max_ttl=longest,
    )
