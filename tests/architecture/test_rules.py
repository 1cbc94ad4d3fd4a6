"""The house rules that no linter knows, over the syntax tree. Import directions are import-linter's (see pyproject.toml)."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, dotted, functions, imported, pages, parsed, shown, source_files

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

CORES = [f"{app}/{room}" for app in ("marketplace", "gateway", "billing") for room in ("core", "contracts")]
CLOCKS_AND_DICE = re.compile(
    r"^(time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns|sleep|localtime|gmtime)"
    r"|(datetime\.)?(datetime|date)\.(now|utcnow|today)|uuid\.uuid[14]|uuid[14]|(uuid_utils\.)?(compat\.)?uuid7"
    r"|os\.(urandom|getrandom|environ|getenv)|timezone\.now|random\..+|secrets\..+)$"
)
ORM_WRITES = {
    "save",
    "create",
    "bulk_create",
    "bulk_update",
    "get_or_create",
    "update_or_create",
    "create_user",
    "create_superuser",
}
MANAGER_WRITES = {"update", "delete", *ORM_WRITES}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/")
# match finds the route that carries the steps; respond is called by whoever has an answer; order is their list.
STEPS_APART = {"match.py", "respond.py", "order.py"}
STRIPE_HOME = Path("billing/processors/stripe.py")


def core_files() -> list[Path]:
    return [path for folder in CORES if (ROOT / folder).exists() for path in source_files(folder)]


def test_no_file_and_no_function_is_too_long() -> None:
    faults = []
    for path in source_files():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES_MAX:
            faults.append(f"{shown(path)}: {lines} lines")
        for node in functions(path):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                faults.append(f"{shown(path, node)}: {node.name} has {length} lines")
    assert not faults, "\n".join(faults)


def test_every_file_opens_with_its_job() -> None:
    missing = [
        shown(path)
        for path in source_files()
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(parsed(path))
    ]
    assert not missing, "\n".join(missing)


def test_cores_and_contracts_read_no_clock_and_throw_no_dice() -> None:
    faults = []
    for path in core_files():
        for node in ast.walk(parsed(path)):
            name = dotted(node.func) if isinstance(node, ast.Call) else ""
            if name and CLOCKS_AND_DICE.match(name):
                faults.append(f"{shown(path, node)}: calls {name}")
        for node, module in imported(path):
            if module.split(".")[0] in {"random", "secrets"}:
                faults.append(f"{shown(path, node)}: imports {module}")
    assert not faults, "\n".join(faults)


def test_float_does_not_occur_in_billing() -> None:
    faults = []
    for path in source_files("billing"):
        durations = set(duration_values(path))
        for node in ast.walk(parsed(path)):
            is_name = isinstance(node, ast.Name) and node.id == "float"
            is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float) and node not in durations
            is_field = isinstance(node, ast.Attribute) and node.attr in {"FloatField", "FLOAT"}
            if is_name or is_literal or is_field:
                faults.append(shown(path, node))
    assert not faults, "\n".join(faults)


def duration_values(path: Path) -> list[ast.expr]:
    """Values of constants named ``…_S``: seconds to wait, which are no money."""
    return [
        node.value
        for node in parsed(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("_S")
    ]


def test_stripe_is_imported_in_one_file_at_most() -> None:
    homes = {
        path.relative_to(ROOT)
        for path in source_files()
        for _, name in imported(path)
        if name.split(".")[0] == "stripe"
    }
    assert homes <= {STRIPE_HOME}


def test_rows_are_written_in_services_only() -> None:
    """Calls of ``.objects.create`` and the like, queryset ``update``/``delete``, and ``save``/``delete`` of a row."""
    faults = []
    for path in source_files("marketplace", "gateway", "billing", "config"):
        parts = path.relative_to(ROOT).parts
        if "services" in parts or "core" in parts or "dataplane" in parts:
            continue  # the data plane and the cores have no Django; import-linter sees to it
        faults += [
            f"{shown(path, node)}: {what}" for node, what in orm_writes(parsed(path)) if not is_manager(path, node)
        ]
    assert not faults, "\n".join(faults)


def orm_writes(tree: ast.Module) -> list[tuple[ast.AST, str]]:
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, target = node.func.attr, node.func.value
        is_on_manager = ".objects" in f".{dotted(target)}" or "objects" in ast.unparse(target).split(".")
        if is_on_manager and name in MANAGER_WRITES:
            found.append((node, f"objects.….{name}"))
        elif name == "save" and not is_super(target) and not node.args:
            found.append((node, f"{ast.unparse(target)}.save"))
        elif (
            name == "delete" and isinstance(target, ast.Name) and not node.args and target.id not in {"client", "cache"}
        ):
            found.append((node, f"{ast.unparse(target)}.delete"))
    return found


def is_super(target: ast.AST) -> bool:
    return isinstance(target, ast.Call) and dotted(target.func) == "super"


def is_manager(path: Path, node: ast.AST) -> bool:
    """Django's own hook for making people, which every caller but ``createsuperuser`` reaches through a service."""
    return path == ROOT / "marketplace/models/accounts.py" and ast.unparse(node).startswith("person.save")


