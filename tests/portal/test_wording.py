"""What pages and refusals say: true, in words, to people and to programs. Without a browser."""

import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import override

from config.page_language import languages_spoken
from marketplace.services.accounts import organization_create, organization_update
from marketplace.services.credentials import credential_revoke
from marketplace.views.charts import Chart
from tests.people import client_of
from tests.portal.pages import pages_list
from tests.portal.scene import Scene, person_make, scene_make

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
POST_ONLY = ("/preferences/theme/", "/o/{slug}/tokens/tok_1/revoke/", "/profile/tokens/tok_1/revoke/")


@pytest.fixture
def scene(db: None) -> Scene:
    return scene_make(is_light=True)


def test_an_expired_form_is_refused_on_a_page_of_ours_that_says_what_to_do(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    form = {"email": "dora@newcomer.example", "password1": "seven quiet herons"}
    for referer, is_linked in (("http://testserver/accounts/signup/", True), ("https://evil.example/", False)):
        answer = client.post("/accounts/signup/", form, headers={"Referer": referer})
        page = answer.content.decode()
        assert answer.status_code == 403
        assert "This form has expired" in page and "/static/css/base.css" in page and "DEBUG" not in page
        assert (f'href="{referer}"' in page) is is_linked
        assert "style-src" in answer["Content-Security-Policy"] and "<style" not in page


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/me/", "/api/v1/apis/", "/api/v2/me", "/api/v1/%00"])
def test_a_program_at_an_unknown_address_is_answered_with_a_problem(db: None, path: str) -> None:
    answer = Client().get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    body = answer.json()
    assert (body["code"], body["status"]) == ("not_found", 404)
    assert body["request_id"] == answer["X-Request-Id"]
    assert ("without a slash" in body["detail"]) is path.endswith("/")


def test_a_page_that_only_takes_a_form_says_so(scene: Scene) -> None:
    client = client_of(scene.bob)
    for path in POST_ONLY:
        answer = client.get(path.format(slug=scene.bluebird.slug))
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        assert "This address only takes a form" in answer.content.decode()
        assert "Content-Security-Policy" in answer
    assert client.delete("/api/v1/me").json()["code"] == "method_not_allowed"


def test_security_txt_names_a_contact_and_ends_within_a_year(db: None) -> None:
    answer = Client().get("/.well-known/security.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answer.content.decode().splitlines())
    assert fields["Contact"] == "mailto:no-reply@tollgate.example"
    left = datetime.fromisoformat(fields["Expires"]) - datetime.now(UTC)
    assert 30 < left.days < 365


def test_a_provider_lands_on_its_own_side_and_keeps_it_on_shared_pages(db: None) -> None:
    pia = person_make("pia@provider.example", "Pia", with_password=False)
    provider = organization_create(name="Provider", person=pia, is_provider=True)
    client, own = client_of(pia), f"/o/{provider.slug}"
    assert client.get("/")["Location"] == f"{own}/provider/"
    for path in ("team", "tokens", "settings"):
        page = client.get(f"{own}/{path}/").content.decode()
        assert f'href="{own}/provider/apis/"' in page
        assert re.search(rf'href="{own}/{path}/" aria-current="page"', page), path
    client.get(f"{own}/apps/")  # it also consumes
    assert f'href="{own}/apps/"' in client.get(f"{own}/team/").content.decode()
    assert client.get("/")["Location"] == f"{own}/"
    client.get(f"{own}/provider/")
    organization_update(organization=provider, person=pia, is_provider=False)
    assert client.get("/")["Location"] == f"{own}/"


def test_a_shown_secret_says_truly_how_it_is_kept(scene: Scene) -> None:
    client = client_of(scene.bob)
    path = f"/o/{scene.bluebird.slug}/apps/{scene.empty_app.public_id}/credentials/"
    pair, code = (client.post(path, {"kind": kind}).content.decode() for kind in ("key_pair", "app_code"))
    assert "We keep it encrypted" in pair and "fingerprint" not in pair
    assert "We keep only a fingerprint of it" in code and "encrypted" not in code


def test_an_ended_credential_is_neither_revoked_nor_rotated_again(scene: Scene) -> None:
    client = client_of(scene.bob)
    credential_revoke(credential=scene.credential, person=scene.bob)
    for step in ("revoke", "rotate"):
        path = f"/o/{scene.bluebird.slug}/credentials/{scene.credential.public_id}/{step}/"
        for answer in (client.get(path, follow=True), client.post(path, {"grace_s": "0"}, follow=True)):
            page = answer.content.decode()
            assert answer.redirect_chain[-1][0].endswith(f"/apps/{scene.app.public_id}/")
            assert "has ended already" in page and "is revoked. Every" not in page
    assert scene.app.credentials.count() == 2


def test_tabs_have_titles_of_their_own_and_headings_skip_no_level(scene: Scene) -> None:
    empty = person_make("nina@new.example", "Nina", with_password=False)
    own = f"/o/{organization_create(name='New', person=empty, is_provider=True).slug}"
    beginnings = [("", empty, f"{own}/{path}") for path in ("apps/", "provider/apis/", "subscriptions/", "invoices/")]
    people = {one.email: one for one in (scene.alice, scene.bob, scene.oscar)}
    pages = [*((name, people.get(who), path) for name, who, path in pages_list(scene)), *beginnings]
    clients = {one: client_of(one) if one else Client() for one in {one for _name, one, _path in pages}}
    titles: dict[str, str] = {}
    for name, who, path in pages:
        page = clients[who].get(path, follow=True).content.decode()
        levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", page)]
        assert levels[0] == 1, path
        assert all(below - above <= 1 for above, below in pairwise(levels)), (path, levels)
        title = re.search(r"<title>(.*?)</title>", page).group(1)  # type: ignore[union-attr]
        if name.startswith(("api", "listing")):
            assert titles.setdefault(f"{name[:3]} {title}", path) == path
    assert len(titles) > 12
    assert not [title for title in titles if title[4:].startswith(" ·")]


def test_the_page_of_error_codes_is_marked_in_the_navigation(db: None) -> None:
    for path, mark in (("/errors/", "page"), ("/errors/A403IS", "true")):
        assert f'href="/errors/" aria-current="{mark}"' in Client().get(path).content.decode()


def test_a_chart_writes_dates_as_the_tables_do() -> None:
    chart = Chart(title="Calls", moments=[datetime(2026, 10, 24, tzinfo=UTC)], series=[("Calls", 0, [1])])
    for language, locale in (("en", "en-GB"), ("zh-hans", "zh-hans")):
        with override(language):
            assert chart.payload["locale"] == locale


def test_an_icon_beside_text_is_in_a_row_with_it() -> None:
    """An icon is a block: in a plain link of running text it would stand on a line of its own."""
    texts = {path.name: path.read_text() for path in TEMPLATES.rglob("*.html")}
    links = {(name, link) for name, text in texts.items() for link in re.findall(r"<p><a [^>]*>\{% icon", text)}
    assert {(name, link) for name, link in links if 'class="row' not in link and 'class="btn' not in link} == set()


def test_an_app_tells_its_limits_in_the_words_of_the_plans(scene: Scene) -> None:
    page = client_of(scene.bob).get(f"/o/{scene.bluebird.slug}/apps/{scene.app.public_id}/").content.decode()
    assert "<li>100 calls a day</li><li>10 calls a second</li>" in page


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/accounts/signup/", "/no-such-page"])
def test_a_page_is_in_one_language_also_for_readers_of_one_that_it_does_not_speak_yet(db: None, path: str) -> None:
    answer = Client().get(path, HTTP_ACCEPT_LANGUAGE="zh-hans,zh;q=0.9")
    text = answer.content.decode()
    assert '<html lang="en"' in text and answer["Content-Language"] == "en"
    assert not re.search("[\u4e00-\u9fff]", text)


def test_a_language_is_spoken_once_its_catalogue_is_there(tmp_path: Path, settings: Any) -> None:
    assert languages_spoken() == ["en"]
    catalogue = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.mo"
    catalogue.parent.mkdir(parents=True)
    catalogue.touch()
    settings.LOCALE_PATHS = [tmp_path]
    assert languages_spoken() == ["en", "zh-hans"]
