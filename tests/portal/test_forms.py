"""What hostile or careless input gets: a specific error at its field, never a fault of ours; and safe HTML."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from marketplace.forms.provider import DOCUMENT_BYTES_MAX
from marketplace.views.highlight import highlight
from marketplace.views.markdown import markdown_render
from marketplace.views.provider import sample_document
from marketplace.views.schema import EXAMPLE_NODES_MAX, NODES_MAX, SchemaReader
from tests.people import client_of
from tests.portal.scene import Scene, scene_make

HOSTILE = ("", " ", "\x00", "<script>alert(1)</script>", "a" * 5000, "\u202eevil", "{{ 7*7 }}", "'; DROP TABLE app; --")


@pytest.fixture
def scene(db: None) -> Scene:
    return scene_make(is_light=True)


def test_a_hostile_app_name_is_refused_or_shown_as_text(scene: Scene) -> None:
    client = client_of(scene.bob)
    for value in HOSTILE:
        answer = client.post(f"/o/{scene.bluebird.slug}/apps/new/", {"name": value}, follow=True)
        assert answer.status_code == 200
        assert "<script>alert(1)" not in answer.content.decode()


def test_a_hostile_search_is_only_a_search(db: None) -> None:
    client = Client()
    for value in HOSTILE:
        for headers in ({}, {"HX-Request": "true"}):
            answer = client.get("/apis/", {"q": value, "category": value, "cursor": value}, headers=headers)
            assert answer.status_code == 200
            assert "<script>alert(1)" not in answer.content.decode()


def test_a_hostile_address_is_not_found(scene: Scene) -> None:
    client = client_of(scene.bob)
    for path in (
        "/apis/%00/",
        "/o/%00/",
        "/errors/%00",
        "/invitations/%00/",
        "/apis/api_zzz/",
        "/o/a'b/",
        "/apis/%F0%9F/",
    ):
        assert client.get(path).status_code == 404, path


def test_each_fault_is_named_at_its_field_and_linked_from_the_summary(scene: Scene) -> None:
    page = (
        client_of(scene.bob)
        .post(f"/o/{scene.bluebird.slug}/team/", {"email": "nobody", "role": "king"})
        .content.decode()
    )
    assert 'class="error-summary"' in page
    assert 'href="#id_email"' in page
    assert 'id="id_email_error"' in page
    assert 'aria-invalid="true"' in page


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"text": ""}, "Paste a document or choose a file."),
        ({"text": "a" * (DOCUMENT_BYTES_MAX + 1)}, "at most 2097152 characters"),
        ({"file": SimpleUploadedFile("x.yaml", b"\xff\xfe\x00")}, "The file is not UTF-8 text."),
        ({"file": SimpleUploadedFile("x.yaml", b"a" * (DOCUMENT_BYTES_MAX + 1))}, "The file is larger than 2 MiB."),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_with_its_reason(scene: Scene, values: dict, expected: str) -> None:
    answer = client_of(scene.alice).post(f"/o/{scene.nimbus.slug}/provider/apis/new/", values)
    assert answer.status_code == 200
    assert expected in answer.content.decode()


@pytest.mark.parametrize(
    "text", ["not: [valid", "openapi: 2.0", "[]", "a: &a [*a, *a]", "\t", "openapi: 3.1.0\npaths: 7"]
)
def test_a_faulty_document_shows_its_faults_and_cannot_be_created(scene: Scene, text: str) -> None:
    client = client_of(scene.alice)
    before = scene.nimbus.apis.count()
    client.post(f"/o/{scene.nimbus.slug}/provider/apis/new/", {"text": text})
    review = f"/o/{scene.nimbus.slug}/provider/apis/new/review/"
    page = client.post(review, {"name": "X", "base_path": "/x", "visibility": "public"}, follow=True).content.decode()
    assert "Mend the document" in page or "Paste a document" in page or "New API" in page
    assert scene.nimbus.apis.count() == before


def test_a_taken_base_path_is_an_error_of_that_field_and_nothing_is_created(scene: Scene) -> None:
    client = client_of(scene.alice)
    client.post(f"/o/{scene.nimbus.slug}/provider/apis/new/", {"text": sample_document()})
    values = {"name": "Weather 2", "base_path": "/weather/v2", "visibility": "public"}
    page = client.post(f"/o/{scene.nimbus.slug}/provider/apis/new/review/", values)
    assert "base_path" in page.context["form"].errors
    assert not scene.nimbus.apis.filter(name="Weather 2").exists()


def test_a_theme_leads_back_only_to_our_own_pages(scene: Scene) -> None:
    client = Client()
    assert client.post("/preferences/theme/", {"theme": "dark", "next": "/apis/"})["Location"] == "/apis/"
    assert client.post("/preferences/theme/", {"theme": "dark", "next": "https://evil.example/"})["Location"] == "/"
    assert client.post("/preferences/theme/", {"theme": "<b>", "next": "//evil.example"})["Location"] == "/"


def test_strangers_markdown_has_no_script_and_its_links_carry_no_blessing() -> None:
    html = markdown_render(
        "# Hi\n<script>alert(1)</script> [x](javascript:alert(1)) [y](https://y.example) ![z](http://z/z.png)"
    )
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert 'rel="nofollow ugc noopener"' in html
    assert "<img" not in html
    assert "<h1" not in html


def test_code_is_escaped_while_it_is_coloured() -> None:
    html = highlight('{"a": "<img src=x onerror=alert(1)>"}', "json")
    assert "<img" not in html
    assert "hl-k" in html


def test_a_schema_that_refers_to_itself_ends() -> None:
    properties = {str(at): {"$ref": "#/s"} for at in range(20)}
    for schema in ({"type": "object", "properties": properties}, {"allOf": [{"$ref": "#/s"}] * 3}, {"$ref": "#/s"}):
        reader = SchemaReader({"s": schema})
        reader.tree({"$ref": "#/s"})
        assert reader.nodes <= NODES_MAX
        reader.example({"$ref": "#/s"})
        assert reader.values < 2 * EXAMPLE_NODES_MAX


def test_every_refusal_has_a_page_that_says_what_to_do(db: None) -> None:
    from gateway.core.rejections import REJECTIONS
    from gateway.error_help import HELP

    assert set(HELP) == set(REJECTIONS)
    client = Client()
    for code in REJECTIONS:
        page = client.get(f"/errors/{code}").content.decode()
        assert code in page
    assert client.get("/errors/a403is")["Location"] == "/errors/A403IS"
    assert client.get("/errors/Z999ZZ").status_code == 404


def test_a_document_with_more_faults_than_are_told_says_first(scene: Scene) -> None:
    paths = {f"/n{n}/{{x}}": {"get": {"responses": {"200": {"description": "ok"}}}} for n in range(60)}
    text = json.dumps({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths})
    client = client_of(scene.alice)
    answer = client.post(f"/o/{scene.nimbus.slug}/provider/apis/new/", {"text": text}, follow=True)
    assert "The first 50 faults" in answer.content.decode()
