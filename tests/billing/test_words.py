"""Refusals of the core in the words of people: every code of a price has its text, in the language of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils.translation import override

from billing.core.currencies import EXPONENTS
from billing.core.errors import PriceInvalid, Problem
from billing.core.pricing import PriceSpec
from billing.errors import InvalidInput
from billing.words import amount_read, meter_words, price_faults, price_words

SPEC = Path(__file__).resolve().parents[2] / "billing" / "core" / "pricing" / "spec.py"


def test_every_code_that_a_price_is_refused_with_has_words() -> None:
    codes = set(re.findall(r'Problem\([^"]*?(?:f?"[^"]*"|str\(name\)|field), "([a-z]+)"', SPEC.read_text()))
    assert {"decimal", "order", "endless", "open", "unused", "required", "range", "list", "negative"} <= codes
    texts = {code: price_words(Problem("", code, "")) for code in codes}
    assert all(text.endswith(".") and text[0].isupper() for text in texts.values())
    assert len(set(texts.values())) == len(texts)


def test_the_faults_of_a_price_point_at_its_parts_in_whole_sentences() -> None:
    with pytest.raises(PriceInvalid) as refused:
        PriceSpec.from_dict({"kind": "volume", "tiers": [{"up_to": 5}, {"up_to": 5}]})
    faults = price_faults(refused.value, pointer="/prices/0")
    assert {fault.pointer: fault.detail for fault in faults} == {
        "/prices/0/tiers/1/up_to": "End each tier above the one before it, and at most at 1000000000000000."
    }


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_an_amount_that_cannot_be_read_is_refused_with_one_that_can(currency: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        amount_read("1,5", currency)
    (fault,) = refused.value.faults
    assert fault.pointer == "/amount"
    example = re.search(r"such as ([0-9.]*[0-9])", fault.detail)
    assert example is not None
    assert amount_read(example[1], currency).minor > 0


def test_words_are_made_in_the_language_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.words._", lambda text: f"«{text}»")
    with override("zh-hans"):
        assert price_words(Problem("", "negative", "")) == "«A price is not below zero.»"
        assert meter_words().startswith("«")
