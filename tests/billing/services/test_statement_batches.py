"""Statements are computed batch by batch, however many providers there are, and one that is wrong keeps no other from its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from billing.errors import LedgerDisagrees
from billing.models import ProviderStatement
from billing.services import statement_batches, statements
from billing.services.statement_batches import statements_batch
from billing.tasks import statements_compute
from marketplace.models import Operation, Organization
from marketplace.services import accounts, catalog
from tests.billing.world import FEE, World, close, issue, moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

NOW = moment("2026-11-20T04:10")


@pytest.fixture
def providers(world: World) -> list[Organization]:
    """Five providers, by id, each with one invoice of October, issued in November, and the first with one more in October."""
    found = []
    for number in range(5):
        provider = accounts.organization_create(name=f"Provider {number}", person=world.alice, is_provider=True)
        api = catalog.api_create(provider=provider, name=f"Api {number}", base_path=f"/api{number}", person=world.alice)
        Operation.objects.create(api=api, method="GET", path_template="/now", name="now")
        theirs = World(world.alice, provider, world.bob, world.consumer, api, world.app)
        theirs.subscribe(theirs.plan(FEE), "2026-09-01" if number == 0 else "2026-10-01")
        found.append(provider)
    for at in ("2026-10-01T02:00", "2026-11-01T02:00"):
        for draft in close(at):
            issue(draft, at)
    return found


def batches(now: datetime) -> Iterator[statement_batches.Batch]:
    """A run, batch after batch."""
    batch = statements_batch(now=now)
    yield batch
    while batch.after:
        batch = statements_batch(now=now, after=batch.after)
        yield batch


def computed() -> list[tuple[str, str, int]]:
    rows = ProviderStatement.objects.order_by("month", "provider_id")
    return [(f"{row.month:%m}", row.provider.name, row.gross_minor) for row in rows.select_related("provider")]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_every_size_of_batch_computes_each_statement_of_both_months_once(
    providers: list[Organization], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(statement_batches, "PROVIDERS_PER_BATCH", size)
    assert sum(batch.statements for batch in batches(NOW)) == 6
    expected = [("10", "Provider 0", 3000), *(("11", provider.name, 3000) for provider in providers)]
    assert computed() == expected
    assert sum(batch.statements for batch in batches(NOW)) == 6
    assert computed() == expected


def test_one_that_is_wrong_or_takes_too_long_is_named_and_passed_over(
    providers: list[Organization], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = statements.statement_compute

    def compute(*, provider: Organization, **given: Any) -> ProviderStatement | None:
        if provider == providers[1]:
            raise LedgerDisagrees("differs")
        if provider == providers[2]:
            raise SoftTimeLimitExceeded
        return real(provider=provider, **given)

    monkeypatch.setattr(statements, "statement_compute", compute)
    wrong = [text for batch in batches(NOW) for text in batch.wrong]
    assert wrong == 2 * [  # near the end of October, so in the reach of both months
        f"{providers[1].public_id}: differs",
        f"{providers[2].public_id}: it takes longer than a task may",
    ]
    assert [name for month, name, _gross in computed() if month == "11"] == ["Provider 0", "Provider 3", "Provider 4"]


def test_the_task_sends_for_the_next_batch_before_it_fails_for_what_is_wrong(
    providers: list[Organization], monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr("celery.Celery.send_task", lambda _app, name, args, **_options: sent.append((name, args)))
    monkeypatch.setattr(statement_batches, "PROVIDERS_PER_BATCH", 2)
    monkeypatch.setattr(timezone, "now", lambda: NOW)

    def compute(**_given: Any) -> None:
        raise LedgerDisagrees("differs")

    monkeypatch.setattr(statements, "statement_compute", compute)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(RuntimeError, match="differs"):
        statements_compute(f"2026-11-01|{providers[0].id}")
    assert sent == [("billing.tasks.statements_compute", [f"2026-11-01|{providers[2].id}"])]
