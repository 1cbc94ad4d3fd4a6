"""``python -m bench``: run the comparison, print the table, write the JSON. Exit 1 when a measured floor or ceiling does not hold."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from subprocess import Popen

from bench import tollgate
from bench.load import CONNECTIONS, Load, LoadFailed, wrk_run
from bench.machine import Machine, NotStarted, cores_awake, program_find
from bench.pace import Pace, pace_run
from bench.peers import PEERS, PeerMissing
from bench.peers.base import AUTHORIZATION
from bench.report import ADDED_P99_MS, GROWTH_MB, MEMORY_MB, ROUND_TRIPS, Results, save, table
from bench.upstream import upstream_start

WARM_SECONDS = 1
HALF_LOADS = 9
"""How often each target is loaded at half rate: a latency is lost to one busy moment of the machine, a median of nine is not."""
HALF_SECONDS = 3
SIGNED_CALLS_PER_SECOND_MAX = 25_000
APPS_MANY = 10_000
MEMORY_STEP_SECONDS = 30
STORE_COMMANDS = "tollgate_store_commands_total"
DOES = {
    "tollgate": "simple credential, grant, rate limit, hard quota, journal",
    "tollgate-hmac": "the same with an X-Ca signature and a fresh nonce a call",
    "direct": "the upstream itself",
}


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=6, help="length of one load (default 6)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each target is loaded (default 3)")
    parser.add_argument("--only", default="", help="comma list of targets; default all that are installed")
    parser.add_argument("--memory-minutes", type=int, default=0, help="also watch a worker's memory for so long")
    parser.add_argument("--json", type=Path, default=Path("bench/results/latest.json"))
    return parser.parse_args()


class Bench:
    """One run: the targets that could be started, each with its port."""

    def __init__(self, machine: Machine, options: argparse.Namespace) -> None:
        self.machine = machine
        self.seconds: int = options.seconds
        self.rounds: int = options.rounds
        self.only = {name for name in options.only.split(",") if name}
        self.results = Results()
        self.upstream = upstream_start(machine)
        self.gateway = tollgate.gateway_start(machine, self.upstream, apps=APPS_MANY)
        self.peers = self._peers_start()

    def _peers_start(self) -> dict[str, int]:
        ports = {}
        self.started: dict[str, list[Popen[bytes]]] = {}
        for peer in PEERS:
            DOES[peer.name] = peer.does
            if self.only and peer.name not in self.only:
                continue
            before = len(self.machine.processes)
            try:
                ports[peer.name] = peer.start(self.machine, self.upstream)
                self.started[peer.name] = self.machine.processes[before:]
            except (PeerMissing, NotStarted) as error:
                self.results.missing[peer.name] = str(error)
        return ports

    def _load(self, port: int, *, script: Path | None = None) -> Load:
        url = f"http://127.0.0.1:{port}{tollgate.PATH}"
        headers = AUTHORIZATION if script is None else None
        return wrk_run(url, seconds=self.seconds, headers=headers, script=script)

    def rounds_run(self) -> None:
        """Load every target in turn, ``rounds`` times, so that a busy moment of the machine hits all alike."""
        for port in [self.gateway.port, *self.peers.values()]:
            wrk_run(f"http://127.0.0.1:{port}{tollgate.PATH}", seconds=WARM_SECONDS, headers=AUTHORIZATION)
        for number in range(self.rounds):
            for name, port in self.peers.items():
                self._one(name, port)
            self._one("tollgate", self.gateway.port)
            count = self.seconds * SIGNED_CALLS_PER_SECOND_MAX
            script = tollgate.signed_script(self.machine.folder, count=count, name=f"signed-{number}")
            self._one("tollgate-hmac", self.gateway.port, script=script)

    def _one(self, name: str, port: int, *, script: Path | None = None) -> None:
        print(f"  {name} …", end="", flush=True)
        load = self._load(port, script=script)
        print(f" {load.requests_per_s:.0f}/s")
        self.results.add(name, load)

    def round_trips(self) -> None:
        """How often the gateway asks Valkey a call, at full speed with an AppCode."""
        asked = tollgate.counter(self.gateway, STORE_COMMANDS)
        load = self._load(self.gateway.port)
        asked = tollgate.counter(self.gateway, STORE_COMMANDS) - asked
        self.results.numbers[ROUND_TRIPS] = asked / (load.requests_per_s * self.seconds)

    def half_load(self) -> None:
        """The latency at half of the gateway's own full load, beside the upstream's and bare nginx's at the same rate."""
        rate = (self.results.rate("tollgate") or 0) / 2
        if not rate:
            return
        for name in set(self.started) - {"nginx"}:
            for process in self.started[name]:  # their timers and collectors of garbage would wake on the same core
                self.machine.stop(process)
        targets = {"direct": self.upstream, "tollgate": self.gateway.port}
        if "nginx" in self.peers:
            targets["nginx"] = self.peers["nginx"]
        p99: dict[str, list[float]] = {name: [] for name in targets}
        with cores_awake() as is_awake:
            if not is_awake:
                print("Latencies at half load will include the waking of sleeping cores: only root can avoid that.")
            for _ in range(HALF_LOADS):
                for name, port in targets.items():
                    p99[name].append(self._pace(port, rate).p99_us / 1000)
        numbers = self.results.numbers
        numbers["half load, requests/s"] = rate
        for name, values in p99.items():
            numbers[f"p99 ms at half load, {name}"] = statistics.median(values)
        pairs = zip(p99["tollgate"], p99["direct"], strict=True)
        numbers[ADDED_P99_MS] = statistics.median(through - direct for through, direct in pairs)

    @staticmethod
    def _pace(port: int, rate: float) -> Pace:
        authorization = AUTHORIZATION["Authorization"]
        pace = pace_run(port, tollgate.PATH, authorization=authorization, rate=rate, seconds=HALF_SECONDS)
        if pace.refused:
            raise LoadFailed(
                f"{pace.refused} of {pace.calls} calls at half load were refused: their latencies tell nothing"
            )
        return pace

    def memory(self, minutes: int) -> None:
        """Resident memory of the worker while 10,000 apps call in turn; and what it grows in ``minutes`` of that."""
        script = tollgate.many_apps_script(self.machine.folder, apps=APPS_MANY)
        url = f"http://127.0.0.1:{self.gateway.port}{tollgate.PATH}"
        load = wrk_run(url, seconds=self.seconds, script=script)
        numbers = self.results.numbers
        numbers["requests/s over 10,000 apps"] = load.requests_per_s
        numbers[MEMORY_MB] = tollgate.worker_memory_bytes(self.gateway) / 1e6
        end, first = time.monotonic() + minutes * 60, 0.0
        while time.monotonic() < end:
            wrk_run(url, seconds=MEMORY_STEP_SECONDS, script=script)
            last = tollgate.worker_memory_bytes(self.gateway) / 1e6
            print(f"  worker memory {last:.1f} MB", flush=True)
            first = first or last  # by now every app has called
            numbers[GROWTH_MB] = last - first
            numbers[MEMORY_MB] = max(numbers[MEMORY_MB], last)


def main() -> int:
    """Run it. 0 when every measured floor and ceiling holds, 1 when one does not, 2 when the bench itself cannot run."""
    options = arguments()
    if program_find("wrk") is None:
        print("The bench needs wrk (Debian package wrk).", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder, Machine(Path(folder)) as machine:
        bench = Bench(machine, options)
        print(f"{CONNECTIONS} connections, {options.seconds} s a load, {options.rounds} rounds")
        bench.rounds_run()
        bench.round_trips()
        bench.half_load()
        bench.memory(options.memory_minutes)
    print()
    print(table(bench.results, DOES))
    save(bench.results, options.json)
    return int(not bench.results.holds())


if __name__ == "__main__":
    sys.exit(main())
