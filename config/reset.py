"""`make demo-reset`: removes the var folder and the embedded PostgreSQL's data. Refuses while Tollgate runs, or in production."""

import os
import shutil
import sys
from pathlib import Path


def main() -> int:
    """Remove what the demo has written. Returns the exit status."""
    if (os.environ.get("TOLLGATE_ENV") or "demo") != "demo":
        sys.stderr.write("demo-reset works on a demo only: TOLLGATE_ENV says otherwise.\n")
        return 1
    root = Path(__file__).resolve().parent.parent
    var = Path(os.environ.get("TOLLGATE_VAR") or root / "var").absolute()
    if not var.exists():
        sys.stdout.write("Nothing to reset.\n")
        return 0
    is_ours = (var / "secrets.json").exists() or (var / "run").exists()
    if not is_ours:
        sys.stderr.write(f"{var} does not look like a var folder of Tollgate: nothing was removed.\n")
        return 1
    from config.embedded import places  # needs nothing but the standard library
    from config.runtime.lock import AlreadyRunning, SupervisorLock

    try:
        SupervisorLock(var / "run").take()
    except AlreadyRunning as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    home = places.postgres_home(var)
    for folder in {var, home if home.is_relative_to(var) else home.parent}:
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(places.postgres_socket_folder(home), ignore_errors=True)
    sys.stdout.write("The demo is reset: the next `make run` starts afresh.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
