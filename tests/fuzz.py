"""schemathesis over our own OpenAPI document: whatever it allows, and much that it does not, never breaks the server.

What exists, who calls and which operations are meant is said by the tests of each app.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.control import SkipTest
from schemathesis.generation import GenerationMode

EXAMPLES = 3
"""Examples of each operation and mode: enough to find a crash in time, few enough to stay below a minute for all."""

EVERY_MODE = pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@dataclass(frozen=True)
class Caller:
    """What a caller adds to each request."""

    headers: Mapping[str, str]
    cookies: Mapping[str, str] = field(default_factory=dict)


def fuzz(
    *,
    mode: GenerationMode,
    known: Mapping[str, Sequence[str]],
    callers: Sequence[Caller],
    is_ours: Callable[[str], bool],
    operations_min: int,
) -> None:
    """Call each operation whose path ``is_ours``, four times in five with ``known`` path parameters, and expect no 5xx.

    Fails too when fewer than ``operations_min`` were called, or next to none got past the checks that ``mode`` is to reach.
    """
    from config.wsgi import application

    seen: Counter[int] = Counter()
    with _connection_kept():
        schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", application)
        schema.config.generation.update(modes=[mode])
        ours = [found.ok() for found in schema.get_all_operations() if is_ours(found.ok().path)]
        for operation in ours:
            with suppress(SkipTest):  # an operation without input cannot be called wrongly
                _operation_call(operation, mode, known, callers, seen)
    assert len(ours) >= operations_min
    assert seen[200 if mode is GenerationMode.POSITIVE else 400] > 10, seen


def _operation_call(
    operation: Any,
    mode: GenerationMode,
    known: Mapping[str, Sequence[str]],
    callers: Sequence[Caller],
    seen: Counter[int],
) -> None:
    places = {name: st.sampled_from(known[name]) for name in known if f"{{{name}}}" in operation.path}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        places=st.fixed_dictionaries(places),
        caller=st.sampled_from(callers),
        is_known=st.integers(0, 4),
    )
    def run(case: Any, places: dict[str, str], caller: Caller, is_known: int) -> None:
        if is_known:
            case.path_parameters.update(places)
        case.headers = {**(case.headers or {}), **caller.headers, "If-Match": "*"}
        case.cookies = dict(caller.cookies)
        response = case.call()
        seen[response.status_code] += 1
        assert response.status_code < 500, (case.method, case.formatted_path, case.query, case.body, response.text)

    run()


@contextmanager
def _connection_kept() -> Iterator[None]:
    """Real servers close a connection that is inside a transaction at the end of a request; the test's must stay."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)
