"""What credentials and access tokens look like, and what is kept of them. Randomness is handed in; nothing is stored here.

    AppKey        tgk_ + 20 characters of base32      public, travels with each request
    AppSecret     tgs_ + 43 base62 + 6 checksum       signs requests, never travels; kept encrypted (secrets.py)
    AppCode       32 hex characters                   128 bits, the form that existing clients expect; kept as SHA-256
    access token  tgp_ / tgo_ + 43 base62 + 6         a person's or an organization's, for the REST API; kept as SHA-256

The prefixes let a secret scanner recognise a leak, and the checksum (CRC-32, as in GitHub's tokens) lets it, and us, tell a
mistyped value from an unknown one without a look-up. A full SHA-256 of at least 128 random bits is kept: short key hashes
have let near-miss keys in elsewhere (TykTechnologies/tyk#3192).
"""

import zlib
from hashlib import sha256
from hmac import compare_digest

APP_KEY_PREFIX = "tgk_"
APP_SECRET_PREFIX = "tgs_"  # noqa: S105  (a public prefix, not a secret)
PERSON_TOKEN_PREFIX = "tgp_"  # noqa: S105  (a public prefix, not a secret)
ORGANIZATION_TOKEN_PREFIX = "tgo_"  # noqa: S105  (a public prefix, not a secret)

APP_KEY_ENTROPY_BYTES = 13
SECRET_ENTROPY_BYTES = 32
"""Random bytes behind an AppSecret or an access token."""
APP_CODE_ENTROPY_BYTES = 16
APP_CODE_HINT_LENGTH = 6
"""Leading characters of an AppCode that are kept in the clear, so that its owner can tell two codes apart."""
TOKEN_HINT_LENGTH = 8
"""Leading characters of a token, prefix included, that are kept in the clear."""

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_APP_KEY_BODY = 20
_SECRET_BODY = 43
_CHECKSUM = 6


def app_key_make(entropy: bytes) -> str:
    """An AppKey from APP_KEY_ENTROPY_BYTES random bytes; 100 bits of them are used. Raises ValueError."""
    _entropy_check(entropy, APP_KEY_ENTROPY_BYTES)
    return APP_KEY_PREFIX + _digits(int.from_bytes(entropy), _BASE32, _APP_KEY_BODY)


def app_secret_make(entropy: bytes) -> str:
    """An AppSecret from SECRET_ENTROPY_BYTES random bytes. Raises ValueError."""
    return _checked_make(APP_SECRET_PREFIX, entropy)


def app_code_make(entropy: bytes) -> str:
    """An AppCode from APP_CODE_ENTROPY_BYTES random bytes: 32 lower-case hex characters. Raises ValueError."""
    _entropy_check(entropy, APP_CODE_ENTROPY_BYTES)
    return entropy.hex()


def access_token_make(prefix: str, entropy: bytes) -> str:
    """An access token of the kind that ``prefix`` names, from SECRET_ENTROPY_BYTES random bytes. Raises ValueError."""
    if prefix not in (PERSON_TOKEN_PREFIX, ORGANIZATION_TOKEN_PREFIX):
        raise ValueError(f"{prefix!r} is not the prefix of an access token")
    return _checked_make(prefix, entropy)


def access_token_is_wellformed(token: str) -> bool:
    """True when prefix, length, alphabet and checksum fit: only then is a look-up worth its while."""
    prefix, body = token[:4], token[4:]
    if prefix not in (PERSON_TOKEN_PREFIX, ORGANIZATION_TOKEN_PREFIX):
        return False
    if len(body) != _SECRET_BODY + _CHECKSUM or not set(body) <= set(_BASE62):
        return False
    return compare_digest(_checksum(prefix + body[:_SECRET_BODY]), body[_SECRET_BODY:])


def secret_hash(value: str) -> str:
    """What is kept of a bearer value (AppCode, access token): hex SHA-256 of its UTF-8. Letter case counts.

    No salt and no stretching: the value has at least 128 random bits, so there is no dictionary to search.
    """
    return sha256(value.encode()).hexdigest()


def _checked_make(prefix: str, entropy: bytes) -> str:
    _entropy_check(entropy, SECRET_ENTROPY_BYTES)
    text = prefix + _digits(int.from_bytes(entropy), _BASE62, _SECRET_BODY)
    return text + _checksum(text)


def _checksum(text: str) -> str:
    return _digits(zlib.crc32(text.encode()), _BASE62, _CHECKSUM)


def _digits(number: int, alphabet: str, length: int) -> str:
    characters = [""] * length
    for position in range(length - 1, -1, -1):
        number, digit = divmod(number, len(alphabet))
        characters[position] = alphabet[digit]
    return "".join(characters)


def _entropy_check(entropy: bytes, expected: int) -> None:
    if len(entropy) != expected:
        raise ValueError(f"{expected} random bytes are needed, {len(entropy)} were given")
