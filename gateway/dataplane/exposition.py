"""The master's answers on the metrics bind: Prometheus text from the workers' counts, ``/livez`` and ``/readyz``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from gateway.dataplane.worker_reports import Report
from marketplace.contracts.usage import LATENCY_BUCKETS_MS

Labels = tuple[tuple[str, str], ...]

_HELP = {
    "tollgate_calls_total": "Calls by Api, stage and outcome or refusal code.",
    "tollgate_refused_total": "Requests refused before a route was known, by code.",
    "tollgate_call_duration_seconds": "Time from the head of a request to its answer.",
    "tollgate_upstream_seconds_total": "Time spent waiting for upstreams.",
    "tollgate_request_bytes_total": "Octets of requests.",
    "tollgate_response_bytes_total": "Octets of answers.",
    "tollgate_connections_total": "Client connections accepted.",
    "tollgate_journal_events_total": "Usage events written.",
    "tollgate_journal_groups_total": "Writes of the journal.",
    "tollgate_journal_failures_total": "Usage events that the disk refused.",
    "tollgate_store_commands_total": "Commands sent to Valkey.",
    "tollgate_store_failures_total": "Lost connections to Valkey.",
    "tollgate_directory_misses_total": "Credentials that were not in the cache.",
    "tollgate_authentication_failures_total": "Calls without a valid credential or signature.",
    "tollgate_authentication_throttled_total": "Look-ups refused to addresses that failed too often.",
    "tollgate_nonces_unchecked_total": "Nonces that could not be checked because Valkey did not answer.",
    "tollgate_lease_round_trips_total": "Leases and reports of quotas and rate limits.",
    "tollgate_worker_restarts_total": "Workers that ended unexpectedly.",
    "tollgate_in_flight": "Calls in progress.",
    "tollgate_open_connections": "Client connections open.",
    "tollgate_held_bytes": "Octets of forms that are in memory because they are signed.",
    "tollgate_upstream_connections": "Connections to upstreams by state.",
    "tollgate_store_up": "Whether the worker is connected to Valkey.",
    "tollgate_journal_failing": "Whether the disk refuses usage events.",
    "tollgate_snapshot_version": "Version of the routes in force.",
    "tollgate_snapshot_conflicts": "APIs and operations of it that are not served as published; the log names them.",
    "tollgate_snapshot_faults_total": "Looks at a published snapshot that could not be used at all.",
    "tollgate_background_faults_total": "Rounds of background work that failed; the log says why.",
    "tollgate_workers_ready": "Workers that accept calls.",
    "tollgate_quota_denied_without_store_total": "Calls refused because a quota or rate could not be checked.",
    "tollgate_quota_allowed_without_store_total": "Calls let through although a quota or rate could not be checked.",
    "tollgate_quota_rebuilding": "Whether the quota counters are being rebuilt after Valkey lost them.",
    "tollgate_shipper_backlog_files": "Sealed segments that wait for PostgreSQL.",
    "tollgate_shipper_backlog_bytes": "Their size.",
    "tollgate_shipper_backlog_oldest_seconds": "Age of the oldest of them.",
    "tollgate_shipper_corrupt_segments": "Damaged segments set aside for a human.",
    "tollgate_shipper_database_up": "Whether the shipper is connected to PostgreSQL.",
    "tollgate_shipper_reported_at_seconds": "When the shipper last said so.",
    "tollgate_journal_unsealed_seconds": "Age of the oldest segment that no shipper has taken.",
}


class Totals:
    """Counts of all workers. Those of workers that ended are kept, so that a counter never falls."""

    def __init__(self) -> None:
        self._ended: dict[tuple[str, Labels], float] = defaultdict(float)

    def retire(self, report: Report) -> None:
        """Keep the counts of a worker that ended."""
        for key, value in counters(report):
            self._ended[key] += value

    def add(self, reports: Iterable[Report]) -> dict[tuple[str, Labels], float]:
        """The counts of everybody that ever ran."""
        sums = defaultdict(float, self._ended)
        for report in reports:
            for key, value in counters(report):
                sums[key] += value
        return sums


def counters(report: Report) -> list[tuple[tuple[str, Labels], float]]:
    """The counters of one worker's report, by name and labels."""
    rows: list[tuple[tuple[str, Labels], float]] = []
    for key, counts in report["apis"].items():
        api_id, stage, name = key.split("|", 2)
        for outcome, count in counts.items():
            labels = (("api", api_id), ("name", name), ("stage", stage), ("outcome", outcome))
            rows.append((("tollgate_calls_total", labels), count))
    rows += [(("tollgate_refused_total", (("code", code),)), count) for code, count in report["refused"].items()]
    total = 0
    bounds = [f"{bound / 1000:g}" for bound in LATENCY_BUCKETS_MS] + ["+Inf"]
    for bound, count in zip(bounds, report["latency"], strict=True):
        total += count
        rows.append((("tollgate_call_duration_seconds_bucket", (("le", bound),)), total))
    sums, journal, store = report["sums"], report["journal"], report["store"]
    plain = {
        "tollgate_call_duration_seconds_sum": sums["latency_s"],
        "tollgate_call_duration_seconds_count": total,
        "tollgate_upstream_seconds_total": sums["upstream_s"],
        "tollgate_request_bytes_total": sums["request_bytes"],
        "tollgate_response_bytes_total": sums["response_bytes"],
        "tollgate_connections_total": sums["connections"],
        "tollgate_journal_events_total": journal["events"],
        "tollgate_journal_groups_total": journal["groups"],
        "tollgate_journal_failures_total": journal["failures"],
        "tollgate_store_commands_total": store["commands"],
        "tollgate_store_failures_total": store["failures"],
        "tollgate_directory_misses_total": report["directory"]["misses"],
        "tollgate_lease_round_trips_total": report["leases"]["round_trips"],
        "tollgate_quota_denied_without_store_total": report["leases"]["denied_without_store"],
        "tollgate_quota_allowed_without_store_total": report["leases"]["allowed_without_store"],
        "tollgate_upstream_retries_total": sums["upstream_retries"],
        "tollgate_snapshot_faults_total": report["snapshot"]["faults"],
        "tollgate_background_faults_total": report["background_faults"],
        "tollgate_authentication_failures_total": report["authentication"]["failures"],
        "tollgate_authentication_throttled_total": report["authentication"]["throttled"],
        "tollgate_nonces_unchecked_total": report["authentication"]["nonces_unchecked"],
    }
    return rows + [((name, ()), value) for name, value in plain.items()]


