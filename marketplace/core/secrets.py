"""Signing secrets at rest: ``"<key id>:<fernet token>"``, with a ring of keys so that the key itself can be rotated.

Used by the portal (encrypts) and by gateways (decrypt), so no Django here. Bearer values are never encrypted but hashed
(credentials.py). Fernet's token time is fixed at zero: nothing expires by it, and a core reads no clock. The
initialisation vector is drawn inside the library, which offers no public way to hand it in.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.fernet import Fernet, InvalidToken

KEYS_MAX = 16
"""Most keys in a ring: one is current, the others only decrypt until ``rotate_secrets`` has run."""
KEY_ID_LENGTH_MAX = 32
_KEY_ID = frozenset(string.ascii_letters + string.digits + "-_.")


class SecretFault(ValueError):
    """Root of what can go wrong with a stored secret. The messages hold key ids, never keys or secrets."""


class KeyRingInvalid(SecretFault):
    """TOLLGATE_SECRET_KEYS is not ``id:fernetkey,id:fernetkey``."""


class SecretMalformed(SecretFault):
    """The stored text is not ``<key id>:<fernet token>``."""


class SecretKeyUnknown(SecretFault):
    """The stored text was encrypted with a key that the ring no longer holds."""


class SecretTampered(SecretFault):
    """The token does not belong to the key that it names, or was changed."""


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """The keys by id; ``current_id`` encrypts, all decrypt."""

    current_id: str
    keys: dict[str, Fernet]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``id:fernetkey,id:fernetkey``; the first is current. Raises KeyRingInvalid, which says which entry is wrong."""
        entries = [entry.strip().partition(":") for entry in text.split(",") if entry.strip()]
        return cls.of([(key_id, key) for key_id, _, key in entries])

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> Self:
        """Make a ring of (id, Fernet key) pairs; the first is current. Raises KeyRingInvalid."""
        if not pairs:
            raise KeyRingInvalid(
                "no key given; expected id:fernetkey, such as k1:<44 characters of Fernet.generate_key()>"
            )
        if len(pairs) > KEYS_MAX:
            raise KeyRingInvalid(f"more than {KEYS_MAX} keys; run rotate_secrets and drop the old ones")
        keys: dict[str, Fernet] = {}
        for position, (key_id, key) in enumerate(pairs, start=1):
            if not key_id or len(key_id) > KEY_ID_LENGTH_MAX or not set(key_id) <= _KEY_ID:
                raise KeyRingInvalid(f"entry {position}: the id must be 1 to {KEY_ID_LENGTH_MAX} of a-z A-Z 0-9 - _ .")
            if key_id in keys:
                raise KeyRingInvalid(f"entry {position}: the id {key_id} occurs twice")
            keys[key_id] = _fernet(position, key)
        return cls(current_id=pairs[0][0], keys=keys)

    def encrypt(self, secret: str) -> str:
        """Encrypt with the current key."""
        token = self.keys[self.current_id].encrypt_at_time(secret.encode(), 0)
        return f"{self.current_id}:{token.decode()}"

    def decrypt(self, stored: str) -> str:
        """Return the secret. Raises SecretMalformed, SecretKeyUnknown, SecretTampered."""
        key_id, separator, token = stored.partition(":")
        if not separator or not key_id or not token:
            raise SecretMalformed("a stored secret must be <key id>:<fernet token>")
        fernet = self.keys.get(key_id)
        if fernet is None:
            raise SecretKeyUnknown(
                f"the key {key_id} is not in TOLLGATE_SECRET_KEYS; put it back after the current key"
            )
        try:
            return fernet.decrypt(token).decode()
        except InvalidToken:
            raise SecretTampered(f"the token does not belong to the key {key_id}, or was changed") from None

    def is_current(self, stored: str) -> bool:
        """True when ``stored`` is encrypted with the current key."""
        return stored.startswith(f"{self.current_id}:")

    def reencrypt(self, stored: str) -> str:
        """``stored`` under the current key; unchanged when it is already. Raises as ``decrypt`` does."""
        return stored if self.is_current(stored) else self.encrypt(self.decrypt(stored))


def _fernet(position: int, key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        raise KeyRingInvalid(
            f"entry {position}: the key must be 32 bytes in URL-safe base64, as Fernet.generate_key() makes them"
        ) from None
