"""Refusals: codes keep their shape, texts are those that clients test for, and nothing in them can break a head."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import rejections
from gateway.core.rejections import REASONS, REJECTIONS, Rejection, render

RENAMED = {"I413UL": 414}


@pytest.mark.parametrize("code", REJECTIONS)
def test_a_code_names_its_status(code: str) -> None:
    kind = REJECTIONS[code]
    assert len(code) == 6
    assert kind.status == RENAMED.get(code, int(code[1:4]))
    assert kind.status in REASONS


def test_texts_that_clients_compare_stay_as_they_are_and_details_go_to_the_body() -> None:
    rejection = Rejection("B403MQ", "plan Free resets tomorrow")
    assert rejection.message == "Api Market Subscription quota exhausted"
    _, body = render(rejection, request_id="ID", help_url="https://t.example")
    problem = json.loads(body)
    assert problem["detail"] == "Api Market Subscription quota exhausted: plan Free resets tomorrow"
    assert problem["type"] == "https://t.example/errors/B403MQ"


def test_a_wrong_signature_shows_the_servers_string() -> None:
    assert Rejection("A403IS", "`GET#`").message == "Invalid Signature, Server StringToSign:`GET#`"


@given(st.sampled_from(sorted(REJECTIONS)), st.text(max_size=6_000))
def test_no_detail_can_add_a_header_line(code: str, detail: str) -> None:
    lines, body = render(Rejection(code, detail), request_id="ID", help_url="https://t.example")
    assert lines.endswith(b"\r\n")
    assert lines.count(b"\r\n") == 5
    assert not any(octet < 32 for octet in lines.replace(b"\r\n", b""))
    assert f"Content-Length: {len(body)}\r\n".encode() in lines
    json.loads(body)


def test_an_unknown_code_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError):
        Rejection("Z999ZZ")


def test_every_row_is_a_refusal_that_something_makes() -> None:
    folder = Path(rejections.__file__).parents[1]
    sources = [path for room in ("core", "dataplane") for path in (folder / room).rglob("*.py")]
    text = "".join(path.read_text() for path in sources if path.name != "rejections.py")
    assert [code for code in REJECTIONS if f'"{code}"' not in text] == []