def gauges(reports: Iterable[Report]) -> list[tuple[tuple[str, Labels], float]]:
    """What workers hold at this moment, by worker."""
    rows: list[tuple[tuple[str, Labels], float]] = []
    for report in reports:
        worker = (("worker", str(report["index"])),)
        rows += [
            (("tollgate_in_flight", worker), report["connections"]["in_flight"]),
            (("tollgate_open_connections", worker), report["connections"]["open"]),
            (("tollgate_held_bytes", worker), report["connections"]["held_bytes"]),
            (("tollgate_store_up", worker), int(report["store"]["up"])),
            (("tollgate_journal_failing", worker), int(report["journal"]["failing"])),
            (("tollgate_quota_rebuilding", worker), int(report["leases"]["rebuilding"])),
            (("tollgate_snapshot_version", worker), report["snapshot"]["version"]),
            (("tollgate_snapshot_conflicts", worker), report["snapshot"]["conflicts"]),
            (("tollgate_directory_entries", worker), report["directory"]["entries"]),
            (("tollgate_resident_bytes", worker), _resident_bytes(report["pid"])),
        ]
        for url, (total, idle, waiting) in report["upstreams"].items():
            labels = (*worker, ("upstream", url))
            rows.append((("tollgate_upstream_connections", (*labels, ("state", "busy"))), total - idle))
            rows.append((("tollgate_upstream_connections", (*labels, ("state", "idle"))), idle))
            rows.append((("tollgate_upstream_waiting", labels), waiting))
    return rows


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * 4096


def journal_lag_s(folder: Path, now: float) -> float:
    """Seconds since the oldest sealed segment, that no shipper has taken yet, was last written; 0 when none waits."""
    oldest = now
    for path in folder.glob("*/*.sealed"):
        try:
            oldest = min(oldest, path.stat().st_mtime)
        except OSError:
            continue
    return max(0.0, now - oldest)


def shipper_rows(report: Report | None) -> list[tuple[tuple[str, Labels], float]]:
    """What this node's shipper last said: its backlog, and what it could not do. Nothing before it has said anything."""
    if report is None:
        return []
    names = {
        "tollgate_shipper_backlog_files": "backlog_files",
        "tollgate_shipper_backlog_bytes": "backlog_bytes",
        "tollgate_shipper_backlog_oldest_seconds": "backlog_oldest_s",
        "tollgate_shipper_corrupt_segments": "corrupt",
        "tollgate_shipper_database_up": "database_up",
        "tollgate_shipper_reported_at_seconds": "at",
    }
    return [((name, ()), float(report[key])) for name, key in names.items()]


def shipper_report(path: Path) -> Report | None:
    """What this node's shipper last wrote, or None when it has written nothing yet."""
    try:
        value: Report = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value


def text(rows: Iterable[tuple[tuple[str, Labels], float]]) -> str:
    """Rows as Prometheus text, one family after another."""
    families: dict[str, list[str]] = defaultdict(list)
    for (name, labels), value in rows:
        shown = ",".join(f'{key}="{_escape(label)}"' for key, label in labels)
        families[_family(name)].append(f"{name}{{{shown}}} {_number(value)}" if shown else f"{name} {_number(value)}")
    lines = []
    for family, samples in families.items():
        kind = "histogram" if family.endswith("_seconds") and "duration" in family else "gauge"
        kind = "counter" if family.endswith("_total") else kind
        if family in _HELP:
            lines.append(f"# HELP {family} {_HELP[family]}")
        lines += [f"# TYPE {family} {kind}", *samples]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return repr(value) if isinstance(value, float) and not value.is_integer() else str(int(value))


def _family(name: str) -> str:
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith("_seconds" + suffix):
            return name.removesuffix(suffix)
    return name


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
