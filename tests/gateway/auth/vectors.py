"""The stored signature vectors, and how a vector becomes the bytes of a request. Used by the signature tests only."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

VECTORS_PATH = Path(__file__).resolve().parents[2] / "data" / "signature-vectors.json"
FORM = "application/x-www-form-urlencoded"


def vectors(kind: str) -> list[dict[str, Any]]:
    """All vectors of one kind: request, backend or websocket."""
    return [vector for vector in json.loads(VECTORS_PATH.read_text()) if vector["kind"] == kind]


def label(vector: dict[str, Any]) -> str:
    """A short name for a test id: shape and client."""
    return f"{vector['name']}-{vector['client'].split()[1].rpartition('/')[2]}"


@dataclass
class Wire:
    """One request as a gateway sees it."""

    method: bytes
    path: bytes
    query: bytes
    fields: dict[bytes, bytes]
    form: bytes
    body: bytes


def encoded(pairs: list[list[str]] | None, *, plus: bool) -> bytes:
    """Percent-encode pairs; ``plus`` chooses how a space travels."""
    coder = quote_plus if plus else quote
    return "&".join(
        f"{coder(k, safe='')}={coder(v, safe='')}" if v else coder(k, safe="") for k, v in pairs or []
    ).encode()


def wire(vector: dict[str, Any], *, plus: bool = False) -> Wire:
    """The bytes of a vector's request, as its client would send them."""
    form = encoded(vector["form"], plus=plus)
    fields = {name.lower().encode(): value.encode() for name, value in vector["headers"].items()}
    return Wire(
        method=vector["method"].encode(),
        path=quote(vector["path"]).encode(),
        query=encoded(vector["query"], plus=plus),
        fields=fields,
        form=form,
        body=form or (vector["body"] or "").encode(),
    )
