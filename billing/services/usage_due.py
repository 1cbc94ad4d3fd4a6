"""Make it so: count what has arrived. Hours with new tallies are noted as due, and worked off a bounded batch at a time.

A journal segment is noted once, so a subscription costs nothing until something new arrives for it, and segments that commit out
of order are not passed over. What has been due for longest is counted first, whichever task did not get to it: a subscription that
is called all the time goes to the end each time. The records and the end of being due are one transaction, so that a worker may die
at any moment. The counting itself is services/usage.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max, Min

from billing.models import SegmentNoted, UsageDue
from billing.services.locks import work_lock
from billing.services.queue import RUN_STOPS
from billing.services.usage import HOUR, Rebuilt, hour_runs, usage_rebuild

SUBSCRIPTIONS_PER_BATCH = 200
"""Subscriptions that one task counts at most; the rest is for the next task."""

SEGMENTS_PER_BATCH = 1_000
"""Journal segments that one task notes at most."""

BATCH_S = 60
"""A task that has counted for this long leaves the rest to the next one, far from Celery's time limit."""

OVERLAP = timedelta(hours=1)
"""How much earlier than the newest noted segment one may have been received that is not visible yet: segments commit out of order."""

FIRST_LOOK = timedelta(days=3)
"""How far back the first look of all goes. What is older is counted when its period is drafted."""

PUT_OFF = timedelta(minutes=10)
"""When a subscription that could not be counted is tried again."""

_NOTE = """
WITH fresh AS MATERIALIZED (
  SELECT segment.id, segment.received_at FROM marketplace_usagesegment segment
  WHERE segment.received_at >= %(since)s
    AND NOT EXISTS (SELECT 1 FROM billing_segmentnoted noted WHERE noted.segment_id = segment.id)
  ORDER BY segment.received_at LIMIT %(limit)s
), noted AS (
  INSERT INTO billing_segmentnoted (segment_id, received_at) SELECT id, received_at FROM fresh
), due AS (
  INSERT INTO billing_usagedue (subscription_id, hour, due_at)
  SELECT DISTINCT subscription.id, tally.hour, %(now)s::timestamptz
  FROM fresh
  JOIN marketplace_usagetally tally ON tally.segment_id = fresh.id
  JOIN billing_subscription subscription ON subscription.grant_id = tally.grant_id
  ORDER BY 1, 2
  ON CONFLICT (subscription_id, hour) DO UPDATE SET due_at = LEAST(billing_usagedue.due_at, excluded.due_at)
)
SELECT count(*) FROM fresh
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one task counted, and where the next goes on: ``after`` is when the run began, empty when all due then is done."""

    rebuilt: Rebuilt = field(default_factory=Rebuilt)
    after: str = ""


def usage_due_batch(*, now: datetime, after: str = "") -> Batch:
    """Note what has arrived, then count what has been due for longest. Nothing while another task is at it. Safe to repeat.

    ``after`` is the batch before's; a run leaves what became due after it began to the next run, so that it ends.
    """
    began = datetime.fromisoformat(after) if after else now
    with work_lock("usage_rebuild") as is_ours:
        if not is_ours:
            return Batch()
        is_all_noted = segments_note(now=now) < SEGMENTS_PER_BATCH
        rebuilt = _due_count(began, now)
    is_done = is_all_noted and not UsageDue.objects.filter(due_at__lte=began).exists()
    return Batch(rebuilt, "" if is_done else began.isoformat())


@transaction.atomic
def segments_note(*, now: datetime) -> int:
    """Have the hours of segments that were not noted before be due, the oldest segments first. Returns how many were noted."""
    newest = SegmentNoted.objects.aggregate(at=Max("received_at"))["at"]
    since = newest - OVERLAP if newest else now - FIRST_LOOK
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {"since": since, "limit": SEGMENTS_PER_BATCH, "now": now})
        (noted,) = cursor.fetchone()
    SegmentNoted.objects.filter(received_at__lt=since).delete()
    return int(noted)


def _due_count(began: datetime, now: datetime) -> Rebuilt:
    """Count the subscriptions that have been due for longest, those with the same hours together."""
    due = UsageDue.objects.filter(due_at__lte=began)
    oldest = due.values("subscription_id").annotate(oldest=Min("due_at")).order_by("oldest", "subscription_id")
    ids = [row["subscription_id"] for row in oldest[:SUBSCRIPTIONS_PER_BATCH]]
    hours: defaultdict[UUID, list[datetime]] = defaultdict(list)
    for subscription_id, hour in (
        due.filter(subscription_id__in=ids).order_by("hour").values_list("subscription_id", "hour")
    ):
        hours[subscription_id].append(hour)
    alike: defaultdict[tuple[datetime, datetime], list[UUID]] = defaultdict(list)
    for subscription_id in ids:
        for run in hour_runs(hours[subscription_id]):
            alike[run].append(subscription_id)
    started, total = time.monotonic(), Rebuilt()
    for (first, last), alike_ids in alike.items():
        total += _alike_count(alike_ids, (first, last), now)
        if time.monotonic() - started > BATCH_S:
            break
    return total


def _alike_count(ids: Sequence[UUID], run: tuple[datetime, datetime], now: datetime) -> Rebuilt:
    """Count the same hours of several subscriptions; when that fails, each by itself, and put off the one that does."""
    try:
        return _hours_count(ids, run, now)
    except RUN_STOPS:
        raise
    except Exception:
        if len(ids) == 1:
            logger.exception("put off: usage of subscription %s from %s to %s could not be counted", ids[0], *run)
            UsageDue.objects.filter(subscription_id=ids[0], hour__range=run).update(due_at=now + PUT_OFF)
            return Rebuilt()
    total = Rebuilt()
    for subscription_id in ids:
        total += _alike_count([subscription_id], run, now)
    return total


@transaction.atomic
def _hours_count(ids: Sequence[UUID], run: tuple[datetime, datetime], now: datetime) -> Rebuilt:
    """Rebuild and take off what is due. Its rows are locked first: who notes the same hours waits, and has them due again."""
    due = UsageDue.objects.filter(subscription_id__in=ids, hour__range=run).order_by("subscription_id", "hour")
    locked = list(due.select_for_update().values_list("id", flat=True))
    rebuilt = usage_rebuild(since=run[0], until=run[1] + HOUR, subscription_ids=ids, now=now)
    UsageDue.objects.filter(id__in=locked).delete()
    return rebuilt
