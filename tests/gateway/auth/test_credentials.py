"""Formats of credentials and tokens, and secrets at rest: what is made is recognised, what is near it is not."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.core.credentials import (
    APP_CODE_ENTROPY_BYTES,
    APP_KEY_ENTROPY_BYTES,
    ORGANIZATION_TOKEN_PREFIX,
    PERSON_TOKEN_PREFIX,
    SECRET_ENTROPY_BYTES,
    access_token_is_wellformed,
    access_token_make,
    app_code_make,
    app_key_make,
    app_secret_make,
    secret_hash,
)
from marketplace.core.secrets import (
    KeyRing,
    KeyRingInvalid,
    SecretKeyUnknown,
    SecretMalformed,
    SecretTampered,
)

ENTROPY = st.binary(min_size=SECRET_ENTROPY_BYTES, max_size=SECRET_ENTROPY_BYTES)
OLD, NEW = (urlsafe_b64encode(character * 32).decode() for character in (b"o", b"n"))


@settings(max_examples=100, deadline=None)
@given(ENTROPY, ENTROPY)
def test_different_randomness_makes_different_secrets_of_one_form(one: bytes, other: bytes) -> None:
    assert (app_secret_make(one) == app_secret_make(other)) == (one == other)
    assert len(app_secret_make(one)) == 53
    assert app_secret_make(one).startswith("tgs_")


def test_an_app_code_is_128_bits_in_32_hex_characters() -> None:
    code = app_code_make(bytes(range(APP_CODE_ENTROPY_BYTES)))
    assert code == "000102030405060708090a0b0c0d0e0f"


def test_an_app_key_has_a_prefix_and_none_of_the_characters_that_device_ids_use() -> None:
    key = app_key_make(b"\xff" * APP_KEY_ENTROPY_BYTES)
    assert key == "tgk_" + "z" * 20
    assert app_key_make(b"\x00" * APP_KEY_ENTROPY_BYTES) != key


@pytest.mark.parametrize("make", [app_key_make, app_secret_make, app_code_make])
def test_too_little_randomness_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match="random bytes are needed"):
        make(b"short")  # type: ignore[operator]


@settings(max_examples=100, deadline=None)
@given(
    entropy=ENTROPY,
    prefix=st.sampled_from([PERSON_TOKEN_PREFIX, ORGANIZATION_TOKEN_PREFIX]),
    position=st.integers(0, 52),
    character=st.characters(min_codepoint=33, max_codepoint=126),
)
def test_a_token_is_wellformed_until_one_character_changes(
    entropy: bytes, prefix: str, position: int, character: str
) -> None:
    token = access_token_make(prefix, entropy)
    assert access_token_is_wellformed(token)
    near = token[:position] + character + token[position + 1 :]
    assert access_token_is_wellformed(near) == (near == token)
    assert not access_token_is_wellformed(token + character)
    assert not access_token_is_wellformed(token[:-1])


def test_an_access_token_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="not the prefix"):
        access_token_make("tgs_", bytes(SECRET_ENTROPY_BYTES))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.text(min_size=1, max_size=3))
def test_near_miss_values_never_share_a_hash(value: str, more: str) -> None:
    """The fault of tyk#3192: a 32-bit hash accepted a key with up to three characters appended."""
    assert secret_hash(value) != secret_hash(value + more)
    assert len(secret_hash(value)) == 64


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60))
def test_what_was_encrypted_decrypts_and_does_not_show(secret: str) -> None:
    ring = KeyRing.parse(f"k1:{NEW}")
    stored = ring.encrypt(secret)
    assert ring.decrypt(stored) == secret
    assert stored.startswith("k1:gAAAA")
    assert len(secret) < 4 or secret not in stored


def test_a_new_current_key_reads_old_secrets_and_reencrypts_them() -> None:
    stored = KeyRing.parse(f"old:{OLD}").encrypt("s3cret")
    ring = KeyRing.parse(f"new:{NEW}, old:{OLD}")
    again = ring.reencrypt(stored)
    assert again.startswith("new:")
    assert ring.reencrypt(again) == again
    assert KeyRing.parse(f"new:{NEW}").decrypt(again) == "s3cret"


def test_each_way_a_stored_secret_can_be_wrong_has_its_own_error() -> None:
    ring = KeyRing.parse(f"new:{NEW}")
    stored = ring.encrypt("s3cret")
    with pytest.raises(SecretKeyUnknown, match="old is not in TOLLGATE_SECRET_KEYS"):
        ring.decrypt("old:" + stored.partition(":")[2])
    flipped = "A" if stored[30] != "A" else "B"
    with pytest.raises(SecretTampered):
        ring.decrypt(stored[:30] + flipped + stored[31:])
    for malformed in ("", "new", "new:", ":token"):
        with pytest.raises(SecretMalformed):
            ring.decrypt(malformed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no key given"),
        ("k1", "entry 1: the key"),
        (f"k1:{NEW},k1:{OLD}", "entry 2: the id k1 occurs twice"),
        (f"k 1:{NEW}", "entry 1: the id"),
        (f":{NEW}", "entry 1: the id"),
        ("k1:tooshort", "entry 1: the key must be 32 bytes"),
        (",".join(f"k{n}:{NEW}" for n in range(17)), "more than 16"),
    ],
)
def test_a_bad_key_ring_is_refused_with_its_place_and_never_shows_the_key(text: str, reason: str) -> None:
    with pytest.raises(KeyRingInvalid, match=reason) as refused:
        KeyRing.parse(text)
    assert NEW not in str(refused.value)
    assert "tooshort" not in str(refused.value)
