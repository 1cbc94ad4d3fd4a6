"""The demo's data: found by the words that the README offers, in categories that its own forms know."""

from pathlib import Path

import pytest
from django.conf import settings

from config.demo.load import APIS, demo_load, demo_path
from marketplace.forms.provider import CATEGORIES
from marketplace.selectors.catalog import catalog_list

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import dataclasses

    monkeypatch.setattr(settings, "TOLLGATE", dataclasses.replace(settings.TOLLGATE, var=tmp_path))
    demo_load(upstream_url="http://127.0.0.1:9000")
    assert demo_path().is_relative_to(tmp_path)


def found(word: str) -> set[str]:
    return {api.name for api in catalog_list(search=word).rows}


def test_words_of_both_languages_find_an_api_of_the_demo(demo: None) -> None:
    assert found("weather") >= {"Weather"}
    for word in ("天气", "预报", "城市", "实时天气"):
        assert "城市天气" in found(word), word
    chinese = next(api for api in catalog_list(search="天气").rows if api.name == "城市天气")
    assert "天气预报" in chinese.description
    assert {operation.tag for operation in chinese.operations.all()} == {"实时天气", "天气预报"}


def test_its_categories_are_choices_of_the_listing_form() -> None:
    assert {offer.category for offer in APIS} <= set(dict(CATEGORIES))
