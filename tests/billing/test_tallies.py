"""Reading tallies for meters: what no meter tells apart is read as one sum, and no meter counts differently for it."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from billing.models import Meter
from billing.selectors.tallies import meter_hours, meter_spec, tallies_by_grant
from billing.services.plans import meter_create
from billing.services.usage import usage_rebuild
from marketplace.models import Operation, UsageTally
from tests.billing.world import FEE, calls, moment

if TYPE_CHECKING:
    from tests.billing.world import World

HOURS = ("2026-10-05T10:00", "2026-10-05T11:00")


def test_meters_that_list_overlapping_operations_count_each_call_as_if_every_operation_were_read(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE), "2026-10-01")
    names = ("now", "week", "map", "alert")
    operations = [world.api.operations.get(name="now")]
    operations += [
        Operation.objects.create(api=world.api, method="GET", path_template=f"/{name}", name=name) for name in names[1:]
    ]
    ids = [operation.id for operation in operations]
    for place, listed in enumerate([*combinations(ids[:3], 2), (ids[0],), ()]):
        meter_create(api=world.api, name=f"Meter {place}", operations=list(listed), person=world.alice)
    units = 1
    for hour in HOURS:
        for operation_id in (*ids, None):
            for outcome in ("succeeded", "client_error", "upstream_failed"):
                calls(subscription, hour, units, outcome=outcome, operation_id=operation_id)
                units *= 2
    meters = list(Meter.objects.filter(api=world.api))
    found = tallies_by_grant(grant_ids=[subscription.grant_id], meters=meters)[subscription.grant_id]
    assert len(found) == len(HOURS) * 3 * 4, "three classes of operations, and the rest"

    expected = {}
    for meter in meters:
        spec = meter_spec(meter)
        for hour in map(moment, HOURS):
            rows = UsageTally.objects.filter(grant_id=subscription.grant_id, hour=hour)
            ours = [
                row for row in rows if spec.counts(row.outcome, str(row.operation_id) if row.operation_id else None)
            ]
            expected[meter.id, hour] = sum(row.units for row in ours)
    assert meter_hours(meters, found) == {key: quantity for key, quantity in expected.items() if quantity}
    usage_rebuild(now=moment("2026-10-06"))
    recorded = {(row.meter_id, row.hour): row.quantity for row in subscription.usage_records.all()}
    assert recorded == {key: quantity for key, quantity in expected.items() if quantity}
