"""Directory: who an AppKey or AppCode belongs to and what that app may call: a bounded cache in front of Valkey.

Hot look-ups are synchronous and answer from the cache only; a miss is loaded once, however many calls wait for it. Entries are
dropped by push (``tg:invalidate``). When pushes may have been missed, every entry is checked again at its next use. While
Valkey is down, or has lost its data and is being refilled, known entries go on working. Limits become buckets in leases.py.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from gateway.core.store_keys import APP_CODE_PREFIX, APP_KEY_PREFIX, COMPLETE_KEY, INVALIDATE_CHANNEL
from gateway.dataplane.resp import StoreDown, StoreFault
from marketplace.contracts.limits import Limits, LimitsTurn
from marketplace.contracts.segment import caller_pack
from marketplace.core.secrets import KeyRing, SecretFault

if TYPE_CHECKING:
    from gateway.dataplane.leases import Leases
    from gateway.dataplane.quota_bucket import QuotaHandle
    from gateway.dataplane.rate_bucket import RateBucket
    from gateway.dataplane.store import Store
    from gateway.dataplane.subscriber import Subscriber

ENTRIES_MAX = 20_000
"""Most credentials in one worker's cache; the one that was not used for longest is dropped."""
LOOK_UP_S_MAX = 0.5
"""Longest wait for an entry: without it there is nothing that the call could go on with."""
UNKNOWN_S = 1.0
UNKNOWN_MAX = 10_000
"""How long, and how many, unknown credentials are remembered as such, so that a flood of them costs Valkey little."""
RECHECK_S = 1.0
"""While no subscription is live, entries are checked this often."""


class GrantEntry:
    """A grant as the steps use it. ``quota`` and ``rates`` are shared by all credentials of the grant (leases.py owns them).

    ``starts_at``, ``ends_at`` and ``turns_at`` are Unix seconds; at ``turns_at`` other limits take over: whoever sees that it
    has come calls ``turned``, before anything is taken. ``buckets`` (of which policies: ``buckets_for``) belong to
    steps/limit.py, the text of ``policy`` (of which bucket: ``policy_for``) to steps/quota.py.
    """

    __slots__ = (
        "api_id",
        "buckets",
        "buckets_for",
        "ends_at",
        "id",
        "id_bytes",
        "journal_prefix",
        "limits",
        "policy",
        "policy_for",
        "quota",
        "stage",
        "starts_at",
        "turn",
        "turns_at",
    )

    def __init__(self, value: Mapping[str, Any], *, app_id_bytes: bytes, limits: Limits) -> None:
        self.id: str = value["id"]
        self.id_bytes = UUID(self.id).bytes
        self.api_id: str = value["api_id"]
        self.stage: str = value["stage"]
        self.starts_at = float(value["starts_at"])
        self.ends_at: float | None = value.get("ends_at")
        self.limits = limits
        self.turn = LimitsTurn.of_grant(value["limits"])
        self.turns_at = float(self.turn.at) if self.turn is not None else math.inf
        self.journal_prefix = caller_pack(self.id_bytes, app_id_bytes)
        self.quota: QuotaHandle | None = None
        self.buckets: tuple[RateBucket, ...] = ()
        self.buckets_for: object = None
        self.policy = b""
        self.policy_for: object = None

    def turned(self, leases: Leases) -> None:
        """Let the other limits take over. What was used stays used, in windows that both have."""
        assert self.turn is not None
        self.limits, self.turn, self.turns_at = self.turn.limits, None, math.inf
        self.quota = leases.quota(self)
        self.buckets_for = self.policy_for = None


class Entry:
    """A live credential with its app and the app's grants by (Api id, stage).

    ``secret`` is the AppSecret of a key pair as bytes, decrypted once; None for an AppCode. ``expires_at`` is Unix seconds.
    """

    __slots__ = (
        "app_id",
        "app_id_bytes",
        "app_name",
        "credential_id",
        "expires_at",
        "grants",
        "is_stale",
        "journal_prefix",
        "kind",
        "marks",
        "organization_id",
        "organization_name",
        "secret",
        "suspended",
    )

    def __init__(self, value: Mapping[str, Any], *, secret: bytes | None) -> None:
        self.app_id: str = value["app_id"]
        self.app_id_bytes = UUID(self.app_id).bytes
        self.app_name: str = value["app_name"]
        self.organization_id: str = value["organization_id"]
        self.organization_name: str = value["organization_name"]
        self.suspended = bool(value["suspended"])
        self.credential_id: str = value["credential_id"]
        self.kind: str = value["kind"]
        self.secret = secret
        self.expires_at: float | None = value.get("expires_at")
        self.journal_prefix = caller_pack(None, self.app_id_bytes)
        self.grants: dict[tuple[str, str], GrantEntry] = {}
        self.marks: dict[str, Any] | None = None
        self.is_stale = False


