"""What Vault lends is kept as long as it may be, by the real server's word."""

from __future__ import annotations

import http.server
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey
from msgspec.structs import replace
from opentelemetry.sdk.trace import ReadableSpan

from nicegold_ops.reference import Reference
from nicegold_ops.telemetry.logs import Logs
from nicegold_ops.telemetry.requests import Requests
from nicegold_ops.telemetry.spans import DECLARED, resource
from nicegold_ops.vault.api import Denied, Missing, Tampered, Unavailable, VaultFailed
from nicegold_ops.vault.settings import VaultSettings
from tests.ops.vault.conftest import CANARY, opened
from tests.services.openbao import openbao
from tests.services.postgresql import free_port
from tests.services.prometheus import until

pytestmark = pytest.mark.slow

PASSWORD = Reference("vault:kv/nicegold/mt5#password")


# Reading.


def test_a_secret_is_read_by_its_reference(connect):
    vault = connect()

    read = vault.read(PASSWORD)

    assert CANARY == read.secret.reveal()
    assert 1_700_000_000 < read.created


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        ("kv/nicegold/mt5#pasword", Missing, 'there is no such field; did you mean "password"?'),
        ("kv/nicegold/nothing#password", Missing, "vault kv put kv/nicegold/nothing password=-"),
        ("other/nicegold/mt5#password", Denied, "its policy must let it read other/data/nicegold/mt5"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_way_out(connect, where, error, words):
    reference = Reference(f"vault:{where}")

    with pytest.raises(error) as caught:
        connect().read(reference)

    assert str(caught.value).startswith(f"{reference}: ")
    assert words in str(caught.value)


def test_a_secret_that_was_deleted_is_not_there(bao, connect):
    kv = bao.root.secrets.kv.v2
    kv.create_or_update_secret("gone", {"password": "x"}, mount_point="kv")
    kv.delete_latest_version_of_secret("gone", mount_point="kv")

    with pytest.raises(Missing):
        connect().read(Reference("vault:kv/gone#password"))


def test_a_field_that_is_no_text_is_no_secret(bao, connect):
    bao.root.secrets.kv.v2.create_or_update_secret("number", {"pin": 4711}, mount_point="kv")

    with pytest.raises(VaultFailed, match="the field is no text") as caught:
        connect().read(Reference("vault:kv/number#pin"))

    assert "4711" not in str(caught.value)


# Tokens.


def test_a_token_is_renewed_when_two_thirds_of_its_time_are_over(connect, clock):
    vault = connect(token_ttl="600s")
    vault.read(PASSWORD)

    clock.now += 399
    vault.tend()
    before = vault.renewals["token", "success"]
    clock.now += 2
    pause = vault.tend()

    assert (0, 1) == (before, vault.renewals["token", "success"])
    assert pause == pytest.approx(400)


def test_a_token_whose_time_grows_no_more_is_replaced(connect, clock):
    vault = connect(token_ttl="600s", token_max_ttl="605s")
    vault.read(PASSWORD)

    def is_replaced() -> bool:
        # The server's clock is its own: that it is near the longest time it says after some seconds.
        clock.now += 401
        vault.tend()
        return bool(vault.renewals["login", "success"] == 2)

    until(is_replaced, "there is no new login")
    assert CANARY == vault.read(PASSWORD).secret.reveal()


def test_a_batch_token_cannot_be_renewed_and_is_replaced(connect, clock):
    vault = connect(token_type="batch")
    vault.read(PASSWORD)

    clock.now += 401
    vault.tend()

    assert 2 == vault.renewals["login", "success"]
    assert CANARY == vault.read(PASSWORD).secret.reveal()


def test_who_comes_together_does_not_come_together_again(bao):
    settings = VaultSettings(address=bao.url, auth="token", token=Reference("env:TOKEN"))
    token = bao.root.auth.token.create(policies=["trader"], ttl="600s")["auth"]["client_token"]
    pauses = []
    for chance in (0.0, 1.0):
        vault = opened(settings, chance=chance, TOKEN=token)
        vault.read(PASSWORD)
        pauses.append(vault.tend())

    assert [400, 360] == pytest.approx(pauses, abs=3)


def test_a_token_that_was_revoked_is_replaced_when_it_is_used(bao, connect):
    vault = connect()
    vault.read(PASSWORD)
    revoke_all(bao)

    assert CANARY == vault.read(PASSWORD).secret.reveal()
    assert 2 == vault.renewals["login", "success"]


def test_of_two_threads_whose_token_is_refused_one_logs_in(bao, connect):
    vault = connect()
    vault.read(PASSWORD)
    held, both = vault._held, threading.Barrier(2)
    revoke_all(bao)

    def refused_together(client: hvac.Client) -> object:
        if client.token == held.login.api._client.token:
            both.wait(10)
        return client.secrets.kv.v2.read_secret_version(
            "nicegold/mt5", mount_point="kv", raise_on_deleted_version=True
        )

    threads = [threading.Thread(target=vault.ask, args=(refused_together,)) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)

    assert 2 == vault.renewals["login", "success"]


def test_what_a_policy_denies_is_not_asked_for_ever(connect):
    vault = connect(token_policies="default")

    with pytest.raises(Denied, match="its policy must let it read"):
        vault.read(PASSWORD)

    assert 2 == vault.renewals["login", "success"]


def test_each_question_is_told_as_it_was_answered_and_declared(connect):
    told: list[ReadableSpan] = []
    vault = connect()
    vault.outgoing.to = Requests(told.extend, resource("run"), draw=random.getrandbits, wall=time.time_ns)

    vault.read(PASSWORD)
    with pytest.raises(Missing):
        vault.read(Reference("vault:kv/nicegold/nothing#password"))

    assert [
        ("POST /v1/auth/approle/login", None),
        ("GET /v1/kv/data/nicegold/mt5", None),
        ("GET /v1/kv/data/nicegold/nothing", "404"),
    ] == [(each.name, (each.attributes or {}).get("error.type")) for each in told]
    [declared] = [each for each in DECLARED if each.name == "METHOD /v1/PATH"]
    assert all(set(each.attributes or {}) <= set(declared.attributes) for each in told)


def test_a_token_that_somebody_made_is_not_revoked_at_the_end(bao):
    token = bao.root.auth.token.create(policies=["trader"], ttl="600s")["auth"]["client_token"]
    vault = opened(VaultSettings(address=bao.url, auth="token", token=Reference("env:TOKEN")), TOKEN=token)
    vault.read(PASSWORD)

    vault.close()

    assert is_valid(bao, token)


def test_a_token_of_our_own_is_revoked_at_the_end(bao, connect):
    vault = connect()
    vault.read(PASSWORD)
    token = vault._held.login.api._client.token
    was_valid = is_valid(bao, token)

    vault.close()

    assert (True, False) == (was_valid, is_valid(bao, token))


def test_a_token_that_is_wrong_says_where_to_put_another(bao):
    vault = opened(VaultSettings(address=bao.url, auth="token", token=Reference("env:TOKEN")), TOKEN="wrong")

    with pytest.raises(Denied, match=r"put a new token where \[vault\] token says"):
        vault.read(PASSWORD)


def made_token(bao, **terms: Any) -> str:
    token: str = bao.root.auth.token.create(policies=["trader"], **terms)["auth"]["client_token"]
    return token


def test_a_token_that_cannot_be_renewed_is_said_before_it_ends(bao, seen):
    settings = VaultSettings(address=bao.url, auth="token", token=Reference("env:TOKEN"))
    vault = opened(settings, TOKEN=made_token(bao, ttl="6s", renewable=False))
    vault.read(PASSWORD)
    seen.watch(vault)

    until(lambda: bool(vault.tend() and seen.told), "nobody is told")

    [(severity, title, text)] = seen.told
    assert ("critical", "Vault fails") == (severity, title)
    assert "the token cannot be renewed; put a new one where [vault] token says; what is lent is kept" in text
    assert [] == seen.lost


def test_a_new_token_that_somebody_puts_in_place_is_taken(bao, clock, seen, tmp_path):
    file = tmp_path / "token"
    file.write_text(made_token(bao, ttl="30s"))
    vault = opened(VaultSettings(address=bao.url, auth="token", token=Reference(f"file:{file}")), clock)
    seen.watch(vault)
    vault.read(PASSWORD)
    bao.root.auth.token.revoke(file.read_text())
    clock.now += 21
    vault.tend()
    told = list(seen.told)

    file.write_text(made_token(bao, ttl="600s"))
    clock.now += 5
    vault.tend()

    assert "put a new token where [vault] token says" in told[0][2]
    assert [("critical", "Vault fails"), ("info", "Vault works again")] == [each[:2] for each in seen.told]
    assert [] == seen.lost


def test_the_environments_token_is_not_taken(bao, monkeypatch, connect):
    monkeypatch.setenv("VAULT_TOKEN", bao.token)
    vault = connect()
    vault.read(PASSWORD)

    assert bao.token != vault._held.login.api._client.token


# A wrapped SecretID.


def wrapped(bao, tmp_path, wrapping: str, role: str = "wrapped"):
    role_id, _ = bao.app_role(role, token_policies="trader")
    file = tmp_path / "wrapping"
    file.write_text(wrapping)
    return VaultSettings(
        address=bao.url,
        auth="approle",
        role_id=role_id,
        secret_id=Reference(f"file:{file}"),
        role=role,
        wrapped=True,
    )


def test_a_secret_id_is_taken_out_of_its_wrapping(bao, tmp_path):
    bao.app_role("wrapped", token_policies="trader")
    vault = opened(wrapped(bao, tmp_path, bao.wrapped_secret_id("wrapped")))

    assert CANARY == vault.read(PASSWORD).secret.reveal()
    revoke_all(bao)
    assert CANARY == vault.read(PASSWORD).secret.reveal()
    vault.close()


def test_a_wrapping_that_was_opened_before_is_said_loudly(bao, tmp_path):
    bao.app_role("wrapped", token_policies="trader")
    wrapping = bao.wrapped_secret_id("wrapped")
    bao.root.sys.unwrap(wrapping)
    logs = Logs(file=tmp_path / "log", stream=None)

    with pytest.raises(Tampered, match=r"^vault:kv.*SECURITY.*somebody else has it") as caught:
        opened(wrapped(bao, tmp_path, wrapping)).read(PASSWORD)

    logs.close()
    log = (tmp_path / "log").read_text()
    assert '"log.level":"critical"' in log
    assert "vault.tampered" in log
    assert wrapping not in str(caught.value) + log


def test_a_wrapping_that_was_made_elsewhere_is_not_opened(bao, tmp_path):
    bao.app_role("wrapped", token_policies="trader")
    bao.app_role("attacker")
    wrapping = bao.wrapped_secret_id("attacker")

    with pytest.raises(Tampered, match="it was made at auth/approle/role/attacker/secret-id, not at"):
        opened(wrapped(bao, tmp_path, wrapping)).read(PASSWORD)

    assert "secret_id" in bao.root.sys.unwrap(wrapping)["data"]


def test_a_new_wrapping_is_opened_when_the_last_secret_id_is_used_up(bao, tmp_path):
    bao.app_role("once", token_policies="trader", secret_id_num_uses=1)
    settings = wrapped(bao, tmp_path, bao.wrapped_secret_id("once"), "once")
    bao.write("auth/approle/role/once", secret_id_num_uses=1)
    vault = opened(settings)
    vault.read(PASSWORD)
    revoke_all(bao)
    with pytest.raises(VaultFailed, match=r"put a new one where \[vault\] secret_id says"):
        vault.read(PASSWORD)

    (tmp_path / "wrapping").write_text(bao.wrapped_secret_id("once"))

    assert CANARY == vault.read(PASSWORD).secret.reveal()
    vault.close()


# A pod, and a Vault with a certificate of its own.


def test_a_pod_logs_in_with_the_token_of_its_service_account(bao, tmp_path):
    """By OpenBao's own method for such tokens; that of Kubernetes is asked in the same words."""
    key = ec.generate_private_key(ec.SECP256R1())
    bao.root.sys.enable_auth_method("jwt", path="cluster")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    bao.write("auth/cluster/config", jwt_validation_pubkeys=[public])
    bao.write(
        "auth/cluster/role/engine",
        role_type="jwt",
        user_claim="sub",
        bound_audiences=["vault"],
        token_policies="trader",
    )
    claims = {"sub": "system:serviceaccount:gold:engine", "aud": "vault", "nbf": 1, "exp": 4_000_000_000}
    file = tmp_path / "token"
    file.write_text(jwt.encode({"alg": "ES256"}, claims, ECKey.import_key(key)) + "\n")
    settings = VaultSettings(address=bao.url, auth="kubernetes", mount="cluster", role="engine", jwt=file)
    vault = opened(settings)

    assert CANARY == vault.read(PASSWORD).secret.reveal()
    vault.close()


def test_a_pod_without_a_service_account_says_so(bao, tmp_path):
    settings = VaultSettings(address=bao.url, auth="kubernetes", role="engine", jwt=tmp_path / "token")

    with pytest.raises(VaultFailed, match="No such file or directory; is this a pod with a service account"):
        opened(settings).read(PASSWORD)


def test_a_certificate_is_trusted_by_the_file_that_is_named_and_by_no_other(tmp_path):
    certificate, key = self_signed(tmp_path)
    with openbao(tls_cert_file=str(certificate), tls_key_file=str(key)) as bao:
        bao.with_kv(password=CANARY)
        doubted = VaultSettings(address=bao.url, auth="token", token=Reference("env:TOKEN"))
        trusting = opened(replace(doubted, ca=certificate), TOKEN=bao.token)
        doubting = opened(doubted, TOKEN=bao.token)

        with pytest.raises(Unavailable, match="certificate verify failed"):
            doubting.read(PASSWORD)
        assert CANARY == trusting.read(PASSWORD).secret.reveal()


def self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ["-subj", "/CN=vault", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)
    return certificate, key


# Vault is not there.


def test_a_vault_that_is_sealed_at_the_start_says_so(bao, connect):
    vault = connect()
    bao.seal()

    with pytest.raises(Unavailable, match="is sealed or not ready"):
        vault.read(PASSWORD)


def test_a_vault_that_is_not_there_says_so(connect):
    vault = connect(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(Unavailable, match=r"cannot be reached: .*refused"):
        vault.read(PASSWORD)


@pytest.mark.parametrize("how", ["seal", "kill"])
def test_what_is_lent_is_kept_until_it_ends_when_vault_fails(bao, connect, clock, seen, how):
    vault = connect()
    vault.read(PASSWORD)
    seen.watch(vault)
    getattr(bao, how)()

    clock.now += 401
    vault.tend()
    [first] = seen.told
    kept = list(seen.lost)
    clock.now += 100
    vault.tend()
    clock.now += 100
    vault.tend()
    vault.tend()

    assert ("critical", "Vault fails") == first[:2]
    assert "what is lent is kept until" in first[2]
    assert [] == kept
    assert [first] == seen.told
    [lost] = seen.lost
    assert "the token of Vault has ended and cannot be renewed: " in lost


def test_who_watches_late_hears_what_has_ended(bao, connect, clock, seen):
    vault = connect()
    vault.read(PASSWORD)
    bao.seal()
    clock.now += 700
    vault.tend()

    seen.watch(vault)

    assert 1 == len(seen.lost)


def test_when_what_opens_vault_is_gone_the_end_is_told_all_the_same(bao, connect, clock, seen, tmp_path):
    vault = connect(token_type="batch")
    vault.read(PASSWORD)
    seen.watch(vault)
    [secret_id] = tmp_path.glob("role*")
    secret_id.unlink()

    clock.now += 401
    vault.tend()
    clock.now += 300
    vault.tend()

    [(_, title, text)] = seen.told
    assert ("Vault fails", True) == (
        title,
        text.startswith(f"[vault] secret_id: file:{secret_id}: No such file"),
    )
    assert 1 == len(seen.lost)


def test_what_opens_vault_and_is_not_there_is_named(bao):
    vault = opened(VaultSettings(address=bao.url, auth="token", token=Reference("env:TOKEN")))

    with pytest.raises(
        VaultFailed, match=r"^vault:kv.*: \[vault\] token: env:TOKEN: the variable is not set"
    ):
        vault.read(PASSWORD)


def test_who_is_told_of_an_end_may_wait_for_one_that_asks(bao, connect, clock):
    vault = connect()
    vault.read(PASSWORD)
    bao.seal()
    answered = []

    def ask() -> None:
        with pytest.raises(Unavailable):
            vault.credentials("database", "gold")
        answered.append(True)

    def lost(reason: str) -> None:
        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(20)
        answered.append(asking.is_alive())

    vault.watch(lambda *said: None, lost)
    clock.now += 700
    vault.tend()

    assert [True, False] == answered


def test_what_is_lent_is_on_the_log_when_vault_fails(bao, connect, clock, tmp_path):
    logs = Logs(file=tmp_path / "log", stream=None)
    vault = connect()
    vault.read(PASSWORD)
    bao.seal()
    clock.now += 401
    vault.tend()
    logs.close()

    assert '"message":"Vault fails: ' in (tmp_path / "log").read_text()


def test_when_vault_comes_back_what_is_lent_is_renewed(bao, connect, clock, seen):
    vault = connect()
    vault.read(PASSWORD)
    seen.watch(vault)
    bao.seal()
    clock.now += 401
    vault.tend()

    bao.unseal()
    clock.now += 6
    vault.tend()

    assert [("critical", "Vault fails"), ("info", "Vault works again")] == [each[:2] for each in seen.told]
    assert [] == seen.lost


def test_a_thread_keeps_what_is_lent(connect, clock):
    vault = connect()
    vault.keep()
    vault.read(PASSWORD)
    clock.now += 401

    vault.keep()  # wakes it, as its clock has jumped

    until(lambda: vault.renewals["token", "success"] == 1, "nobody has renewed the token")


# What is refused for safety.


def test_a_redirect_is_not_followed_with_the_token(bao, connect):
    with redirecting(f"{bao.url}/v1/kv/data/nicegold/mt5") as (address, asked):
        vault = connect(address)

        with pytest.raises(VaultFailed, match=r"sends us to .* that is not followed"):
            vault.read(PASSWORD)

    assert 1 == len(asked)


@contextmanager
def redirecting(to: str) -> Iterator[tuple[str, list[str]]]:
    """A server that sends everybody to *to*, and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(307)
            self.send_header("Location", to)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_child_process_has_a_token_of_its_own(bao, connect):
    vault = connect()
    vault.keep()
    vault.read(PASSWORD)
    token = vault._held.login.api._client.token
    reading, writing = os.pipe()
    # Held by another thread, the lock would stay so for ever in the child.
    vault._lock.acquire()

    child = os.fork()
    if child == 0:
        try:
            said = f"{vault.read(PASSWORD).secret.reveal()} {vault._held.login.api._client.token}"
            os.write(writing, said.encode())
            vault.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    vault._lock.release()
    with os.fdopen(reading) as told:
        secret, childs = told.read().split()

    assert CANARY == secret
    assert childs != token
    assert is_valid(bao, token)
    assert not is_valid(bao, childs)


# What the tests do to it.


def revoke_all(bao) -> None:
    """All tokens that were had by logging in end now."""
    bao.root.sys.revoke_prefix("auth/approle/login")


def is_valid(bao, token: str) -> bool:
    try:
        bao.root.auth.token.lookup(token)
    except (hvac.exceptions.Forbidden, hvac.exceptions.InvalidPath):
        return False
    return True
