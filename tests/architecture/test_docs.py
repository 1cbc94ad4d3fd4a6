"""The documentation agrees with the code: the table of variables, links, commands, codes of refusals. `--write` mends the table."""

import re
import sys

from config.env import VARIABLES
from tests.architecture.tree import ROOT, pages, shown

RUNNING = ROOT / "docs" / "running.md"
BEGIN, END = (
    "<!-- table: written from config/env.py, checked by tests/architecture/test_docs.py -->",
    "<!-- end of table -->",
)


def variables_table() -> str:
    """The variables as Markdown."""
    rows = [f"| `{one.name}` | {one.help} | {_code(one.default)} |" for one in VARIABLES]
    return "\n".join(["| variable | what | default |", "|---|---|---|", *rows])


def test_the_table_of_variables_is_the_code_s() -> None:
    written = RUNNING.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert written == variables_table(), "run: python -m tests.architecture.test_docs --write"


def test_every_variable_of_the_data_plane_is_known() -> None:
    text = (ROOT / "gateway" / "dataplane" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'read\("([A-Z_]+)"', text))
    assert len(read) > 20
    assert read <= {one.name for one in VARIABLES}


def test_links_lead_to_files() -> None:
    dead = [
        f"{shown(page)}: {target}"
        for page in pages()
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target.partition("#")[0]).exists()
    ]
    assert dead == []


def test_commands_exist() -> None:
    from django.core.management import get_commands

    named = {name for page in pages() for name in re.findall(r"manage\.py ([a-z_]+)", page.read_text(encoding="utf-8"))}
    assert {"prepare", "publish", "period_close", "doctor"} <= named
    assert named <= set(get_commands())


def test_codes_are_those_of_the_gateway() -> None:
    from gateway.core.rejections import REJECTIONS

    named = {
        code
        for page in pages()
        for code in re.findall(r"`([A-Z][0-9]{3}[A-Z0-9]{2})`", page.read_text(encoding="utf-8"))
    }
    assert "B403MQ" in named
    assert named <= set(REJECTIONS)


def test_metrics_are_those_of_the_gateway() -> None:
    text = (ROOT / "gateway" / "dataplane" / "exposition.py").read_text(encoding="utf-8")
    text += (ROOT / "gateway" / "dataplane" / "__main__.py").read_text(encoding="utf-8")
    for page in pages():
        for name in re.findall(r"`(tollgate_[a-z_]+)", page.read_text(encoding="utf-8")):
            assert f'"{name}"' in text, f"{shown(page)}: {name}"


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__" and "--write" in sys.argv:
    before, _, rest = RUNNING.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    RUNNING.write_text(f"{before}{BEGIN}\n{variables_table()}\n{END}{after}", encoding="utf-8")