class Directory:
    """The cache. ``hits`` are not counted (they are every call); ``misses``, ``invalidations`` and ``faults`` are."""

    def __init__(self, store: Store, leases: Leases, *, secret_keys: str) -> None:
        self._store = store
        self._leases = leases
        self._ring = KeyRing.parse(secret_keys) if secret_keys else None
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._apps: dict[str, set[str]] = {}
        self._unknown: dict[str, float] = {}
        self._loading: dict[str, asyncio.Task[Entry | None]] = {}
        self._generation = 0
        self._subscriber: Subscriber | None = None
        self._recheck: asyncio.TimerHandle | None = None
        self.misses = self.invalidations = self.faults = 0

    def watch(self, subscriber: Subscriber) -> None:
        """Follow the pushes. Call it once, from the worker's loop, before the subscriber starts."""
        self._subscriber = subscriber
        subscriber.listen(INVALIDATE_CHANNEL, self._pushed)
        subscriber.on_restored(self.revalidate)
        self._recheck = asyncio.get_running_loop().call_later(RECHECK_S, self._recheck_tick)

    def close(self) -> None:
        """Stop the timer of ``watch``."""
        if self._recheck is not None:
            self._recheck.cancel()

    def __len__(self) -> int:
        return len(self._entries)

    def report(self) -> dict[str, int]:
        """The counts, for the metrics."""
        return {"entries": len(self._entries), "misses": self.misses}

    def cached_by_key(self, key: str) -> Entry | None:
        """The entry of an AppKey, if it is cached and good; None says: load it."""
        return self._cached(APP_KEY_PREFIX + key)

    def cached_by_code(self, code_hash: str) -> Entry | None:
        """The entry of an AppCode by the hex SHA-256 of the code, if it is cached and good; None says: load it."""
        return self._cached(APP_CODE_PREFIX + code_hash)

    def _cached(self, name: str) -> Entry | None:
        entry = self._entries.get(name)
        if entry is None or entry.is_stale:
            return None
        self._entries.move_to_end(name)
        return entry

    async def load_by_key(self, key: str) -> Entry | None:
        """The entry of an AppKey from Valkey; None when there is none. Raises StoreDown."""
        return await self._load(APP_KEY_PREFIX + key)

    async def load_by_code(self, code_hash: str) -> Entry | None:
        """The entry of an AppCode from Valkey; None when there is none. Raises StoreDown."""
        return await self._load(APP_CODE_PREFIX + code_hash)

    async def _load(self, name: str) -> Entry | None:
        now = time.monotonic()
        if self._unknown.get(name, 0.0) > now:
            return None
        task = self._loading.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch(name))
            self._loading[name] = task
            task.add_done_callback(lambda _: self._loading.pop(name, None))
        return await asyncio.shield(task)

    async def _fetch(self, name: str) -> Entry | None:
        self.misses += 1
        generation = self._generation
        try:
            value = self._store.send_within(LOOK_UP_S_MAX, "GET", name)
            complete = self._store.send_within(LOOK_UP_S_MAX, "EXISTS", COMPLETE_KEY)
            source, is_complete = await value, await complete
        except (StoreDown, StoreFault) as fault:
            stale = self._entries.get(name)
            if stale is not None:  # known before: it works on while nobody can be asked
                return stale
            raise StoreDown(str(fault)) from fault
        if source is None:
            return self._absent(name, bool(is_complete))
        entry = self._build(source)
        if entry is None:
            self._drop(name)
            return None
        self._keep(name, entry, is_current=generation == self._generation)
        return entry

    def _absent(self, name: str, is_complete: bool) -> Entry | None:
        """No entry in Valkey: the credential is unknown or revoked, unless Valkey itself is being refilled."""
        if not is_complete:
            known = self._entries.get(name)
            if known is not None:
                return known
            raise StoreDown("the directory is being rebuilt")
        self._drop(name)
        if len(self._unknown) >= UNKNOWN_MAX:
            self._unknown.clear()
        self._unknown[name] = time.monotonic() + UNKNOWN_S
        return None

    def _build(self, source: bytes) -> Entry | None:
        """Make the entry; None, and a count for the metrics, when what was published cannot be used."""
        try:
            value = json.loads(source)
            secret = self._decrypt(value.get("secret", ""))
            entry = Entry(value, secret=secret)
            for item in value["grants"]:
                grant = GrantEntry(item, app_id_bytes=entry.app_id_bytes, limits=Limits.from_dict(item["limits"]))
                if grant.turns_at <= time.time():
                    grant.turned(self._leases)
                else:
                    grant.quota = self._leases.quota(grant)
                entry.grants[grant.api_id, grant.stage] = grant
        except (ValueError, KeyError, TypeError, SecretFault):
            self.faults += 1
            return None
        return entry

    def _decrypt(self, stored: str) -> bytes | None:
        if not stored:
            return None
        if self._ring is None:
            raise SecretFault("TOLLGATE_SECRET_KEYS is not set")
        return self._ring.decrypt(stored).encode()

    def _keep(self, name: str, entry: Entry, *, is_current: bool) -> None:
        entry.is_stale = not is_current  # something was pushed while it was on its way
        self._entries[name] = entry
        self._entries.move_to_end(name)
        self._apps.setdefault(entry.app_id, set()).add(name)
        if len(self._entries) > ENTRIES_MAX:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        entry.is_stale = True  # whoever still holds it must ask again
        names = self._apps.get(entry.app_id)
        if names is not None:
            names.discard(name)
            if not names:
                del self._apps[entry.app_id]

    def _pushed(self, message: bytes) -> None:
        kind, _, subject = message.decode("utf-8", "replace").partition(":")
        if kind == "all":
            self.revalidate()
        elif kind == "app":
            self.invalidations += 1
            self._generation += 1
            self._unknown.clear()
            for name in self._apps.get(subject, ()):
                self._entries[name].is_stale = True

    def revalidate(self) -> None:
        """Have every entry checked at its next use: pushes may have been missed."""
        self.invalidations += 1
        self._generation += 1
        self._unknown.clear()
        for entry in self._entries.values():
            entry.is_stale = True

    def _recheck_tick(self) -> None:
        self._recheck = asyncio.get_running_loop().call_later(RECHECK_S, self._recheck_tick)
        if self._subscriber is not None and not self._subscriber.is_live and self._store.is_up:
            self.revalidate()
