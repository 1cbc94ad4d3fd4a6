"""The whole story, once, from an empty installation to a paid invoice: a real browser, real HTTP, real processes."""

from pathlib import Path
from typing import Any

from tests import people
from tests.journeys import caller, consumer, finance, provider
from tests.journeys.consumer import FREE_APP, OTHER_APP, PAID_APP
from tests.journeys.town import town_open
from tests.journeys.windows import PASSWORD, window


def test_the_whole_story_from_a_document_to_a_paid_invoice(
    live_environment: dict[str, str], browser: Any, tmp_path: Path
) -> None:
    alice, fiona = people.alice(), people.finance()
    assert people.PASSWORD == PASSWORD
    with (
        town_open(live_environment) as town,
        window(browser, town.portal_url) as hers,
        window(browser, town.portal_url) as theirs,
        window(browser, town.portal_url) as office,
    ):
        hers.log_in(alice.person.email)
        published = provider.api_publish(hers, town, organization=alice.organization.slug)

        slug = consumer.sign_up(theirs, town)
        consumer.billing_details_set(theirs, slug)
        consumer.subscribe(theirs, published, plan="Free", app=FREE_APP, word=consumer.CHINESE)
        fee = consumer.subscribe(theirs, published, plan="Standard", app=PAID_APP, word=consumer.ENGLISH)
        consumer.app_make(theirs, slug, app=OTHER_APP)
        free, paid, other = (
            consumer.credentials_take(theirs, slug, app=app) for app in (FREE_APP, PAID_APP, OTHER_APP)
        )

        first = caller.first_calls(town, published, free)
        town.wait("called to shown", lambda: consumer.calls_shown(theirs, slug) >= first)
        caller.quota_exhaust(town, published, free, used=first)
        served = caller.rate_exceed(town, published, paid)
        caller.rights_refuse(town, published, other)

        town.wait(
            "all calls shown", lambda: consumer.calls_succeeded(theirs, slug) >= provider.FREE_UNITS + len(served)
        )
        finance.period_close(town, fee=fee, calls=len(served))
        office.log_in(fiona.email)
        finance.invoice_review(office, calls=len(served), request_ids=served)
        issued = finance.invoice_issue(office)
        finance.invoice_mailed(town, issued)
        finance.transfer_record(office, issued)
        finance.statement_prepare(office)

        evidence = finance.consumer_sees(theirs, slug, issued)
        finance.evidence_recompute(town, evidence, tmp_path)
        finance.journal_audit(town, request_ids=served)
        finance.statement_shows(hers, alice.organization.slug, issued)

        sample = provider.sample_publish(hers, town, organization=alice.organization.slug)
        consumer.subscribe(theirs, sample, plan="Free", app=consumer.SAMPLE_APP, word=consumer.SAMPLE_WORD)
        caller.sample_calls(town, sample, consumer.credentials_take(theirs, slug, app=consumer.SAMPLE_APP))
        print({name: round(seconds, 1) for name, seconds in town.took_s.items()})
