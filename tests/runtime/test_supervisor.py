"""The supervisor with small programs: what dies comes back, what stops leaves nothing, what was left behind is ended."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.servers import ROOT
from tests.waiting import eventually

DRIVER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from config.runtime.lock import AlreadyRunning
    from config.runtime.managed import Program
    from config.runtime.supervisor import StartFault, Stopped, supervising

    var = Path(sys.argv[1])
    programs = [
        Program(name=name, argv=(sys.executable, "-c", code), env={}, cwd=var)
        for name, code in (item.split("=", 1) for item in sys.argv[2:])
    ]
    try:
        with supervising(var) as supervisor:
            try:
                supervisor.start(*programs)
                print("started", flush=True)
                supervisor.watch()
            except Stopped:
                pass
    except (AlreadyRunning, StartFault) as fault:
        sys.exit(f"fault: {fault}")
    print("stopped", flush=True)
    """
)
SLEEPER = "import time; time.sleep(600)"
FAMILY = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


class Supervised:
    """One supervisor of small programs, in a process of its own."""

    def __init__(self, var: Path, **programs: str) -> None:
        self.var = var
        self.said = (var / "said.txt").open("w+")
        arguments = [f"{name}={code}" for name, code in programs.items()]
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(var), *arguments],
            cwd=ROOT,
            stdout=self.said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def output(self) -> str:
        return (self.var / "said.txt").read_text()

    def pid(self, name: str) -> int:
        return int(json.loads((self.var / "run" / f"{name}.json").read_text())["pid"])

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.said.close()


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    made: list[Supervised] = []

    def start(**programs: str) -> Supervised:
        made.append(Supervised(tmp_path, **programs))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_a_program_that_is_killed_is_started_again(supervise: Callable[..., Supervised]) -> None:
    one = supervise(sleeper=SLEEPER)
    assert eventually(lambda: "started" in one.output()), "start"
    before = one.pid("sleeper")
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: (one.var / "run" / "sleeper.json").exists() and one.pid("sleeper") != before), "restart"
    assert "ended with signal 9; starting it again" in one.output()


def test_a_program_that_keeps_dying_is_named_and_the_start_is_given_up(supervise: Callable[..., Supervised]) -> None:
    one = supervise(broken="raise SystemExit('no such luck')", waiting=SLEEPER)
    assert eventually(lambda: one.process.poll() is not None), "give up"
    assert one.process.returncode == 1
    assert "broken does not start" in one.output()
    assert "no such luck" in one.output()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_all_and_leaves_no_process(supervise: Callable[..., Supervised], by: signal.Signals) -> None:
    one = supervise(sleeper=SLEEPER, family=FAMILY)
    assert eventually(lambda: "started" in one.output() and len(one.family()) == 3), "start"
    family = one.family()
    one.process.send_signal(by)
    assert eventually(lambda: one.process.poll() is not None), "stop"
    assert one.process.returncode == 0
    assert all(has_ended(process) for process in family)
    assert one.output().endswith("stopped\n")
    assert not list((one.var / "run").glob("*.json"))


def test_a_second_signal_kills_what_does_not_listen(supervise: Callable[..., Supervised]) -> None:
    one = supervise(portal=STUBBORN)
    assert eventually(lambda: "started" in one.output()), "start"
    time.sleep(0.3)  # until it ignores SIGTERM
    one.process.send_signal(signal.SIGINT)
    assert eventually(lambda: "stopping" in one.output()), "hear"
    one.process.send_signal(signal.SIGINT)
    assert eventually(lambda: one.process.poll() is not None), "kill"


def test_when_the_supervisor_is_killed_its_programs_end(supervise: Callable[..., Supervised]) -> None:
    one = supervise(sleeper=SLEEPER)
    assert eventually(lambda: "started" in one.output()), "start"
    family = one.family()
    one.process.kill()
    one.process.wait()
    assert eventually(lambda: all(has_ended(process) for process in family)), "death with the parent"


def test_what_survives_a_killed_supervisor_is_ended_by_the_next(supervise: Callable[..., Supervised]) -> None:
    first = supervise(portal=STUBBORN)
    assert eventually(lambda: "started" in first.output()), "start"
    time.sleep(0.3)  # until it ignores SIGTERM, which the kernel sends it
    survivor = psutil.Process(first.pid("portal"))
    first.process.kill()
    first.process.wait()
    second = supervise(sleeper=SLEEPER)
    assert eventually(lambda: "started" in second.output()), "second start"
    assert "ended portal, left over" in second.output()
    assert has_ended(survivor)


def test_a_process_number_that_now_means_a_stranger_is_left_alone(
    supervise: Callable[..., Supervised], tmp_path: Path
) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPER])
    try:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "portal.json").write_text(json.dumps({"pid": stranger.pid, "born": 1.0}))
        one = supervise(sleeper=SLEEPER)
        assert eventually(lambda: "started" in one.output()), "start"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_supervisor_of_the_same_folder_is_refused(supervise: Callable[..., Supervised]) -> None:
    first = supervise(sleeper=SLEEPER)
    assert eventually(lambda: "started" in first.output()), "start"
    second = Supervised(first.var, other=SLEEPER)
    assert eventually(lambda: second.process.poll() is not None), "refusal"
    assert f"already runs here as process {first.process.pid}" in second.output()
    second.close()


def test_output_goes_to_a_log_and_only_warnings_to_the_terminal(supervise: Callable[..., Supervised]) -> None:
    talker = "import time; print('all is well'); print('WARNING: it rains', flush=True); time.sleep(600)"
    one = supervise(talker=talker)
    assert eventually(lambda: "WARNING: it rains" in one.output()), "warning"
    assert "all is well" not in one.output()
    assert "all is well" in (one.var / "logs" / "talker.log").read_text()


def test_a_note_of_addresses_counts_only_while_its_writer_lives(tmp_path: Path) -> None:
    from dataclasses import replace

    from config import env
    from config.runtime import running

    ours = replace(env.settings_read(), var=tmp_path, gateway_url="http://127.0.0.1:1")
    theirs = replace(ours, gateway_url="http://127.0.0.1:2")
    assert running.addresses_now(ours).gateway_url == "http://127.0.0.1:1"
    running.running_note(theirs)
    assert running.addresses_now(ours).gateway_url == "http://127.0.0.1:2"
    note = json.loads((tmp_path / running.FILE_NAME).read_text())
    for wrong in ({**note, "born": 1.0}, {**note, "pid": 2**22 + 1}, {**note, "addresses": {"portal_url": 1}}, []):
        (tmp_path / running.FILE_NAME).write_text(json.dumps(wrong))
        assert running.addresses_now(ours).gateway_url == "http://127.0.0.1:1"
    running.running_forget(tmp_path)
    assert not list(tmp_path.iterdir())
