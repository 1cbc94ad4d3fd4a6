"""The platform's key ring: encrypts what must be read again (signing secrets, stored answers). Keys come from the settings."""

from functools import lru_cache

from django.conf import settings

from marketplace.core.secrets import KeyRing


def keyring_get() -> KeyRing:
    """Return the ring of TOLLGATE_SECRET_KEYS; its first key encrypts."""
    return _keyring_make(settings.TOLLGATE.secret_keys)


@lru_cache(maxsize=4)
def _keyring_make(pairs: tuple[tuple[str, str], ...]) -> KeyRing:
    return KeyRing.parse(",".join(f"{key_id}:{key}" for key_id, key in pairs))
