"""Makes .venv and installs what is pinned, then hands over. Standard library only; even an old Python can read this file.

`python3 -m config.bootstrap run` goes on to the supervisor; `dev` installs what checks and tests need and ends.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import venv

PYTHON_MIN = (3, 11)
PIP_MIN = (22, 3)  # the first that installs into another interpreter's folder
CHILDREN = []  # type: list[subprocess.Popen[bytes]]
INSTALLERS = 2  # pip runs side by side, each with a share of the packages: half the time on two cores
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(FOLDER, "bin", "python")
UNFINISHED = os.path.join(
    FOLDER, ".tollgate-unfinished"
)  # there during an installation, and after one that was cut short
FILES = {"run": ["requirements.txt"], "dev": ["requirements.txt", "requirements-dev.txt"]}


def python_check(version):
    """The reason why this Python will not do, or an empty text."""
    if tuple(version[:2]) >= PYTHON_MIN:
        return ""
    needed, found = ".".join(map(str, PYTHON_MIN)), ".".join(map(str, version[:2]))
    return (
        f"Tollgate needs Python {needed} or newer; this is {found}. Install one, then: make run PYTHON=python{needed}"
    )


def pins(names):
    """The pinned packages of these requirement files, one ``name==version`` each."""
    found = []
    for name in names:
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            lines = [line.split("#")[0].strip() for line in file]
        found += [line for line in lines if line and not line.startswith("-")]
    return sorted(set(found))


def mark_of(packages):
    """What .venv must have been made from to be used as it is."""
    text = "\n".join(packages) + sys.version + ROOT
    return hashlib.sha256(text.encode()).hexdigest()


def is_made(mark, kind):
    """Whether .venv holds exactly this, or what tests need, which is more."""
    if os.path.exists(UNFINISHED):
        return False
    for name in {kind, "dev"}:
        path = os.path.join(FOLDER, ".tollgate-" + name)
        wanted = mark if name == kind else mark_of(pins(FILES["dev"]))
        if os.path.exists(path) and os.path.exists(PYTHON):
            with open(path, encoding="utf-8") as file:
                if file.read() == wanted:
                    return True
    return False


def pip_command():
    """The pip to install with: the one beside this Python when it is new enough (saves making another), else .venv's own."""
    said = subprocess.run([sys.executable, "-m", "pip", "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = re.match(r"pip (\d+)\.(\d+)", said.stdout.decode())
    if found and (int(found.group(1)), int(found.group(2))) >= PIP_MIN:
        return [sys.executable, "-m", "pip", "--python", PYTHON]
    return []


def unfinished_note():
    """Note that .venv is not to be trusted until its installation ends."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(UNFINISHED, "w", encoding="utf-8"):
        pass


def environment_make(pip):
    """Make .venv, with a pip of its own only when there is no other."""
    builder = venv.EnvBuilder(with_pip=not pip, symlinks=True)
    try:
        if os.path.exists(FOLDER):
            builder.clear_directory(FOLDER)
        unfinished_note()
        builder.create(FOLDER)
    except (OSError, subprocess.CalledProcessError) as fault:
        sys.exit(f"Making .venv failed ({fault}). On Debian: apt-get install python3-venv, then run again.")


class Progress:
    """One line on a terminal that is written over; on anything else only first and last lines."""

    def __init__(self, total):
        self.total = total
        self.seen = 0
        self.lock = threading.Lock()
        self.started = time.monotonic()

    def step(self, text):
        """Count one package and show its name."""
        with self.lock:
            self.seen += 1
            if sys.stdout.isatty():
                sys.stdout.write(f"\r\033[K  packages   {min(self.seen, self.total):>3}/{self.total}  {text}")
                sys.stdout.flush()

    def end(self):
        """Say how long it took."""
        back = "\r\033[K" if sys.stdout.isatty() else ""
        took_s = time.monotonic() - self.started
        print(f"{back}  packages   {self.total} installed in {took_s:.1f} s", flush=True)


def install_share(command, packages, progress, faults):
    """Install some packages with one pip; on failure its output goes to ``faults``."""
    argv = [*command, "install", "--disable-pip-version-check", "--no-input", "--no-compile", "--no-deps", *packages]
    # In a group of its own: pip hands its work to another process, and both must end when we are told to stop.
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, process_group=0)
    CHILDREN.append(child)
    said = []
    for raw in child.stdout or ():
        line = raw.decode(errors="replace")
        said.append(line)
        found = re.match(r"(?:Collecting|Requirement already satisfied:) ([^=\s\[]+)", line)
        if found:
            progress.step(found.group(1))
    if child.wait() != 0:
        faults.append("".join(said[-15:]))


def install(packages):
    """Install all packages, several pips at a time."""
    pip = pip_command()
    if not os.path.exists(PYTHON) or os.path.exists(UNFINISHED):  # pip may take half a package for a whole one
        environment_make(pip)
    unfinished_note()
    progress = Progress(len(packages))
    faults: list[str] = []
    command = pip or [PYTHON, "-m", "pip"]
    shares = [packages[number::INSTALLERS] for number in range(INSTALLERS)]
    threads = [
        threading.Thread(target=install_share, args=(command, share, progress, faults)) for share in shares if share
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        print(flush=True)
        installers_stop(threads)
        raise
    if faults:
        sys.exit(
            "\nInstalling packages failed. pip says:\n\n{}\nIs the package index reachable?".format("\n".join(faults))
        )
    progress.end()
    os.unlink(UNFINISHED)


def installers_stop(threads):
    """End the pips with all that they have started."""
    for child in CHILDREN:
        try:
            os.killpg(child.pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
    for thread in threads:
        thread.join()


def ensure(kind):
    """Make .venv hold what ``kind`` needs, unless it does already."""
    packages = pins(FILES[kind])
    mark = mark_of(packages)
    if is_made(mark, kind):
        return
    print(f"Tollgate: installing {len(packages)} packages into .venv (once)", flush=True)
    install(packages)
    with open(os.path.join(FOLDER, ".tollgate-" + kind), "w", encoding="utf-8") as file:
        file.write(mark)


def main():
    """Check Python, install, hand over."""
    fault = python_check(sys.version_info)
    if fault:
        sys.exit(fault)
    kind = sys.argv[1] if len(sys.argv) > 1 else "run"
    if kind not in FILES:
        sys.exit("usage: python3 -m config.bootstrap run|dev")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)  # as Ctrl-C
    os.environ.setdefault("TOLLGATE_STARTED", repr(time.time()))
    ensure(kind)
    if kind == "run":
        os.chdir(ROOT)
        # A signal while the supervisor is being read would end it with a traceback: it waits until there is somebody to hear it.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        os.execv(PYTHON, [PYTHON, "-m", "config.runtime", *sys.argv[2:]])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nStopped. Run it again to go on.")