@pytest.mark.parametrize("app", ["marketplace", "gateway", "billing"])
def test_services_take_keywords_and_are_typed(app: str) -> None:
    faults = []
    for path in source_files(f"{app}/services"):
        for node in parsed(path).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or is_context_or_helper(path):
                continue
            if len(node.args.args) + len(node.args.posonlyargs) > 2:
                faults.append(f"{shown(path, node)}: {node.name} takes positional arguments")
            untyped = [one.arg for one in (*node.args.args, *node.args.kwonlyargs) if one.annotation is None]
            if untyped or node.returns is None:
                faults.append(f"{shown(path, node)}: {node.name} is not fully typed {untyped}")
    assert not faults, "\n".join(faults)


def is_context_or_helper(path: Path) -> bool:
    return path.name == "__init__.py"


def test_selectors_write_nothing() -> None:
    faults = []
    for app in ("marketplace", "gateway", "billing"):
        for path in source_files(f"{app}/selectors"):
            faults += [f"{shown(path, node)}: {what}" for node, what in orm_writes(parsed(path))]
    assert not faults, "\n".join(faults)


def test_every_gateway_step_exports_compile() -> None:
    missing = [
        shown(path)
        for path in source_files("gateway/dataplane/steps")
        if path.name != "__init__.py"
        and path.name not in STEPS_APART
        and not any(isinstance(node, ast.FunctionDef) and node.name == "compile" for node in parsed(path).body)
    ]
    assert not missing, "\n".join(missing)


def test_the_source_names_no_path_of_a_machine() -> None:
    faults = []
    others = [ROOT / name for name in ("Makefile", "manage.py", "pyproject.toml", ".ci/run", ".env.example")]
    for path in [*source_files(), *source_files("tests"), *pages(), *others]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if MACHINE_PATHS.search(line):
                faults.append(f"{shown(path)}:{number}: {line.strip()[:100]}")
    assert not faults, "\n".join(faults)


def test_commands_that_are_celery_tasks_are_thin() -> None:
    """A task is a door: no loop over rows, no query of its own."""
    faults = []
    for app in ("marketplace", "gateway", "billing"):
        path = ROOT / app / "tasks.py"
        if path.exists():
            faults += [
                f"{shown(path, node)}: queries"
                for node in ast.walk(parsed(path))
                if isinstance(node, ast.Attribute) and node.attr == "objects"
            ]
    assert not faults, "\n".join(faults)


def test_ledger_rows_are_written_by_one_file() -> None:
    writers = set()
    for path in source_files("billing"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                is_ledger = re.match(r"^(LedgerEntry|LedgerTransaction)\.objects", ast.unparse(node.func))
                if is_ledger and node.func.attr in MANAGER_WRITES:
                    writers.add(str(path.relative_to(ROOT)))
    assert writers <= {"billing/services/ledger.py"}
