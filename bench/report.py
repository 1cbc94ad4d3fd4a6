"""The table and the JSON of a bench run, and which floors and ceilings it holds. All are medians over rounds, never single runs."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.load import Load


@dataclass(frozen=True)
class Floor:
    """``subject`` must reach at least ``ratio`` times the requests a second of ``peer``."""

    subject: str
    peer: str
    ratio: float


FLOORS = (
    Floor("tollgate", "nginx", 0.35),
    Floor("tollgate", "nginx-lua", 0.55),
    Floor("tollgate", "traefik", 2.0),
    Floor("tollgate", "caddy", 2.0),
    Floor("tollgate", "envoy", 2.0),
    Floor("tollgate-hmac", "nginx", 0.2),
)


@dataclass(frozen=True)
class Ceiling:
    """The number ``name`` of a run may be ``most`` at most."""

    name: str
    most: float


MEMORY_MB = "worker memory MB with 10,000 apps"
GROWTH_MB = "worker memory growth MB under load"
ADDED_P99_MS = "p99 ms added at half load"
ROUND_TRIPS = "store round trips a call"
CEILINGS = (
    Ceiling(ADDED_P99_MS, 2.0),
    Ceiling(MEMORY_MB, 120.0),
    Ceiling(GROWTH_MB, 3.0),
    Ceiling(ROUND_TRIPS, 0.02),
)


@dataclass
class Results:
    """All loads of a run by target, what was not found, and single numbers (memory, added latency, store round trips)."""

    loads: dict[str, list[Load]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)

    def add(self, target: str, load: Load) -> None:
        """Keep one round of one target."""
        self.loads.setdefault(target, []).append(load)

    def rate(self, target: str) -> float | None:
        """The median requests a second of a target, None when it did not run."""
        loads = self.loads.get(target)
        return statistics.median(load.requests_per_s for load in loads) if loads else None

    def ratio(self, floor: Floor) -> float | None:
        """Median over rounds of subject / peer within the same round; None when either did not run."""
        pairs = zip(self.loads.get(floor.subject, []), self.loads.get(floor.peer, []), strict=False)
        ratios = [subject.requests_per_s / peer.requests_per_s for subject, peer in pairs]
        return statistics.median(ratios) if ratios else None

    def holds(self) -> bool:
        """Whether every floor and every ceiling that was measured holds."""
        ratios = [(floor, self.ratio(floor)) for floor in FLOORS]
        floors = all(ratio is None or ratio >= floor.ratio for floor, ratio in ratios)
        return floors and all(self.numbers.get(ceiling.name, 0) <= ceiling.most for ceiling in CEILINGS)


def table(results: Results, does: dict[str, str]) -> str:
    """The run as text: a line a target, then the floors, the numbers, and who was missing."""
    lines = [f"{'target':<16}{'req/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'refused':>9}  what it does on a call"]
    for name, loads in results.loads.items():
        middle = sorted(loads, key=lambda load: load.requests_per_s)[len(loads) // 2]
        refused = sum(load.refused + load.socket_errors for load in loads)
        lines.append(
            f"{name:<16}{middle.requests_per_s:>10.0f}{middle.p50_us / 1000:>9.2f}{middle.p99_us / 1000:>9.2f}"
            f"{refused:>9}  {does.get(name, '')}"
        )
    lines.append("")
    for floor in FLOORS:
        ratio = results.ratio(floor)
        told = (
            "not measured" if ratio is None else f"{ratio:.2f} {'holds' if ratio >= floor.ratio else 'BELOW THE FLOOR'}"
        )
        lines.append(f"{floor.subject} / {floor.peer}: at least {floor.ratio:.2f}: {told}")
    lines += _ceilings(results)
    known = {ceiling.name for ceiling in CEILINGS}
    lines += [f"{name}: {value:.4g}" for name, value in results.numbers.items() if name not in known]
    lines += [f"not found: {name}: {why}" for name, why in results.missing.items()]
    return "\n".join(lines)


def _ceilings(results: Results) -> list[str]:
    lines = []
    for ceiling in CEILINGS:
        value = results.numbers.get(ceiling.name)
        told = "not measured" if value is None else f"{value:.3g} {'holds' if value <= ceiling.most else 'ABOVE'}"
        lines.append(f"{ceiling.name}: at most {ceiling.most:g}: {told}")
    return lines


def document(results: Results) -> dict[str, Any]:
    """The run as JSON: every round, the ratios, the numbers, and the machine."""
    return {
        "at": datetime.now(UTC).isoformat(),
        "machine": {"python": platform.python_version(), "kernel": platform.release(), "processor": platform.machine()},
        "loads": {name: [asdict(load) for load in loads] for name, loads in results.loads.items()},
        "ratios": {f"{floor.subject}/{floor.peer}": results.ratio(floor) for floor in FLOORS},
        "floors": {f"{floor.subject}/{floor.peer}": floor.ratio for floor in FLOORS},
        "ceilings": {ceiling.name: ceiling.most for ceiling in CEILINGS},
        "numbers": results.numbers,
        "missing": results.missing,
    }


def save(results: Results, path: Path) -> None:
    """Write ``document`` to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(results), indent=2) + "\n")
