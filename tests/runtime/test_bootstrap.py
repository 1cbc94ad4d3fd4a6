"""Making .venv: an installation that is cut short leaves no process, says so, and the next one starts afresh."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.servers import ROOT

WAIT_S_MAX = 60.0
PACKAGE = "parcel"


class Clone:
    """A checkout with nothing but the bootstrap and one requirement, which a folder or a silent index is to deliver."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        (folder / "config").mkdir()
        shutil.copy(ROOT / "config" / "bootstrap.py", folder / "config")
        (folder / "config" / "__init__.py").touch()
        (folder / "requirements.txt").write_text(f"{PACKAGE}==1.0\n")
        (folder / "requirements-dev.txt").write_text("-r requirements.txt\n")
        self.wheels = folder / "wheels"
        self.wheels.mkdir()

    @property
    def python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    def wheel_make(self) -> None:
        """The smallest wheel that pip takes."""
        about = f"{PACKAGE}-1.0.dist-info"
        with zipfile.ZipFile(self.wheels / f"{PACKAGE}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{PACKAGE}.py", "WEIGHT = 7\n")
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
            wheel.writestr(
                f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{about}/RECORD", "")

    def start(self, **pip: str) -> "subprocess.Popen[str]":
        """The bootstrap in a process group of its own, as a terminal gives it one."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "config.bootstrap", "dev"],
            cwd=self.root,
            env={**kept, "PIP_CONFIG_FILE": os.devnull, **pip},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            # Whoever runs these tests in the background may have ignored SIGINT, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


@pytest.fixture
def silent_index() -> Iterator[tuple[str, threading.Event]]:
    """A package index that takes a connection and never says a word; the event tells that pip is waiting for it."""
    asked = threading.Event()
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return
            asked.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/simple", asked
        listener.shutdown(socket.SHUT_RDWR)
    for one in kept:
        one.close()


@pytest.mark.parametrize(
    ("tell", "by"),
    [(os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)],
    ids=["the program alone", "its group, as a terminal does"],
)
def test_a_stop_while_packages_are_installed_leaves_no_process_and_the_next_run_starts_afresh(
    clone: Clone, silent_index: tuple[str, threading.Event], tell: Callable[[int, int], None], by: signal.Signals
) -> None:
    url, asked = silent_index
    first = clone.start(PIP_INDEX_URL=url)
    assert asked.wait(WAIT_S_MAX)
    family = psutil.Process(first.pid).children(recursive=True)
    assert family
    tell(first.pid, by)
    said, _ = first.communicate(timeout=WAIT_S_MAX)
    assert first.returncode == 1
    assert said.endswith("Stopped. Run it again to go on.\n") and "Traceback" not in said
    gone, alive = psutil.wait_procs(family, timeout=5)
    assert gone and not alive

    stale = clone.python.parent.parent / "half-a-package"
    stale.touch()  # pip would take half a package for a whole one
    clone.wheel_make()
    second = clone.start(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(clone.wheels))
    said, _ = second.communicate(timeout=WAIT_S_MAX)
    assert second.returncode == 0, said
    assert not stale.exists()
    weight = subprocess.run([clone.python, "-c", f"import {PACKAGE}; print({PACKAGE}.WEIGHT)"], capture_output=True)
    assert weight.stdout == b"7\n"


def test_a_finished_installation_is_used_as_it_is_and_one_that_failed_says_what_pip_said(clone: Clone) -> None:
    failed = clone.start(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(clone.wheels))
    said, _ = failed.communicate(timeout=WAIT_S_MAX)
    assert failed.returncode == 1
    assert "Installing packages failed. pip says:" in said and f"{PACKAGE}==1.0" in said

    clone.wheel_make()
    for _ in range(2):
        done = clone.start(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(clone.wheels))
        said, _ = done.communicate(timeout=WAIT_S_MAX)
        assert done.returncode == 0, said
    assert said == ""  # nothing was left to do


def test_the_supervisor_hears_a_signal_that_came_while_it_was_being_read(tmp_path: Path) -> None:
    """The bootstrap holds signals back until there is somebody to hear them; then the stop is an orderly one."""
    code = (
        "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM)); "
        "os.kill(os.getpid(), signal.SIGINT); os.execv(sys.executable, [sys.executable, '-m', 'config.runtime'])"
    )
    environment = {**os.environ, "TOLLGATE_VAR": str(tmp_path / "var"), "TOLLGATE_ENV": "demo"}
    for name in ("DATABASE_URL", "VALKEY_URL"):
        environment[name] = "redis://127.0.0.1:9/0" if name == "VALKEY_URL" else "postgresql://nobody@127.0.0.1:9/none"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WAIT_S_MAX
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "SIGINT: stopping" in done.stdout and done.stdout.endswith("Stopped.\n")
    assert time.monotonic() - began < WAIT_S_MAX and not list((tmp_path / "var" / "run").glob("*.json"))
