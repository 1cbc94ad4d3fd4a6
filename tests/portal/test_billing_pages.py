"""Billing's pages without a browser: who may open which, and input that is hostile: refused with a sentence, never a 500."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uuid_utils.compat
from django.test import Client
from django.utils import timezone

from tests.people import client_of
from tests.portal.money_scene import Money, money_make, pages_list
from tests.portal.scene import Scene, person_make, scene_make

pytestmark = pytest.mark.django_db

HUGE = "9" * 60
HOSTILE = ["", "abc", "-5", "1e9", "NaN", HUGE, "0.1234567890123", "1,5", "a\x00b", "١٢", "<script>alert(1)</script>"]


@pytest.fixture(scope="module")
def built(django_db_setup: None, django_db_blocker: Any) -> Any:
    """The scene and its money, made once for this module in a transaction that is rolled back."""
    from django.db import transaction

    with django_db_blocker.unblock():
        outer = transaction.atomic()
        outer.__enter__()
        try:
            scene = scene_make(is_light=True)
            yield scene, money_make(scene)
        finally:
            transaction.set_rollback(True)
            outer.__exit__(None, None, None)


@pytest.fixture
def scene(built: tuple[Scene, Money]) -> Scene:
    return built[0]


@pytest.fixture
def money(built: tuple[Scene, Money]) -> Money:
    return built[1]


def private_paths(scene: Scene, money: Money, head: str) -> list[str]:
    return [path for _name, _who, path in pages_list(scene, money) if path.startswith(head)]


def statuses(client: Client, paths: list[str]) -> dict[str, int]:
    return {path: client.get(path).status_code for path in paths}


def test_strangers_are_told_that_no_page_exists(scene: Scene, money: Money) -> None:
    paths = private_paths(scene, money, "/o/") + private_paths(scene, money, "/finance/")
    assert len(paths) > 30
    assert statuses(client_of(scene.charlie), paths) == dict.fromkeys(paths, 404)
    own = f"/o/{scene.stranger.slug}"
    foreign = [
        f"{own}/subscriptions/{money.subscription.public_id}/",
        f"{own}/invoices/{money.issued.public_id}/",
        f"{own}/invoices/{money.issued.public_id}/pdf/",
        f"{own}/subscribe/{money.draft_plan.public_id}/",
    ]
    assert statuses(client_of(scene.charlie), foreign) == dict.fromkeys(foreign, 404)


def test_finance_pages_are_for_the_platforms_finance_alone(scene: Scene, money: Money) -> None:
    paths = private_paths(scene, money, "/finance/")
    for person in (scene.bob, scene.alice, scene.oscar):
        assert statuses(client_of(person), paths) == dict.fromkeys(paths, 404)
    assert statuses(client_of(money.fiona), paths) == dict.fromkeys(paths, 200)
    step = f"/finance/invoices/{money.draft.public_id}/steps/submit/"
    assert client_of(scene.bob).post(step).status_code == 404


def test_the_platforms_finance_lands_on_its_home_after_the_login(scene: Scene, money: Money) -> None:
    assert client_of(money.fiona).get("/").headers["Location"] == "/finance/"


def test_developers_see_subscriptions_but_no_invoices_and_viewers_neither(scene: Scene, money: Money) -> None:
    from marketplace.services.accounts import member_add

    developer, viewer = person_make("dev@bluebird.example", "Dee"), person_make("view@bluebird.example", "Vee")
    member_add(organization=scene.bluebird, person=developer, role="developer")
    member_add(organization=scene.bluebird, person=viewer, role="viewer")
    home = f"/o/{scene.bluebird.slug}"
    subscription = f"{home}/subscriptions/{money.subscription.public_id}/"
    bills = [f"{home}/invoices/", f"{home}/invoices/{money.issued.public_id}/pdf/"]
    assert client_of(developer).get(subscription).status_code == 200
    assert client_of(developer).post(f"{subscription}cancel/").status_code == 403
    assert statuses(client_of(developer), bills) == dict.fromkeys(bills, 403)
    assert statuses(client_of(viewer), [subscription, *bills]) == dict.fromkeys([subscription, *bills], 403)
    refused = client_of(developer).post(
        f"{home}/subscribe/{money.business.public_id}/",
        {"app": scene.app.public_id, "stage": "release"},
    )
    assert "Your role may not subscribe to this plan" in refused.content.decode()


def test_a_draft_invoice_is_hidden_from_its_consumer(scene: Scene, money: Money) -> None:
    path = f"/o/{scene.bluebird.slug}/invoices/{money.draft.public_id}/"
    assert client_of(scene.bob).get(path).status_code == 404


@pytest.mark.parametrize("value", HOSTILE)
def test_the_calculator_refuses_what_is_no_number_of_calls(scene: Scene, money: Money, value: str) -> None:
    answer = Client().get(f"/apis/{scene.api.slug}/pricing/", {"calls": value})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.content.decode()
    assert ('class="field-error"' in answer.content.decode()) is (value != "١٢")


@pytest.mark.parametrize("value", HOSTILE)
def test_a_plan_form_answers_hostile_numbers_at_their_fields(scene: Scene, money: Money, value: str) -> None:
    names = ("fee", "unit_amount", "included_units", "rate_calls", "quota_units", "period_months", "tier_0_up_to")
    path = f"/o/{scene.nimbus.slug}/provider/apis/{scene.api.public_id}/plans/new/"
    plain = {"name": "Odd", "currency": "EUR", "period_months": "1", "alignment": "calendar", "model": "per_unit"}
    plain |= {"unit_amount": "1", "rate_period": "1", "quota_window": "day", "quota_end": "hard"}
    client = client_of(scene.alice)
    for name in names:
        answer = client.post(path, {**plain, "name": f"Odd {name} {HOSTILE.index(value)}", name: value})
        assert answer.status_code in (200, 302), name
        if value in ("abc", "-5", "a\x00b", HUGE, "NaN") and name != "tier_0_up_to":
            assert answer.status_code == 200, (name, value)
            assert "field-error" in answer.content.decode(), (name, value)
    refused = client.post(path, {**plain, "currency": "XXX"}).content.decode()
    assert "Choose an ISO 4217 currency of the list" in refused


def test_thirteen_decimal_places_are_refused_and_twelve_are_kept(scene: Scene, money: Money) -> None:
    path = f"/o/{scene.nimbus.slug}/provider/apis/{scene.api.public_id}/plans/new/"
    plain = {"name": "Fine", "currency": "EUR", "period_months": "1", "alignment": "calendar", "model": "per_unit"}
    plain |= {"rate_period": "1", "quota_window": "day", "quota_end": "hard"}
    client = client_of(scene.alice)
    refused = client.post(path, {**plain, "unit_amount": "0.1234567890123"})
    assert "at most 12 places" in refused.content.decode()
    assert client.post(path, {**plain, "unit_amount": "0.123456789012"}).status_code == 302
    assert str(scene.api.plans.get(name="Fine").prices.get().unit_amount) == "0.123456789012"


@pytest.mark.parametrize("value", HOSTILE)
def test_a_transfer_of_a_hostile_amount_is_refused_at_its_field(scene: Scene, money: Money, value: str) -> None:
    path = f"/finance/invoices/{money.unpaid.public_id}/payments/"
    client = client_of(money.fiona)
    good = {"amount": "1.00", "reference": "R", "received_on": timezone.localdate().isoformat()}
    answer = client.post(path, {**good, "amount": value})
    assert answer.status_code == 400
    assert "field-error" in answer.content.decode()
    for name in ("reference", "received_on"):
        other = client.post(path, {**good, name: "\x00" if value == "a\x00b" else value[:0]})
        assert other.status_code == 400, name
    assert money.unpaid.payments.count() == 0


def test_a_form_that_was_sent_twice_records_one_transfer(scene: Scene, money: Money) -> None:
    path = f"/finance/invoices/{money.unpaid.public_id}/payments/"
    client = client_of(money.fiona)
    sent = {"amount": "1.00", "reference": "R", "received_on": timezone.localdate().isoformat()}
    sent["key"] = str(uuid_utils.compat.uuid7())
    assert [client.post(path, sent).status_code for _ in range(2)] == [302, 302]
    assert money.unpaid.payments.count() == 1


def test_a_void_needs_a_reason_and_months_are_months(scene: Scene, money: Money) -> None:
    client = client_of(money.fiona)
    void = f"/finance/invoices/{money.unpaid.public_id}/void/"
    for reason in ("", "\x00", "x" * 301):
        assert "field-error" in client.post(void, {"reason": reason}).content.decode()
    for month in ("2026-13", "0000-01", "9999-12", "abc", "\x00", "2026-1"):
        for path, more in (("/finance/statements/", {}), ("/finance/closing/", {"scope": "month"})):
            answer = client.post(path, {"month": month, **more})
            assert answer.status_code == 200
            assert "such as 2026-10" in answer.content.decode() or "Null characters" in answer.content.decode()


def test_addresses_that_are_nonsense_do_not_exist(scene: Scene, money: Money) -> None:
    line = money.issued.lines.get(meter__isnull=False)
    base = f"/finance/invoices/{money.issued.public_id}"
    paths = [
        f"{base}/lines/nonsense/",
        f"{base}/lines/{line.public_id}/2026-99-99T99Z/",
        f"{base}/lines/{line.public_id}/1999-01-01T00Z/",
        "/finance/invoices/inv_nonsense/",
        "/finance/closing/nothing/",
        "/finance/ledger/accounts/lac_0/",
        "/finance/ledger/transactions/ltx_0/",
        "/finance/statements/pst_0/",
        f"/o/{scene.bluebird.slug}/subscribe/pln_0/",
    ]
    client = client_of(money.fiona)
    assert statuses(client, paths[:-1]) == dict.fromkeys(paths[:-1], 404)
    assert client_of(scene.bob).get(paths[-1]).status_code == 404


def test_an_hour_of_a_line_shows_the_very_calls(scene: Scene, money: Money, tmp_path: Path, settings: Any) -> None:
    from tests.billing.kept import event_make, segment_keep
    from tests.billing.world import calls, close, issue

    subscription = money.subscription
    subscription.refresh_from_db()
    hour = subscription.current_period_start + timedelta(hours=30)
    boot = uuid_utils.compat.uuid7()
    event = event_make(subscription, hour, boot, latency_us=12_345)
    settings.TOLLGATE = dataclasses.replace(settings.TOLLGATE, evidence_dir=tmp_path)
    calls(subscription, hour, 1, **segment_keep(boot, [event], tmp_path))
    end = subscription.current_period_end + timedelta(hours=3)
    drafts = close(end.isoformat())
    invoice = issue(next(one for one in drafts if one.period_start <= hour < one.period_end), end.isoformat())
    line = invoice.lines.get(meter__isnull=False, period_start__lte=hour, period_end__gt=hour)
    path = f"/o/{scene.bluebird.slug}/invoices/{invoice.public_id}/lines/{line.public_id}/{hour:%Y-%m-%dT%HZ}/"
    shown = client_of(scene.bob).get(path).content.decode()
    assert str(event.id) in shown
    assert "12.3" in shown


def test_closing_is_a_job_whose_row_outlives_the_page(scene: Scene, money: Money, valkey: Any) -> None:
    from billing.services.closing_jobs import closing_list
    from billing.tasks import period_close

    client = client_of(money.fiona)
    page = "/finance/closing/"
    assert client.post(page, {"scope": "ended"}).status_code == 302
    (job,) = closing_list()
    assert "Waiting for a worker" in client.get(page).content.decode()
    period_close(job.id, {})
    assert "Done" in client.get(f"{page}{job.id}/").content.decode()
    client.post(page, {"scope": "ended"})
    second = closing_list()[0]
    assert client.post(f"{page}{second.id}/stop/").status_code == 302
    period_close(second.id, {})
    shown = client.get(page).content.decode()
    assert "Cancelled" in shown and "Done" in shown


def test_a_transfer_of_more_than_is_due_is_recorded_only_when_it_is_said(scene: Scene, money: Money) -> None:
    path = f"/finance/invoices/{money.unpaid.public_id}/payments/"
    client = client_of(money.fiona)
    sent = {"amount": "99999", "reference": "R", "received_on": timezone.localdate().isoformat()}
    sent["key"] = str(uuid_utils.compat.uuid7())
    asked = client.post(path, sent)
    assert asked.status_code == 400 and money.unpaid.payments.count() == 0
    page = asked.content.decode()
    assert "more than is due" in page and 'name="more"' in page and 'value="99999"' in page
    assert [client.post(path, {**sent, "more": "on"}).status_code for _ in range(2)] == [302, 302]
    assert client.post(path, sent).status_code == 302
    assert money.unpaid.payments.count() == 1
