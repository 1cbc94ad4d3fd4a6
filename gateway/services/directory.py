"""Publishes apps to the gateways' directory in Valkey: who a key or code belongs to, and what that app may call."""

import json
from collections.abc import Iterator
from uuid import UUID

from django.utils import timezone
from redis import Redis

from gateway.core.store_keys import APP_CODE_PREFIX, APP_KEY_PREFIX
from gateway.selectors.directory import AppEntries, app_entries_list, live_keys_filter
from gateway.services.store import (
    APP_REVISION_PREFIX,
    APP_SCRIPT,
    REVISION_KEY,
    revision_next,
    store_open,
)
from marketplace.models import App

APPS_PER_BATCH = 500
"""Apps read from the database and written to Valkey at a time by a whole rebuild."""
KEYS_PER_BATCH = 1_000
"""Directory keys looked at in one go when searching for ones that no credential has any more."""
DIRECTORY_PATTERNS = (f"{APP_KEY_PREFIX}*", f"{APP_CODE_PREFIX}*")


def app_publish(*, app_id: UUID) -> bool:
    """Write all entries of an app, remove those of its revoked and expired credentials, and tell every gateway.

    Returns False when a newer copy is published already (then nothing changes). Raises StoreUnreachable.
    """
    revision = revision_next()
    entries = app_entries_list([app_id], now=timezone.now()) or [AppEntries(app_id)]
    with store_open() as store:
        return _write(store, entries[0], revision, message=f"app:{app_id}")


def directory_publish_all() -> int:
    """Write the entries of every app, in batches, telling nobody yet. Returns how many apps. Raises StoreUnreachable; safe to repeat."""
    count = 0
    for batch in _app_ids_batched():
        revision = revision_next()
        entries = app_entries_list(batch, now=timezone.now())
        with store_open() as store:
            for app in entries:
                _write(store, app, revision, message="")
        count += len(entries)
    return count


def directory_sweep() -> int:
    """Delete directory keys of credentials that are not live (any more, or in this database). Returns how many."""
    gone = 0
    with store_open() as store:
        for pattern in DIRECTORY_PATTERNS:
            for keys in _keys_batched(store, pattern):
                dead = set(keys) - live_keys_filter(keys, now=timezone.now())
                gone += store.delete(*dead) if dead else 0
    return gone


def _write(store: Redis, app: AppEntries, revision: int, *, message: str) -> bool:
    keys = [f"{APP_REVISION_PREFIX}{app.app_id}", REVISION_KEY, *app.live, *app.ended]
    live = [json.dumps({**entry, "revision": revision}, separators=(",", ":")) for entry in app.live.values()]
    values = [str(revision), message, *live, *([""] * len(app.ended))]
    return bool(store.register_script(APP_SCRIPT)(keys=keys, args=values))


def _app_ids_batched() -> Iterator[list[UUID]]:
    """Every app, by id, a batch at a time: deleted ones too, since their keys must go."""
    last: UUID | None = None
    while True:
        apps = App.objects.order_by("id") if last is None else App.objects.order_by("id").filter(id__gt=last)
        batch = list(apps.values_list("id", flat=True)[:APPS_PER_BATCH])
        if not batch:
            return
        yield batch
        last = batch[-1]


def _keys_batched(store: Redis, pattern: str) -> Iterator[list[str]]:
    batch: list[str] = []
    for key in store.scan_iter(match=pattern, count=KEYS_PER_BATCH):
        batch.append(key)
        if len(batch) >= KEYS_PER_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
