"""The catalogue: who sees what, search in both languages, pages."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplace.errors import InvalidInput, NotFound
from marketplace.models import Api
from marketplace.selectors import access, operations
from marketplace.selectors import catalog as shelf
from marketplace.services import catalog
from tests.marketplace import people

pytestmark = pytest.mark.django_db


def named(alice: people.Party, name: str, path: str, **fields: str) -> Api:
    api = people.api_make(alice, base_path=path, name=name)
    return catalog.api_update(api=api, person=alice.person, **fields) if fields else api


@pytest.fixture
def shelf_full(alice: people.Party) -> None:
    named(alice, "天气预报接口", "/tianqi", summary="全国城市天气查询", category="天气")
    named(alice, "World Weather", "/weather", summary="Forecasts for every city", category="Weather")
    named(alice, "Petstore", "/petstore", description="Dogs, cats and their naïve owners")


def found(search: str) -> list[str]:
    return [api.name for api in shelf.catalog_list(search=search).rows]


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("天气", ["天气预报接口"]),
        ("预报", ["天气预报接口"]),
        ("气", ["天气预报接口"]),
        ("天气预报", ["天气预报接口"]),
        ("天报", []),
        ("weather", ["World Weather"]),
        ("WEATH", ["World Weather"]),
        ("forecast city", ["World Weather"]),
        ("forecast dog", []),
        ("cats", ["Petstore"]),
        ("listPets", ["World Weather", "Petstore", "天气预报接口"]),
        ("ＷＥＡＴＨＥＲ", ["World Weather"]),
        ("城市 查询", ["天气预报接口"]),
        ("'; DROP TABLE marketplace_api; --", []),
        ("!!!", []),
        ("& | ! <-> :*", []),
    ],
)
def test_search_finds_words_of_both_languages(shelf_full: None, search: str, names: list[str]) -> None:
    assert sorted(found(search)) == sorted(names)


def test_a_match_in_the_name_comes_before_one_in_the_description(alice: people.Party) -> None:
    named(alice, "Maps", "/maps", description="also has some weather, weather, weather")
    named(alice, "Weather", "/weather")
    named(alice, "Roads", "/roads", description="weather")
    assert found("weather")[0] == "Weather"


def test_pages_follow_each_other_without_a_gap_or_a_double(alice: people.Party) -> None:
    names = [named(alice, f"Weather {number}", f"/w{number}").name for number in range(7)]
    for search in ("", "weather"):
        seen: list[str] = []
        cursor = ""
        while True:
            page = shelf.catalog_list(search=search, cursor=cursor, limit=3)
            seen += [api.name for api in page.rows]
            cursor = page.next_cursor
            if not page.has_more:
                break
        assert sorted(seen) == sorted(names)


def test_a_cursor_of_another_question_or_a_changed_one_is_refused(alice: people.Party) -> None:
    for number in range(2):
        named(alice, f"Weather {number}", f"/w{number}")
    cursor = shelf.catalog_list(limit=1).next_cursor
    for bad in (cursor + "x", "nonsense", "x" * 10_000):
        with pytest.raises(InvalidInput):
            shelf.catalog_list(cursor=bad, limit=1)
    with pytest.raises(InvalidInput):
        shelf.catalog_list(search="weather", cursor=cursor, limit=1)


def test_only_public_live_apis_of_nobody_suspended_are_listed(
    alice: people.Party, bob: people.Party, charlie: people.Party
) -> None:
    api = named(alice, "Weather", "/weather")
    people.api_make(alice, base_path="/not-live", name="Draft", is_live=False)
    assert found("") == ["Weather"]
    private = catalog.api_update(api=api, person=alice.person, visibility="private")
    assert found("") == []
    with pytest.raises(NotFound):
        shelf.catalog_get(slug=private.slug, person=charlie.person)
    assert shelf.catalog_get(slug=private.slug, person=alice.person) == private
    people.grant_make(people.app_make(bob), private)
    assert shelf.catalog_get(slug=private.public_id, person=bob.person) == private
    catalog.api_update(api=api, person=alice.person, visibility="public")
    catalog.api_suspend(api=api, person=None)
    assert found("") == []


def test_categories_are_counted(shelf_full: None) -> None:
    assert [(category.name, category.apis) for category in shelf.categories_list()] == [("Weather", 1), ("天气", 1)]
    assert [api.name for api in shelf.catalog_list(category="天气").rows] == ["天气预报接口"]


def test_lists_of_apis_load_no_document(api: Api) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert shelf.catalog_list().rows
        assert list(shelf.apis_list(organization=api.provider))
        assert list(operations.listings_search(text=""))
        list(access.grants_list(api=api))
    assert not [query["sql"] for query in queries if '"document"' in query["sql"]]
