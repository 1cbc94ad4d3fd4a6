"""`.env.example` says of variables what the code says; pins are exact; every beat task exists."""

import re
import sys
from importlib.metadata import packages_distributions

from config.env import VARIABLES
from tests.architecture.tree import ROOT, imported, shown, source_files


def test_env_example_has_every_variable_and_no_other() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", text, flags=re.MULTILINE))
    assert named == {variable.name for variable in VARIABLES}


def test_env_example_says_of_each_variable_what_the_code_says() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for one in VARIABLES:
        default = f" (default: {one.default})" if one.default else ""
        assert f"\n# {one.help}{default}\n# {one.name}={one.example}\n" in text


def test_every_requirement_is_pinned_and_names_no_host() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            assert re.fullmatch(r"(#.*|-r requirements\.txt|[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[^=\s]+|)", line), line


def test_every_scheduled_task_is_registered() -> None:
    from config.beat import SCHEDULE
    from config.celery import app

    app.loader.import_default_modules()
    assert SCHEDULE, "the beat schedule is empty"
    assert set(SCHEDULE) <= set(app.tasks)


def test_what_runs_imports_only_what_requirements_pin() -> None:
    """A package that only tests install would work here, and fail for whoever types `make run`."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = {canonical(line.partition("==")[0].partition("[")[0]) for line in text.splitlines() if "==" in line}
    providers = packages_distributions()
    faults = set()
    for path in source_files("marketplace", "gateway", "billing", "config"):
        for node, module in imported(path):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or (ROOT / top).exists():
                continue
            if not {canonical(name) for name in providers.get(top, [])} & pinned:
                faults.add(f"{shown(path, node)}: {top}")
    assert not faults, "\n".join(sorted(faults))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
