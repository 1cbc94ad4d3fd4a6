"""Runs wrk against one address and reads what it printed."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.machine import LOAD_CORE

CONNECTIONS = 64
_UNITS_US = {"us": 1.0, "ms": 1_000.0, "s": 1_000_000.0, "m": 60_000_000.0}


class LoadFailed(RuntimeError):
    """wrk ended with an error, or printed something that is not its report."""


@dataclass(frozen=True)
class Load:
    """One run of wrk: requests a second, latency percentiles in microseconds, and how many answers were not 2xx."""

    requests_per_s: float
    p50_us: float
    p99_us: float
    refused: int
    socket_errors: int


def _microseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise LoadFailed(f"wrk printed the latency {text!r}")
    return float(match[1]) * _UNITS_US[match[2]]


def report_parse(text: str) -> Load:
    """Read wrk's report (with --latency). Raises LoadFailed."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p50 = re.search(r"^\s+50%\s+(\S+)", text, re.MULTILINE)
    p99 = re.search(r"^\s+99%\s+(\S+)", text, re.MULTILINE)
    if not (rate and p50 and p99):
        raise LoadFailed(f"wrk printed no report: {text[:300]}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Load(
        requests_per_s=float(rate[1]),
        p50_us=_microseconds(p50[1]),
        p99_us=_microseconds(p99[1]),
        refused=int(refused[1]) if refused else 0,
        socket_errors=sum(int(count) for count in sockets.groups()) if sockets else 0,
    )


def wrk_run(
    url: str,
    *,
    seconds: int,
    headers: dict[str, str] | None = None,
    script: Path | None = None,
    connections: int = CONNECTIONS,
) -> Load:
    """Load ``url`` for ``seconds`` with one wrk thread on the load core. Raises LoadFailed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if script is not None:
        command += ["-s", str(script)]
    done = subprocess.run(
        [*command, url],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
        preexec_fn=partial(os.sched_setaffinity, 0, {LOAD_CORE}),
    )
    if done.returncode:
        raise LoadFailed(done.stderr.strip() or f"wrk ended with {done.returncode}")
    return report_parse(done.stdout)
