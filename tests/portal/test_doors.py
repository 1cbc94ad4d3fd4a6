"""The ways into a session: the log-in is the only one, with its second factor; and what asks who one is once more."""

from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.contrib.auth.views import LoginView
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from time_machine import travel

from marketplace.models import Invitation, Person
from marketplace.services.accounts import organization_create
from marketplace.services.invitations import invitation_send, member_invite
from tests.people import client_of
from tests.portal.scene import PASSWORD, person_make

pytestmark = pytest.mark.django_db
STEP_S = 30
NOW = 1_700_000_010
FORM = {"name": "ci", "scopes": ["apps:read"], "days": "30"}


def operator_make() -> Person:
    """Oscar runs the platform, and has a password."""
    return person_make(
        "oscar@tollgate.example", "Oscar Ode", is_platform_operator=True, is_staff=True, is_superuser=True
    )


def log_in(client: Client, email: str, password: str = PASSWORD) -> str:
    """Send the log-in form; return where it leads."""
    return client.post("/accounts/login/", {"login": email, "password": password}).headers.get("Location", "")


def test_the_admin_is_entered_by_the_portals_log_in_with_its_second_factor() -> None:
    oscar, secret = operator_make(), generate_totp_secret()
    TOTP.activate(oscar, secret)
    client = Client()
    sent = client.post("/admin/login/?next=/admin/", {"username": oscar.email, "password": PASSWORD})
    assert (sent.status_code, sent["Location"]) == (302, "/accounts/login/?next=/admin/")
    assert "_auth_user_id" not in client.session
    assert log_in(client, oscar.email) == "/accounts/2fa/authenticate/"
    assert client.get("/operator/").status_code == client.get("/admin/").status_code == 302
    with travel(NOW, tick=False):
        client.post("/accounts/2fa/authenticate/", {"code": format_hotp_value(hotp_value(secret, NOW // STEP_S))})
        assert client.get("/operator/").status_code == client.get("/admin/").status_code == 200
        assert client.get("/admin/login/")["Location"] == "/admin/"
        assert client.get("/admin/password_change/")["Location"] == "/accounts/password/change/"


def test_guesses_at_the_admins_door_reach_no_password_and_others_find_no_admin() -> None:
    staff = person_make("staff@tollgate.example", "Stan Staff", is_staff=True, is_superuser=True)
    client = Client()
    for _attempt in range(3):
        assert client.post("/admin/login/", {"username": staff.email, "password": PASSWORD}).status_code == 302
    assert client.get("/admin/login/?next=https://evil.example/")["Location"] == "/accounts/login/?next=/admin/"
    client.force_login(staff)
    assert client.get("/admin/", follow=True).status_code == 404
    assert client.get("/admin/marketplace/person/", follow=True).status_code == 404


def test_no_address_serves_the_frameworks_own_log_in() -> None:
    doors = [pattern for pattern in _patterns(get_resolver()) if "login" in str(pattern.pattern)]
    assert {pattern.name for pattern in doors} >= {"account_login", "login"}
    for pattern in _patterns(get_resolver()):
        view = getattr(pattern.callback, "view_class", None)
        assert not (view and issubclass(view, LoginView)), pattern


def test_an_access_token_is_made_only_by_somebody_who_just_said_who_they_are() -> None:
    bob = person_make("bob@bluebird.example", "Bob Lindqvist")
    bluebird = organization_create(name="Bluebird Travel", person=bob)
    client = client_of(bob)
    rest = {"name": "ci", "scopes": ["apps:read"]}
    early = client.post("/api/v1/access_tokens", rest, content_type="application/json")
    assert (early.status_code, early.json()["code"]) == (403, "reauthentication_required")
    for path in ("/profile/tokens/", f"/o/{bluebird.slug}/tokens/"):
        assert client.post(path, FORM)["Location"].startswith("/accounts/reauthenticate/")
    assert bob.access_tokens.count() == 0
    client.post(f"/o/{bluebird.slug}/tokens/", FORM)  # the form waits, and goes on by itself
    page = client.post(f"/accounts/reauthenticate/?next=/o/{bluebird.slug}/tokens/", {"password": PASSWORD})
    assert "tgo_" in page.content.decode()
    assert client.post("/api/v1/access_tokens", rest, content_type="application/json").status_code == 201


def test_a_person_makes_and_revokes_tokens_of_their_own_on_their_profile() -> None:
    bob = person_make("bob@bluebird.example", "Bob Lindqvist", with_password=False)
    bluebird = organization_create(name="Bluebird Travel", person=bob)
    client = client_of(bob)
    assert 'href="/profile/tokens/"' in client.get("/profile/").content.decode()
    answer = client.post("/profile/tokens/", FORM)
    assert "no-store" in answer["Cache-Control"]
    text = answer.context["secret"][0][1]
    assert text.startswith("tgp_")
    assert text not in client.get("/profile/tokens/").content.decode()
    bearer = {"Authorization": f"Bearer {text}"}
    assert Client().get(f"/api/v1/organizations/{bluebird.slug}/apps", headers=bearer).status_code == 200
    charlie = client_of(person_make("charlie@stranger.example", "Charlie", with_password=False))
    revoke = f"/profile/tokens/{bob.access_tokens.get().public_id}/revoke/"
    assert charlie.post(revoke).status_code == 404
    assert client.post(revoke)["Location"] == "/profile/tokens/"
    assert Client().get("/api/v1/me", headers=bearer).status_code == 401


def test_too_long_an_address_is_an_error_at_its_field() -> None:
    for length in (255, 310, 5000):
        email = "a" * (length - len("@e.example")) + "@e.example"
        page = Client().post("/accounts/signup/", {"email": email, "password1": PASSWORD})
        assert page.status_code == 200
        assert "email" in page.context["form"].errors
    assert not Person.objects.exists()


@pytest.fixture
def invitation() -> Iterator[tuple[Invitation, str]]:
    """Bob invites Dora into Bluebird: the invitation, and the path of its link."""
    bob = person_make("bob@bluebird.example", "Bob Lindqvist", with_password=False)
    bluebird = organization_create(name="Bluebird Travel", person=bob)
    found = member_invite(organization=bluebird, email="dora@bluebird.example", role="developer", person=bob)
    yield found, "/" + invitation_send(invitation=found).split("/", 3)[3]


def test_an_invitation_is_remembered_over_sign_up_and_confirmation(
    invitation: tuple[Invitation, str], mailoutbox: list
) -> None:
    found, path = invitation
    client = Client()
    assert "Create an account" in client.get(path).content.decode()
    client.post("/accounts/signup/", {"email": found.email, "password1": PASSWORD})
    dora = Person.objects.get(email=found.email)
    assert dora.memberships.count() == 0  # she came to join one
    dora.emailaddress_set.update(verified=True)
    assert log_in(client, found.email) == path
    assert client.post(path)["Location"] == f"/o/{found.organization.slug}/"
    assert dora.memberships.get().organization == found.organization
    again = Client()
    log_in(again, found.email)
    assert again.get("/")["Location"] == f"/o/{found.organization.slug}/"


def test_an_invitation_to_somebody_else_says_so_and_offers_to_log_out(invitation: tuple[Invitation, str]) -> None:
    found, path = invitation
    client = client_of(person_make("charlie@stranger.example", "Charlie", with_password=False))
    page = client.get(path).content.decode()
    assert "This invitation is for another address" in page and found.email in page
    assert 'action="/accounts/logout/"' in page and ">Accept<" not in page
    stranger = Client()
    stranger.get(path)
    stranger.post("/accounts/signup/", {"email": "eve@elsewhere.example", "password1": PASSWORD})
    assert Person.objects.get(email="eve@elsewhere.example").memberships.count() == 1


def _patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            yield one
        else:
            yield from _patterns(one)
