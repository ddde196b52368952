"""Signatures, HMACs and envelopes by keys that stay in Vault."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec.structs import replace

from nicegold_ops.envelope import Envelope
from nicegold_ops.errors import DataError
from nicegold_ops.vault.api import Denied, Unavailable, VaultFailed
from nicegold_ops.vault.transit import Transit
from nicegold_ops.vault.vault import Vault
from tests.services.openbao import OpenBao

pytestmark = pytest.mark.slow

PERSON = b"Somchai, +66 2 123 4567"
ABOUT = b"person 7"


@pytest.fixture(scope="session")
def keys(shared_bao: OpenBao) -> None:
    shared_bao.with_transit()
    for name, kind in {"checkpoints": "ed25519", "audit": "hmac", "people": "aes256-gcm96"}.items():
        size = {"key_size": 32} if kind == "hmac" else {}
        shared_bao.write(f"transit/keys/{name}", type=kind, **size)
    paths = {"transit/keys/*": "read", "transit/*": "update"}
    shared_bao.allow("auditor", **paths)


@pytest.fixture
def transit(keys: None, connect: Callable[..., Vault]) -> Transit:
    return Transit(connect(token_policies="auditor"))


def test_what_is_signed_is_verified_and_nothing_else(transit):
    signature = transit.sign("checkpoints", b"block 7")

    assert signature.startswith("vault:v1:")
    assert transit.verify("checkpoints", b"block 7", signature)
    assert not transit.verify("checkpoints", b"block 8", signature)


def test_a_signature_is_verified_without_vault_too(transit):
    signature = transit.sign("checkpoints", b"block 7")

    [public] = transit.public_key("checkpoints").values()

    Ed25519PublicKey.from_public_bytes(public).verify(
        base64.b64decode(signature.removeprefix("vault:v1:")), b"block 7"
    )


def test_a_key_of_another_kind_has_no_such_public_key(transit):
    with pytest.raises(VaultFailed, match="transit/keys/people is of type aes256-gcm96"):
        transit.public_key("people")


def test_what_is_authenticated_is_verified_and_nothing_else(transit):
    hmac = transit.hmac("audit", b"login of gold")

    assert hmac == transit.hmac("audit", b"login of gold")
    assert transit.verify_hmac("audit", b"login of gold", hmac)
    assert not transit.verify_hmac("audit", b"login of silver", hmac)


def test_what_is_sealed_is_opened(transit):
    envelope = transit.seal("people", PERSON, ABOUT)

    assert PERSON == transit.open("people", envelope, ABOUT)
    assert PERSON not in envelope.content


def test_the_same_is_never_sealed_the_same(transit):
    one, another = (transit.seal("people", PERSON, ABOUT) for _ in range(2))

    assert (True, True, True) == tuple(
        getattr(one, name) != getattr(another, name) for name in ("wrapped", "nonce", "content")
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda each: replace(each, content=bytes([each.content[0] ^ 1]) + each.content[1:]),
        lambda each: replace(each, content=each.content[:-1]),
        lambda each: replace(each, nonce=bytes(12)),
        lambda each: replace(each, nonce=b""),
    ],
)
def test_an_envelope_that_was_changed_is_not_opened(transit, change: Callable[[Envelope], Envelope]):
    envelope = transit.seal("people", PERSON, ABOUT)

    with pytest.raises(DataError, match="an envelope of the key people was changed"):
        transit.open("people", change(envelope), ABOUT)


def test_an_envelope_of_somebody_else_is_not_opened(transit):
    envelope = transit.seal("people", PERSON, ABOUT)

    with pytest.raises(DataError, match="or is about something else"):
        transit.open("people", envelope, b"person 8")


def test_after_a_rotation_an_envelope_is_opened_and_can_be_rewrapped(bao, transit):
    bao.write("transit/keys/rotated", type="aes256-gcm96")
    envelope = transit.seal("rotated", PERSON, ABOUT)
    bao.write("transit/keys/rotated/rotate")

    again = transit.rewrap("rotated", envelope)
    bao.write("transit/keys/rotated/config", min_decryption_version=2)

    assert again.wrapped.startswith("vault:v2:")
    assert PERSON == transit.open("rotated", again, ABOUT)
    with pytest.raises(VaultFailed, match=r"^transit/decrypt/rotated: .*too old"):
        transit.open("rotated", envelope, ABOUT)


def test_when_its_key_is_deleted_an_envelope_is_never_opened_again(bao, transit):
    bao.write("transit/keys/forgotten", type="aes256-gcm96")
    envelope = transit.seal("forgotten", PERSON, ABOUT)
    bao.write("transit/keys/forgotten/config", deletion_allowed=True)
    bao.root.adapter.delete("/v1/transit/keys/forgotten")

    with pytest.raises(VaultFailed):
        transit.open("forgotten", envelope, ABOUT)


def test_who_may_not_sign_does_not(keys, connect):
    with pytest.raises(Denied, match=r"^transit/sign/checkpoints: "):
        Transit(connect(token_policies="default")).sign("checkpoints", b"block 7")


def test_a_sealed_vault_signs_nothing(bao, transit):
    bao.seal()

    with pytest.raises(Unavailable, match=r"^transit/sign/checkpoints: .*sealed"):
        transit.sign("checkpoints", b"block 7")
