"""The servers of one test run: one PostgreSQL and one Valkey, started by the controlling process, shared by all xdist workers.

Each worker has its own database (pytest-django names it) and its own numbered Valkey database. `tests.servers` starts the
programs under test; this file starts only what they stand on.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from config.embedded import places, postgres, valkey
from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey

RUN_FOLDER = "TOLLGATE_TEST_RUN"
TEST_SECRETS = {
    "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests-only-for",
    "TOLLGATE_SECRET_KEYS": "test:" + "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
}


def environment_prepare() -> Path:
    """Point this process at the servers of the run before Django's settings are read. Returns the folder of the run."""
    is_controller = RUN_FOLDER not in os.environ
    if is_controller:
        os.environ[RUN_FOLDER] = str(folder_make())
        atexit.register(_folder_remove, Path(os.environ[RUN_FOLDER]), os.getpid())
    run = Path(os.environ[RUN_FOLDER])
    var = run / f"var-{os.getpid()}"
    (var / "static").mkdir(parents=True, exist_ok=True)  # else WhiteNoise warns, and warnings are errors
    os.environ.update(
        TEST_SECRETS,
        TOLLGATE_ENV="test",
        TOLLGATE_VAR=str(var),
        DATABASE_URL=places.postgres_url(run / "postgres"),
        VALKEY_URL=places.valkey_url(run / "valkey", _valkey_number()),
        EMAIL_URL=f"file://{var}/mail",
        DJANGO_SETTINGS_MODULE="config.settings",
    )
    for name in ("TOLLGATE_JOURNAL_DIR", "TOLLGATE_EVIDENCE_DIR", "TOLLGATE_PUBLIC_URL", "TOLLGATE_GATEWAY_URL"):
        os.environ.pop(name, None)
    return run


def folder_make() -> Path:
    """A new folder that PostgreSQL's account may pass through even when we are root, with a short path for sockets."""
    base = Path(tempfile.gettempdir())
    if os.geteuid() == 0 and not places.is_open_to_all(base):
        base = places.public_folder().parent
    folder = Path(tempfile.mkdtemp(prefix="tgt-", dir=base))
    folder.chmod(0o711)
    return folder


class SharedServers:
    """PostgreSQL and Valkey of the run: started by the controller, awaited by workers."""

    def __init__(self, run: Path) -> None:
        self.postgres = Postgres(home=run / "postgres", options=postgres.THROWAWAY)
        self.valkey = Valkey(home=run / "valkey", options=valkey.THROWAWAY)
        self.is_started = False

    def start(self) -> None:
        """Start both, once."""
        if not self.is_started:
            self.is_started = True
            self.valkey.start()
            self.postgres.start()

    def wait(self) -> None:
        """Wait until both answer: somebody else has started them."""
        self.valkey.wait_ready()
        self.postgres.wait_ready()

    def stop(self) -> None:
        """Stop what this process started."""
        if self.is_started:
            self.postgres.stop()
            self.valkey.stop()


def _valkey_number() -> int:
    """0 without xdist; gw0 has 1, gw1 has 2, and so on."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return int(worker.removeprefix("gw")) + 1 if worker else 0


def _folder_remove(run: Path, made_by: int) -> None:
    if os.getpid() == made_by:
        shutil.rmtree(run, ignore_errors=True)
