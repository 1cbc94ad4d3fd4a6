"""Who may open which page, without a browser: strangers are told that nothing exists, roles are kept, secrets show once."""

import pytest
from django.test import Client

from tests.people import client_of
from tests.portal.pages import pages_list
from tests.portal.scene import Scene, scene_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene() -> Scene:
    return scene_make(is_light=True)


def test_charlie_is_told_that_no_page_of_others_exists(scene: Scene) -> None:
    client = client_of(scene.charlie)
    private = [path for _name, _who, path in pages_list(scene) if path.startswith(("/o/", "/operator/"))]
    assert len(private) > 30
    assert {path: client.get(path).status_code for path in private} == dict.fromkeys(private, 404)


def test_charlie_cannot_reach_bobs_things_through_his_own_organization(scene: Scene) -> None:
    client = client_of(scene.charlie)
    own = f"/o/{scene.stranger.slug}"
    assert client.get(f"{own}/").status_code == 200
    for path in (
        f"{own}/apps/{scene.app.public_id}/",
        f"{own}/apps/{scene.app.public_id}/edit/",
        f"{own}/credentials/{scene.credential.public_id}/revoke/",
        f"{own}/provider/apis/{scene.api.public_id}/",
        f"{own}/usage/?app={scene.app.public_id}",
        f"{own}/provider/usage/?api={scene.api.public_id}",
    ):
        assert client.get(path).status_code == 404, path
    assert client.post(f"{own}/apps/{scene.app.public_id}/credentials/", {"kind": "app_code"}).status_code == 404
    assert client.post(f"{own}/provider/apis/{scene.api.public_id}/deploy/", {"stage": "test"}).status_code == 404


def test_nobody_is_led_to_the_login_and_back(scene: Scene) -> None:
    path = f"/o/{scene.bluebird.slug}/apps/"
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/login/?next={path}"


def test_a_viewer_looks_but_changes_nothing(scene: Scene) -> None:
    client = client_of(scene.alice)  # a viewer at Bluebird
    own = f"/o/{scene.bluebird.slug}"
    page = client.get(f"{own}/apps/{scene.app.public_id}/")
    assert page.status_code == 200
    assert "/rotate/" not in page.content.decode()
    assert client.get(f"{own}/apps/new/").status_code == 403
    assert client.get(f"{own}/tokens/").status_code == 403
    assert client.post(f"{own}/apps/{scene.app.public_id}/credentials/", {"kind": "app_code"}).status_code == 403
    assert client.post(f"{own}/team/", {"email": "eve@example.com", "role": "owner"}).status_code == 200
    assert scene.bluebird.invitations.filter(email="eve@example.com").count() == 0
    client.post(f"{own}/settings/", {"name": "Taken over", "language": "en", "time_zone": "UTC", "is_consumer": "on"})
    scene.bluebird.refresh_from_db()
    assert scene.bluebird.name == "Bluebird Travel"


def test_a_private_api_is_listed_for_nobody_and_shown_to_its_own_people(scene: Scene) -> None:
    path = f"/apis/{scene.draft.slug}/"
    assert Client().get(path).status_code == 404
    assert client_of(scene.charlie).get(path).status_code == 404
    assert client_of(scene.alice).get(path).status_code == 200
    assert "Tides" not in Client().get("/apis/").content.decode()


def test_a_secret_is_in_the_answer_to_the_click_and_nowhere_after(scene: Scene) -> None:
    client = client_of(scene.bob)
    own = f"/o/{scene.bluebird.slug}/apps/{scene.empty_app.public_id}"
    answer = client.post(f"{own}/credentials/", {"kind": "key_pair"})
    ((_label, app_key, _is_secret), (_label2, app_secret, _is_secret2)) = answer.context["secret"]
    assert app_secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    later = client.get(f"{own}/").content.decode()
    assert app_key in later
    assert app_secret not in later


def test_a_form_that_is_sent_again_issues_nothing(scene: Scene) -> None:
    client = client_of(scene.bob)
    own = f"/o/{scene.bluebird.slug}/apps/{scene.empty_app.public_id}"
    form = {"kind": "app_code", "csrfmiddlewaretoken": "the form that was rendered once"}
    assert client.post(f"{own}/credentials/", form).status_code == 200
    assert client.post(f"{own}/credentials/", form).status_code == 302
    assert scene.empty_app.credentials.filter(kind="app_code").count() == 1


def test_an_operator_suspends_an_organization_and_lets_it_go_on(scene: Scene) -> None:
    client = client_of(scene.oscar)
    path = f"/operator/organizations/{scene.bluebird.public_id}/suspend/"
    assert client.post(path, {"reason": ""}).status_code == 200
    for expected in (True, False):
        assert client.post(path, {"reason": "Asked to"}).status_code == 302
        scene.bluebird.refresh_from_db()
        assert scene.bluebird.is_suspended is expected


def test_every_page_costs_a_bounded_number_of_queries(scene: Scene, django_assert_max_num_queries) -> None:
    clients = {"": Client()}
    clients |= {person.email: client_of(person) for person in (scene.alice, scene.bob, scene.oscar)}
    for name, who, path in pages_list(scene):
        with django_assert_max_num_queries(25):
            assert clients[who].get(path).status_code in (200, 302, 403, 404), name
