"""Moves what gateways say about used credentials from Valkey to the marketplace, which shows it as "last used"."""

from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from gateway.core.store_keys import USED_KEY
from gateway.services.store import store_open
from marketplace.services.credentials import credentials_used_note

BATCH_MAX = 500
BATCHES_MAX = 200
"""Batches that one run moves: 100,000 credentials; the rest waits for the next run."""

TAKE_SCRIPT = """
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 0
"""
"""KEYS: the hash. ARGV: pairs of field and value; a field that was written again meanwhile stays."""


def credentials_used_collect() -> int:
    """Note in PostgreSQL when credentials were last used, then delete from Valkey just what was read. Returns how many ids.

    Safe to repeat and to run twice at once. Raises StoreUnreachable.
    """
    done, cursor = 0, 0
    with store_open() as store:
        for _batch in range(BATCHES_MAX):
            cursor, answer = store.hscan(USED_KEY, cursor=cursor, count=BATCH_MAX)
            found = cast("dict[str, str]", answer)  # the client decodes
            if found:
                credentials_used_note(used_at=dict(_read(found)))
                store.eval(TAKE_SCRIPT, 1, USED_KEY, *[part for pair in found.items() for part in pair])
            done += len(found)
            if cursor == 0:
                break
    return done


def _read(found: dict[str, str]) -> list[tuple[UUID, datetime]]:
    """The pairs that can be read; anything else in the hash is not ours, and goes."""
    pairs = []
    for credential_id, seconds in found.items():
        try:
            pairs.append((UUID(credential_id), datetime.fromtimestamp(int(seconds), UTC)))
        except (ValueError, OverflowError, OSError):
            continue
    return pairs
