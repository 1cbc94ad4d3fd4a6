"""The Django side's Valkey: one connection pool with deadlines, the order of publishing, and the scripts that keep it.

Gateways read what is written here through gateway/dataplane/store.py. Every publication carries a revision, a number of
the database sequence ``gateway_revision`` that is drawn *before* the rows are read. Of two publications of the same thing
the one with the higher revision has read the newer rows, so the scripts refuse a lower one: an older copy never wins,
whatever the order in which the two reach Valkey.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.core.store_keys import INVALIDATE_CHANNEL
from gateway.errors import StoreUnreachable

CONNECT_TIMEOUT_S = 1.0
COMMAND_TIMEOUT_S = 2.0
RECONNECTS = 1
"""A connection that died while it was idle is opened again once; whoever waits for the answer is a person's request."""
REVISION_KEY = "tg:revision"
"""The highest revision that Valkey has seen; a database restored from a backup catches up with it."""
APP_REVISION_PREFIX = "tg:dir:rev:"
APP_REVISION_KEPT_S = 7 * 24 * 3600
"""How long the revision of an app without live credentials is kept, in seconds."""

APP_SCRIPT = f"""
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
local revision = tonumber(ARGV[1])
if stored > revision then return 0 end
local live = 0
for i = 3, #KEYS do
  if ARGV[i] == '' then redis.call('DEL', KEYS[i]) else redis.call('SET', KEYS[i], ARGV[i]) live = live + 1 end
end
redis.call('SET', KEYS[1], ARGV[1])
if live == 0 then redis.call('EXPIRE', KEYS[1], {APP_REVISION_KEPT_S}) end
if revision > tonumber(redis.call('GET', KEYS[2]) or '0') then redis.call('SET', KEYS[2], ARGV[1]) end
if ARGV[2] ~= '' then redis.call('PUBLISH', '{INVALIDATE_CHANNEL}', ARGV[2]) end
return 1
"""
"""KEYS: app revision, highest revision, directory keys. ARGV: revision, message ('' sends none), entries ('' deletes).

Returns 0 for an older copy, 1 when it was written.
"""

SNAPSHOT_SCRIPT = f"""
local revision = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[2]) or '0') > revision then return 0 end
if redis.call('GET', KEYS[3]) == ARGV[3] and redis.call('EXISTS', KEYS[1], KEYS[2]) == 2 then return 2 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], ARGV[3])
if revision > tonumber(redis.call('GET', KEYS[4]) or '0') then redis.call('SET', KEYS[4], ARGV[1]) end
redis.call('PUBLISH', '{INVALIDATE_CHANNEL}', 'snapshot:' .. ARGV[1])
return 1
"""
"""KEYS: snapshot, its version, its checksum, highest revision. ARGV: revision, JSON, checksum.

Returns 0 for an older copy, 2 when the same snapshot is in force already, 1 when it was replaced.
"""


@lru_cache(maxsize=8)
def _client(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        retry=Retry(NoBackoff(), RECONNECTS),
        decode_responses=True,
    )


@contextmanager
def store_open() -> Iterator[Redis]:
    """Lend the Valkey client. A failure inside is raised as StoreUnreachable."""
    try:
        yield _client(settings.TOLLGATE.valkey_url)
    except RedisError as fault:
        message = _("The gateways' store does not answer. The change is kept and will be published when it does.")
        raise StoreUnreachable(message) from fault


def revision_next() -> int:
    """Draw the next revision. Draw it before reading what is to be published."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('gateway_revision')")
        return int(cursor.fetchone()[0])


def revision_raise(*, at_least: int) -> None:
    """Let all later revisions be above ``at_least``: Valkey may be ahead of a database that was restored from a backup."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval('gateway_revision', %s) FROM gateway_revision WHERE last_value < %s", [at_least, at_least]
        )
