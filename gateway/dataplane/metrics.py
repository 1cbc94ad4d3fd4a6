"""Metrics: plain counts of one worker. The master hears them each second (worker_reports.py) and shows them (exposition.py)."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Mapping
from typing import TYPE_CHECKING

from marketplace.contracts.usage import LATENCY_BUCKETS_MS

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.snapshot import Route
    from gateway.dataplane.upstream import Pool
    from gateway.dataplane.worker_reports import Report
    from marketplace.contracts.definition import UpstreamDefinition

BOUNDS_S = tuple(bound / 1000 for bound in LATENCY_BUCKETS_MS)


class Metrics:
    """Counts of one worker. ``apis`` maps "api id|stage|name" to counts by outcome; all numbers only grow, gauges are separate."""

    def __init__(self) -> None:
        self.apis: dict[str, dict[str, int]] = {}
        self.refused: dict[str, int] = {}
        self.latency = [0] * (len(BOUNDS_S) + 1)
        self.latency_sum = 0.0
        self.upstream_sum = 0.0
        self.request_bytes = 0
        self.response_bytes = 0
        self.connections = 0
        self.upstream_retries = 0
        self._retries_seen: dict[Pool, int] = {}

    def counts_for(self, route: Route) -> dict[str, int]:
        """The counts that a route's calls go to. They outlive the snapshot."""
        key = f"{route.api_id}|{route.stage}|{route.api_name}"
        return self.apis.setdefault(key, {"succeeded": 0, "client_error": 0, "upstream_failed": 0})

    def finished(self, call: Call) -> None:
        """Count a call that the upstream answered."""
        taken = call.upstream_ended - call.started
        self.latency[bisect_left(BOUNDS_S, taken)] += 1
        self.latency_sum += taken
        self.upstream_sum += call.upstream_ended - call.upstream_started
        self.request_bytes += call.request_bytes
        self.response_bytes += call.response_bytes
        call.route.counts[call.outcome] += 1  # type: ignore[union-attr]

    def rejected(self, call: Call, code: str) -> None:
        """Count a refusal, also one before anybody is known."""
        counts = self.refused if call.route is None else call.route.counts
        counts[code] = counts.get(code, 0) + 1

    def malformed(self, code: str) -> None:
        """Count what was not an HTTP request."""
        self.refused[code] = self.refused.get(code, 0) + 1

    def upstreams_report(self, pools: Mapping[UpstreamDefinition, Pool]) -> dict[str, list[int]]:
        """Connections, idle ones and waiting calls by URL, which several pools may share; their retries go to the sums.

        A pool is let go when no route needs it: its retries stay counted.
        """
        rows: dict[str, list[int]] = {}
        seen: dict[Pool, int] = {}
        for definition, pool in pools.items():
            row = rows.setdefault(definition.url, [0, 0, 0])
            row[0] += len(pool.exchanges)
            row[1] += len(pool.idle)
            row[2] += len(pool.waiting)
            seen[pool] = pool.retries
            self.upstream_retries += pool.retries - self._retries_seen.get(pool, 0)
        self._retries_seen = seen
        return rows

    def report(self, gauges: Report) -> Report:
        """All counts, and beside them what is only true now."""
        return {
            "pid": os.getpid(),
            "apis": self.apis,
            "refused": self.refused,
            "latency": self.latency,
            "sums": {
                "latency_s": self.latency_sum,
                "upstream_s": self.upstream_sum,
                "request_bytes": self.request_bytes,
                "response_bytes": self.response_bytes,
                "connections": self.connections,
                "upstream_retries": self.upstream_retries,
            },
            **gauges,
        }
