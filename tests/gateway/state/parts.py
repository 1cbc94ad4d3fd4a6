"""The parts of a worker without its HTTP side: a real store connection, journal, leases and directory, and calls that use them."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import uuid_utils.compat

from gateway.dataplane.call import Call
from gateway.dataplane.directory import Directory, GrantEntry
from gateway.dataplane.journal import Journal
from gateway.dataplane.journal_records import event_encode
from gateway.dataplane.lease_scripts import GENERATION_KEY
from gateway.dataplane.leases import TAKEN, WAIT, Leases
from gateway.dataplane.quota_bucket import QuotaHandle
from gateway.dataplane.store import Store
from gateway.dataplane.subscriber import Subscriber
from marketplace.contracts.limits import Limits, QuotaLimit
from tests.harness import TEST_SECRETS

API, OPERATION, APP, ORGANIZATION = (UUID(int=number) for number in (11, 12, 13, 14))
ROUTE = SimpleNamespace(api_id_bytes=API.bytes, operation_id_bytes=OPERATION.bytes, stage="release", journal_prefix=b"")


class Worker:
    """One worker's state, in this process. ``die`` leaves everything behind, as a kill would."""

    def __init__(self, folder: Path, *, valkey_url: str = "", seal_s: float = 0.2) -> None:
        url = valkey_url or os.environ["VALKEY_URL"]
        self.boot = uuid4()
        self.is_dead = False
        self.store = Store(url, deadline_ms=5_000)  # a busy machine is no fault here
        self.subscriber = Subscriber(url)
        self.journal = Journal(folder, node="test-node", boot=self.boot, seal_s=seal_s)
        self.leases = Leases(self.store, self.journal)
        self.directory = Directory(self.store, self.leases, secret_keys=TEST_SECRETS["TOLLGATE_SECRET_KEYS"])

    async def start(self) -> "Worker":
        self.journal.start()
        self.directory.watch(self.subscriber)
        await self.store.start()
        await self.leases.start(self.subscriber)
        await self.subscriber.start()
        return self

    async def close(self) -> None:
        self.journal.close()
        await self.leases.close()
        self.directory.close()
        await self.subscriber.close()
        await self.store.close()

    async def die(self) -> None:
        """Stop without giving anything back or sealing anything; the kernel frees the lock of the dead."""
        self.is_dead = True
        journal: Any = self.journal
        if journal._timer is not None:
            journal._timer.cancel()
        self.leases._clockwork.cancel()  # type: ignore[union-attr]
        self.directory.close()
        await self.subscriber.close()
        await self.store.close()
        os.close(journal._lock)

    def quota(self, grant_id: UUID, limit: QuotaLimit, *, plan: str = "Basic") -> QuotaHandle:
        handle = self.leases.quota(self.grant(grant_id, limit, plan=plan))
        assert handle is not None
        return handle

    def grant(self, grant_id: UUID, limit: QuotaLimit | None, *, plan: str = "Basic") -> GrantEntry:
        return GrantEntry(grant_dict(grant_id), app_id_bytes=APP.bytes, limits=Limits(plan_name=plan, quota=limit))

    async def call(
        self, handle: QuotaHandle, *, outcome: str = "succeeded", busy_s: float = 0.0, at: float = 0.0
    ) -> bytes | None:
        """One call through the quota and the journal: its id when it was answered, None when it was refused.

        ``at``: Unix second at which it began, when that is not now.
        """
        bucket = handle.at(at or time.time())
        verdict = bucket.try_take(time.monotonic())
        if verdict == WAIT and not await bucket.take_slow():
            return None
        if verdict not in (TAKEN, WAIT):
            return None
        if busy_s:
            await asyncio.sleep(busy_s)
        call = call_make(handle, outcome=outcome)
        call.taken = [bucket]
        self.leases.settle(call)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.journal.commit(event_encode(call), answered.set_result, call.request_id, answered.cancel)
        return await answered


def grant_dict(grant_id: UUID, limits: Limits | None = None) -> dict[str, Any]:
    """A grant as the directory has it."""
    value = {"id": str(grant_id), "api_id": str(API), "stage": "release", "starts_at": 0, "ends_at": None}
    return {**value, "limits": asdict(limits or Limits())}


def call_make(handle: QuotaHandle | None = None, *, outcome: str = "succeeded", status: int = 200) -> Call:
    """A call that is about to be answered."""
    call = Call()
    call.client = SimpleNamespace(sent=0)  # type: ignore[assignment]
    call.route = ROUTE  # type: ignore[assignment]
    grant_id = bytes.fromhex(handle.grant_hex) if handle is not None else UUID(int=99).bytes
    call.grant = SimpleNamespace(journal_prefix=grant_id + APP.bytes)  # type: ignore[assignment]
    call.entry = None
    call.taken = None
    call.request_id = uuid_utils.compat.uuid7().bytes
    call.started = time.monotonic()
    call.upstream_started = call.upstream_ended = 0.0
    call.status, call.outcome = status, outcome
    call.request_bytes, call.response_bytes, call.units = 10, 20, 0
    call.is_settled = False
    return call


def write(folder: Path, *, calls: int = 3, segments: int = 1, close: bool = True) -> Journal:
    """A journal with so many calls in so many segments."""

    async def run() -> Journal:
        journal = Journal(folder, node="n", boot=uuid4(), seal_s=60)
        journal.start()
        for _ in range(segments):
            for _ in range(calls):
                journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
            journal.seal()
        if close:
            journal.close()
        elif journal._timer is not None:
            journal._timer.cancel()
        return journal

    return asyncio.run(run())


@asynccontextmanager
async def workers(folder: Path, count: int, **options: Any) -> AsyncIterator[list[Worker]]:
    """Some workers, closed in good order at the end unless they died."""
    started = [await Worker(folder, **options).start() for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            if not worker.is_dead:
                await worker.close()


@contextmanager
def disk_full(beyond: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (beyond, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def generation_set(valkey: Any) -> None:
    """Say that the counters are complete, as the shipper does when it has found them so."""
    valkey.set(GENERATION_KEY, "first")
