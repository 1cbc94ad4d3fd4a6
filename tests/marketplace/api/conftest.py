"""Callers of the REST API: Alice, Bob and Charlie with access tokens, and nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

if TYPE_CHECKING:
    from django.http import HttpResponse

    from tests.marketplace.people import Party


@dataclass
class Caller:
    """A program that calls /api/v1/ as somebody."""

    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        client = Client(raise_request_exception=False)
        data = body if isinstance(body, str | bytes) else json.dumps(body) if body is not None else ""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = names.pop("content-type", "application/json")
        return client.generic(method, f"/api/v1/{path}", data, content_type=kind, headers={**self.headers, **names})

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.call("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> HttpResponse:
        """Change what was just read, as a careful program does."""
        if "if_match" not in headers:
            headers["if_match"] = self.get(path)["ETag"]
        return self.call("PATCH", path, body, **headers)


@pytest.fixture
def caller() -> Callable[..., Caller]:
    """A function that makes a caller with an access token of a party."""

    def make(party: Party, *, scopes: list[str] | None = None, is_organizational: bool = False) -> Caller:
        from marketplace.core.permissions import SCOPES
        from marketplace.services.access_tokens import access_token_issue

        issued = access_token_issue(
            person=party.person,
            name="test",
            scopes=scopes or list(SCOPES),
            organization=party.organization if is_organizational else None,
        )
        return Caller({"Authorization": f"Bearer {issued.text}"})

    return make


@pytest.fixture
def nobody(db: None) -> Caller:
    return Caller()
