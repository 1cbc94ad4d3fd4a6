"""`.env.example` and the code name the same variables; pins are exact; every beat task exists."""

import re

from config.env import VARIABLES
from tests.architecture.tree import ROOT


def test_env_example_has_every_variable_and_no_other() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", text, flags=re.MULTILINE))
    assert named == {variable.name for variable in VARIABLES}


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
