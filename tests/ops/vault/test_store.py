"""A store in PostgreSQL, whose user and password Vault makes, lends and takes back."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from nicegold import Order, Secret
from nicegold_ops.app import journal_of
from nicegold_ops.commands._runs import opened as journal_opened
from nicegold_ops.config import parse
from nicegold_ops.credentials import WithPassword
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.fence import fence_of
from nicegold_ops.journal import Journal, JournalFailed, Run, all_runs, read
from nicegold_ops.secrets import Local, Secrets
from nicegold_ops.store.place import Server, StoreFailed, open_store, place_of
from nicegold_ops.vault.vault import Lent, Vault
from tests.ops.audit.test_checkpoint import pem
from tests.ops.commandline import CONFIGURATION, spawn
from tests.ops.vault.conftest import PASSWORD, lend
from tests.services.asking import asked
from tests.services.openbao import OpenBao
from tests.services.pgbackrest import order
from tests.services.postgresql import PostgreSQL, free_port
from tests.services.prometheus import until

pytestmark = pytest.mark.slow


def store_at(url: str, vault: Vault, role: str) -> sa.Engine:
    mount, _, name = role.partition("/")
    return open_store(Server(url, Lent(vault, mount, name, vault.close)))


def user_of(store: sa.Engine) -> str:
    with store.connect() as connection:
        return str(connection.exec_driver_sql("SELECT session_user").scalar())


def users(server: PostgreSQL) -> set[str]:
    with server.connect() as connection:
        return {
            name for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")
        }


# A password.


def test_a_password_goes_to_the_connection_and_not_into_the_url(server, database):
    url = server.url(database).replace("nicegold@", "trader@")

    store = open_store(Server(url, WithPassword(Secret(PASSWORD))))

    assert "trader" == user_of(store)
    assert (
        PASSWORD not in f"{store.url!r} {place_of(store)} {store.url.render_as_string(hide_password=False)}"
    )
    store.dispose()


def test_a_password_that_is_wrong_is_not_shown(server, database):
    url = server.url(database).replace("nicegold@", "trader@")

    with pytest.raises(StoreFailed, match="password authentication failed") as caught:
        open_store(Server(url, WithPassword(Secret(f"{PASSWORD}-of-yesterday"))))

    assert PASSWORD not in str(caught.value)


def test_a_configuration_says_where_the_password_of_its_store_is(server, database, tmp_path):
    (tmp_path / "password").write_text(PASSWORD)
    url = server.url(database).replace("nicegold@", "trader@")
    run = f'store = "{url}"\nstore_password = "file:password"\n'
    settings = parse(CONFIGURATION.replace("seed = 7\n", run), tmp_path / "nicegold.toml")

    store = journal_opened(settings)

    assert [] == all_runs(store)
    assert 'store_password = "file:password"' in settings.text
    store.dispose()


def test_a_password_that_is_not_there_is_named(tmp_path):
    run = 'store = "postgresql+psycopg://trader@127.0.0.1:1/gold"\nstore_password = "env:PASSWORD"\n'
    settings = parse(CONFIGURATION.replace("seed = 7\n", run), tmp_path / "nicegold.toml")

    with pytest.raises(
        ConfigurationError, match=r"\[run\] store_password: env:PASSWORD: the variable is not"
    ):
        journal_of(settings, Secrets(None, Local({})))


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ('store_password = "env:X"', "store_password is for a database; name it with store"),
        ('store_role = "database/gold"', "store_role is for a database; name it with store"),
        (
            'store_role = "gold"',
            'store_role is "gold"; it must be a mount and a role, such as "database/gold"',
        ),
        (
            'store = "postgresql+psycopg:///gold"\nstore_role = "database/gold"',
            "store_role is in Vault; add a table",
        ),
        (
            'store = "postgresql+psycopg:///gold"\nstore_password = "env:X"\nstore_role = "a/b"',
            "has both store_",
        ),
    ],
)
def test_a_login_that_cannot_be_meant_is_refused(run, words):
    with pytest.raises(ConfigurationError) as caught:
        parse(CONFIGURATION.replace("seed = 7\n", f"{run}\n"), "nicegold.toml")

    assert words in str(caught.value)


# Credentials that are made for us.


def test_the_user_of_a_store_is_made_for_us_and_gone_afterwards(server, url, engine, connect):
    store = store_at(url, connect(), engine)
    user = user_of(store)
    were = users(server)

    store.dispose()

    assert user in were
    until(lambda: user not in users(server), "the user is still there")


def test_all_connections_have_the_same_user_while_it_lasts(url, engine, connect, clock):
    vault = connect()
    store = store_at(url, vault, engine)
    with store.connect() as first, store.connect() as second:
        both = [each.exec_driver_sql("SELECT session_user").scalar() for each in (first, second)]
    clock.now += 401
    vault.tend()

    assert [user_of(store)] * 2 == both
    assert 1 == vault.renewals["lease", "success"]
    store.dispose()


def test_a_lease_that_can_grow_no_more_is_followed_by_another_user(
    bao, server, database, url, engine, connect, clock
):
    lend(bao, database, "600s", "600s")
    vault = connect(token_ttl="3600s")
    store = store_at(url, vault, engine)
    journal = Journal(store, Run("r", "paper", 1), cause=[0], durable=True, by_reference=False)
    journal.record(order(1))
    first = user_of(store)

    clock.now += 401
    bao.write(f"database/roles/{database}", max_ttl="30s")
    vault.tend()
    second = user_of(store)
    journal.record(order(2))

    assert first != second
    assert {first, second} <= users(server)
    assert [Order, Order] == [type(each) for each in read(store, "r")]
    store.dispose()
    until(lambda: {first, second}.isdisjoint(users(server)), "a user is still there")


def test_a_token_that_is_replaced_brings_another_user(url, engine, connect, clock):
    vault = connect(token_type="batch", token_ttl="600s")
    store = store_at(url, vault, engine)
    first = user_of(store)

    clock.now += 401
    vault.tend()

    assert first != user_of(store)
    store.dispose()


def test_a_lease_that_was_revoked_is_followed_by_another(bao, url, engine, connect, clock, seen):
    vault = connect(token_ttl="3600s")
    store = store_at(url, vault, engine)
    first = user_of(store)
    seen.watch(vault)
    bao.root.sys.revoke_prefix("database/creds")

    clock.now += 401
    vault.tend()

    assert first != user_of(store)
    assert [] == seen.lost
    store.dispose()


def test_a_lease_that_was_revoked_and_is_not_given_again_has_ended(
    bao, database, url, engine, connect, clock, seen
):
    vault = connect(token_ttl="3600s")
    store = store_at(url, vault, engine)
    seen.watch(vault)
    bao.root.sys.revoke_prefix("database/creds")
    bao.root.adapter.delete(f"/v1/database/roles/{database}")

    clock.now += 401
    vault.tend()

    [lost] = seen.lost
    assert f"the credentials of {engine.replace('/', '/creds/')} have ended and cannot be renewed: " in lost
    store.dispose()


def test_while_vault_is_sealed_a_store_goes_on_until_its_lease_ends(bao, url, engine, connect, clock, seen):
    vault = connect()
    store = store_at(url, vault, engine)
    journal = Journal(store, Run("r", "paper", 1), cause=[0], durable=True, by_reference=False)
    seen.watch(vault)
    bao.seal()

    clock.now += 401
    vault.tend()
    journal.record(order(1))
    with store.connect() as used, store.connect() as new:
        both = [each.exec_driver_sql("SELECT 1").scalar() for each in (used, new)]
    lost = list(seen.lost)
    clock.now += 300
    vault.tend()

    assert [1, 1] == both
    assert [] == lost
    assert 2 == len(seen.lost)
    bao.unseal()
    store.dispose()


def test_a_connection_that_nobody_lends_a_password_for_fails_as_one_that_cannot_be_made(
    bao, url, engine, connect, clock
):
    vault = connect()
    store = store_at(url, vault, engine)
    journal = Journal(store, Run("r", "paper", 1), cause=[0], durable=True, by_reference=False)
    bao.seal()
    clock.now += 700

    with store.connect(), pytest.raises(JournalFailed, match="is sealed or not ready"):
        journal.record(order(1))

    bao.unseal()
    store.dispose()


def test_a_fence_outlives_the_user_that_took_it(bao, server, database, url, engine, connect, clock, tmp_path):
    vault = connect(token_type="batch", token_ttl="600s")
    store = store_at(url, vault, engine)
    first = user_of(store)
    fence = fence_of(store, tmp_path)
    clock.now += 401
    vault.tend()

    with server.connect(database) as connection:
        connection.execute(f'ALTER ROLE "{first}" NOLOGIN; REVOKE gold FROM "{first}"; DROP ROLE "{first}"')

    with store.begin() as connection:
        fence.check(connection)
    other = store_at(url, connect(), engine)
    with pytest.raises(ConfigurationError, match="another engine"):
        fence_of(other, tmp_path)
    other.dispose()
    fence.close()
    store.dispose()


def test_a_configuration_names_the_role_of_its_store(bao, server, url, engine, tmp_path):
    vault = f'[vault]\naddress = "{bao.url}"\nauth = "token"\ntoken = "file:token"\n'
    (tmp_path / "token").write_text(bao.token)
    run = f'store = "{url}"\nstore_role = "{engine}"\n'
    settings = parse(vault + CONFIGURATION.replace("seed = 7\n", run), tmp_path / "nicegold.toml")

    store = journal_opened(settings)
    user = user_of(store)
    store.dispose()

    assert user.startswith("v-")
    until(lambda: user not in users(server), "the user is still there")


def logins(bao: OpenBao) -> int:
    """How many tokens there are."""
    return len(bao.root.auth.token.list_accessors()["data"]["keys"])


def test_work_is_let_in_once_and_its_lease_is_renewed_and_told(bao, server, database, url, engine, tmp_path):
    lend(bao, database, "4s", "600s")
    role_id, secret_id = bao.app_role("work", token_policies="trader", token_ttl="600s")
    for name, secret in (("secret-id", secret_id), ("audit.pem", pem().reveal())):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    vault = f'address = "{bao.url}"\nauth = "approle"\nrole_id = "{role_id}"\nsecret_id = "file:secret-id"\n'
    run = f'store = "{url}"\nstore_role = "{engine}"\n'
    audit = '[audit]\nsigning_key = "file:audit.pem"\nevery = 1\n'
    (tmp_path / "nicegold.toml").write_text(
        f"[vault]\n{vault}\n{audit}\n{CONFIGURATION.replace('seed = 7', run)}"
    )
    tokens, before, port = logins(bao), users(server), free_port()

    def told(sample: str) -> float:
        """The value of the one sample that begins like this; 0 while there is none."""
        try:
            _, page = asked(port, "GET", "/metrics")
        except OSError:
            return 0.0
        return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(sample))

    with spawn(tmp_path, "work", "--metrics-port", str(port)) as process:
        renewed = 'nicegold_vault_renewals_total{kind="lease",outcome="success"}'
        until(lambda: told(renewed) >= 2, "the lease is not renewed")
        made = users(server) - before
        ttl, entered = told("nicegold_vault_lease_ttl_seconds{"), logins(bao) - tokens
        process.terminate()
        _, err = process.communicate(timeout=30)

    assert (0, 1, 1, 4.0) == (process.returncode, len(made), entered, ttl), err
    until(lambda: made.isdisjoint(users(server)), "the user is still there")
