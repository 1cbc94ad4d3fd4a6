"""`python -m config.runtime`, `manage.py up`, `make run`: everything from a fresh folder to a curl line that works."""

import os
import shutil
import sys
import time

from config import env
from config.embedded import places
from config.embedded.postgres import PostgresFault
from config.embedded.valkey import ValkeyFault
from config.runtime import plan, prepared
from config.runtime.greeting import demo_read, greeting_show
from config.runtime.lock import AlreadyRunning
from config.runtime.managed import Program
from config.runtime.ports import ports_taken
from config.runtime.running import running_forget, running_note
from config.runtime.supervisor import StartFault, Stopped, Supervisor, supervising
from config.runtime.terminal import say, step

EXPECTED = (env.EnvironmentFault, places.PlaceTaken, PostgresFault, ValkeyFault, AlreadyRunning, StartFault)


def main() -> int:
    """Start, watch, stop. Returns the exit status: 0 after an orderly stop, 1 when something could not be started."""
    began = float(os.environ.get("TOLLGATE_STARTED") or time.time())
    try:
        settings = env.settings_read()
        with supervising(settings.var) as supervisor:
            try:
                _start(supervisor, settings)
                running_note(settings)
                greeting_show(settings, seconds=time.time() - began)
                supervisor.watch()
            except Stopped:
                pass
            finally:
                running_forget(settings.var)
    except EXPECTED as fault:
        say(f"\n{fault}")
        return 1
    say("Stopped.")
    return 0


def _start(supervisor: Supervisor, settings: env.Settings) -> None:
    taken = ports_taken(plan.binds_plan(settings))
    if taken:
        raise StartFault("\n".join(taken))
    postgres, valkey = plan.stores_plan(settings, os.environ)
    with step("stores"):
        if valkey is not None:
            supervisor.start(plan.valkey_program(valkey))
        if postgres is not None:
            for stale in places.postgres_homes_stale(settings.var):
                shutil.rmtree(stale, ignore_errors=True)
            postgres.prepare()
            supervisor.start(plan.postgres_program(postgres))
            postgres.database_ensure(places.POSTGRES_DATABASE)
    if postgres is None or not prepared.is_prepared(postgres.home) or not _has_demo(settings):
        _prepare(supervisor)
        if postgres is not None:
            prepared.prepared_note(postgres.home)
    with step("processes"):
        supervisor.start(*plan.programs_plan(settings, os.environ))


def _has_demo(settings: env.Settings) -> bool:
    return not settings.is_demo or demo_read(settings.var) is not None


def _prepare(supervisor: Supervisor) -> None:
    """Migrations, demo data and the snapshot, in one process, whose own lines are shown as steps."""
    program = Program(
        name="prepare",
        argv=(sys.executable, "manage.py", "prepare"),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=env.BASE_DIR,
    )
    supervisor.run_once(program, on_line=_progress_show)


def _progress_show(line: str) -> None:
    if line.startswith("step: "):
        say(f"  {line.removeprefix('step: ')}")


if __name__ == "__main__":
    sys.exit(main())
