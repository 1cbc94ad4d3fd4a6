"""Operators of the platform suspend and resume by REST; owners and strangers do not; each deed is in the trail."""

import pytest

from marketplace.models import Api, App, AuditEvent, Change, Organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(charlie):
    """Charlie as an operator: a member of nobody's organization but his own."""
    charlie.person.is_platform_operator = True
    charlie.person.save()
    return charlie


@pytest.fixture
def subjects(bob, api, app) -> dict[str, Organization | Api | App]:
    return {"organizations": bob.organization, "apis": api, "apps": app}


@pytest.mark.parametrize("noun", ["organizations", "apis", "apps"])
def test_an_operator_suspends_and_resumes_with_a_reason_in_the_trail(operator, caller, app, subjects, noun) -> None:
    subject, charlie = subjects[noun], caller(operator)
    for verb, is_suspended in (("suspend", True), ("suspend", True), ("resume", False)):
        before = Change.objects.count()
        answer = charlie.post(f"{noun}/{subject.public_id}/{verb}", {"reason": f"they asked to {verb}"})
        assert answer.status_code == 200, answer.content
        assert answer.json()["is_suspended"] is is_suspended
        subject.refresh_from_db()
        assert subject.is_suspended is is_suspended
        assert Change.objects.count() > before, "the gateways are told"
        deed = AuditEvent.objects.order_by("id").last()
        assert (deed.verb, deed.subject) == (f"{noun[:-1]}.{verb}", subject.public_id)
        assert (deed.person, deed.detail["reason"]) == (operator.person, f"they asked to {verb}")


@pytest.mark.parametrize("noun", ["organizations", "apis", "apps"])
def test_nobody_else_may_not_even_the_owner_and_not_an_organizations_token(
    alice, bob, operator, caller, nobody, subjects, noun
) -> None:
    path, body = f"{noun}/{subjects[noun].public_id}/suspend", {"reason": "because"}
    for refused in (caller(alice), caller(bob), caller(operator, is_organizational=True)):
        answer = refused.post(path, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "operator_required")
    assert nobody.post(path, body).status_code == 401
    subjects[noun].refresh_from_db()
    assert not subjects[noun].is_suspended


def test_a_reason_is_required_and_what_is_not_there_is_not_found(operator, caller, app) -> None:
    charlie = caller(operator)
    assert charlie.post(f"apps/{app.public_id}/suspend").json()["errors"][0]["pointer"] == "/reason"
    assert charlie.post(f"apis/{app.public_id}/suspend", {"reason": "x"}).status_code == 404
    assert charlie.post("organizations/nobody/suspend", {"reason": "x"}).status_code == 404
    narrow = caller(operator, scopes=["apps:read"])
    assert narrow.post(f"apps/{app.public_id}/suspend", {"reason": "x"}).json()["code"] == "scope_missing"
