"""The master of the data plane: starts N workers, restarts those that die or hang, stops them on SIGTERM, and answers for them.

``python -m gateway.dataplane``. On the metrics bind: ``/metrics`` (Prometheus), ``/livez``, ``/readyz``. Calls are worker.py's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import Process

from gateway.dataplane import exposition, worker_reports
from gateway.dataplane.background import Background
from gateway.dataplane.settings import REPOSITORY, Settings, SettingsInvalid, settings_read
from gateway.dataplane.worker_reports import Report, ReportRead

log = logging.getLogger("tollgate.gateway")

RESTART_S_MIN, RESTART_S_MAX = 0.05, 5.0
"""How long the master waits before it starts a worker again: doubled each time it dies young."""
YOUNG_S = 10.0
STOP_GRACE_S = 5.0
"""What a worker gets above its drain time before it is killed."""
REQUEST_S_MAX = 5.0


class Master:
    """The workers and the metrics server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.totals = exposition.Totals()
        self.workers: dict[int, Process] = {}
        self.reports: dict[int, ReportRead] = {}
        self.restarts = 0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopping.set)
        server = await asyncio.start_server(self._answer, self.settings.metrics_host, self.settings.metrics_port)
        keepers = [loop.create_task(self._keep(index)) for index in range(self.settings.workers)]
        background = Background(self._stopping.set)
        background.every(worker_reports.LOOK_S, self._look)
        await self._stopping.wait()
        background.cancel()
        for process in self.workers.values():
            if process.returncode is None:
                process.terminate()
        _, late = await asyncio.wait(keepers, timeout=self.settings.drain_s + STOP_GRACE_S)
        for index in range(self.settings.workers if late else 0):
            late_one = self.workers.get(index)
            if late_one is not None and late_one.returncode is None:
                log.error("worker %d did not end in time and is killed", index)
                late_one.kill()
        server.close()

    async def _keep(self, index: int) -> None:
        """Keep one worker running."""
        pause_s = RESTART_S_MIN
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                status = await self._life(index)
            except OSError as fault:  # no memory, no process to be had: later there may be
                log.error("worker %d cannot be started: %s", index, fault)
            else:
                if self._stopping.is_set():
                    return
                self.restarts += 1
                log.error("worker %d ended with %s and is started again", index, status)
            pause_s = min(pause_s * 2, RESTART_S_MAX) if time.monotonic() - started < YOUNG_S else RESTART_S_MIN
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                continue

    async def _life(self, index: int) -> int:
        """One worker from its start to its end; returns its exit status. Raises OSError when it cannot be started."""
        reports = ReportRead()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway.dataplane.worker", str(index), str(reports.memory)),
                cwd=REPOSITORY,
                pass_fds=(reports.memory,),
            )
            self.workers[index] = process
            self.reports[index] = reports
            if self._stopping.is_set():
                process.terminate()
            return await process.wait()
        finally:
            self.reports.pop(index, None)
            last = reports.read()
            if last is not None:
                self.totals.retire(last)
            reports.close()

    def _look(self) -> None:
        """Kill a worker whose event loop stands still: its calls hang, and the kernel goes on giving it connections."""
        for index, reports in self.reports.items():
            reports.look()
            process = self.workers[index]
            if reports.is_dead and process.returncode is None:
                log.error("worker %d has said nothing for %d s and is killed", index, reports.silent_looks)
                process.kill()

    def _live_reports(self) -> list[Report]:
        said = [reports.read() for reports in self.reports.values()]
        return [report for report in said if report is not None]

    def _is_heard(self, index: int) -> bool:
        reports = self.reports.get(index)
        return reports is not None and not reports.is_silent

    # -- the metrics bind -------------------------------------------------------------------------------------------

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_S_MAX)
            status, body = self._route(head.split(b" ", 2)[1].split(b"?", 1)[0].decode("latin-1"))
            kind = "text/plain; version=0.0.4; charset=utf-8"
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, IndexError):
            pass  # not a request: there is nobody to answer
        finally:
            writer.close()

    def _route(self, path: str) -> tuple[str, bytes]:
        if path == "/livez":
            return "200 OK", b"ok\n"
        reports = self._live_reports()
        ready = sum(report["ready"] and self._is_heard(report["index"]) for report in reports)
        if path == "/readyz":
            if ready == self.settings.workers and not self._stopping.is_set():
                return "200 OK", b"ok\n"
            return "503 Service Unavailable", f"{ready} of {self.settings.workers} workers are ready\n".encode()
        if path == "/metrics":
            return "200 OK", self._metrics(reports, ready).encode()
        return "404 Not Found", b"there are /metrics, /livez and /readyz\n"

    def _metrics(self, reports: list[Report], ready: int) -> str:
        shipper = exposition.shipper_rows(exposition.shipper_report(self.settings.var_dir / "gateway" / "shipper.json"))
        lag_s = exposition.journal_lag_s(self.settings.journal_dir, time.time())
        own: list[tuple[tuple[str, exposition.Labels], float]] = [
            (("tollgate_workers_ready", ()), ready),
            (("tollgate_worker_restarts_total", ()), self.restarts),
            (("tollgate_journal_unsealed_seconds", ()), lag_s),
        ]
        return exposition.text([*self.totals.add(reports).items(), *exposition.gauges(reports), *shipper, *own])


def main() -> int:
    """Run the master. Returns the exit status; 2 when the environment is wrong."""
    logging.basicConfig(level=logging.INFO, format=f"gateway[{os.getpid()}] %(levelname)s %(message)s")
    try:
        settings = settings_read(os.environ)
    except SettingsInvalid as fault:
        sys.stderr.write(f"{fault}\n")
        return 2
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    await Master(settings).run()


if __name__ == "__main__":
    sys.exit(main())
