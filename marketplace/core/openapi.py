"""Reads an OpenAPI 3.0 or 3.1 document into what the catalogue keeps: title, server, operations, and hints for policies.

Faults (nothing is imported) and warnings (imported, but worth a look) each point into the document. A fault is what keeps the
gateway from serving: paths, operations, parameters' names and places, references. Whatever else the official schema finds
(real documents say ``type: int``) is a warning. The text is read in ``core.documents``; what happens to the operations is
decided in ``services.imports``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from marketplace.core.aliyun import PolicyHints, hints_read
from marketplace.core.documents import DocumentUnreadable, Fault, document_load, pointer_join
from marketplace.core.parameters import PARAMETERS_MAX, ParameterSpec, parameter_read, parameters_merge
from marketplace.core.paths import MalformedPath, PathTemplate, template_parse
from marketplace.core.references import ReferenceBroken, reference_resolve, references_faults
from marketplace.core.schemas import types_unknown

OPERATIONS_MAX = 1_000
FAULTS_MAX = 50
"""Faults and warnings that one report lists."""
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_PATH_KEYS = frozenset({*METHODS, "trace", "$ref", "summary", "description", "servers", "parameters"})
ANY_METHOD_KEY = "x-aliyun-apigateway-any-method"
NAME_LENGTH_MAX = 120
SUMMARY_LENGTH_MAX = 300
DESCRIPTION_LENGTH_MAX = 20_000


@dataclass(frozen=True, slots=True)
class ImportedOperation:
    """One operation as the document declares it; references to parameters, bodies and answers followed."""

    method: str
    path_template: str
    shape: tuple[str, ...]
    name: str
    summary: str
    description: str
    tag: str
    parameters: list[dict[str, Any]]
    request_body: dict[str, Any] | None
    responses: dict[str, Any]
    pointer: str


@dataclass(slots=True)
class ImportedDocument:
    """What was read. It may be imported only when ``faults`` is empty."""

    document: dict[str, Any] = field(default_factory=dict)
    openapi: str = ""
    title: str = ""
    version: str = ""
    description: str = ""
    server_url: str = ""
    operations: list[ImportedOperation] = field(default_factory=list)
    hints: PolicyHints = field(default_factory=PolicyHints)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)


def document_read(text: str) -> ImportedDocument:
    """Read and check a document's text. Never raises for what a stranger can send: see ``faults``, all of them at once."""
    read = ImportedDocument()
    try:
        read.document = document_load(text)
    except DocumentUnreadable as error:
        read.faults = error.faults
        return read
    read.faults = _version_faults(read.document)
    if "swagger" in read.document:
        return read
    broken = list(islice(references_faults(read.document), FAULTS_MAX))
    _head_read(read)
    _operations_read(read)
    told = {pointer.removesuffix("/$ref") for pointer, _ in broken}
    read.faults = [*broken, *(fault for fault in read.faults if fault[0] not in told)][:FAULTS_MAX]
    if read.faults:
        return read
    read.hints, notes = hints_read(read.document, [operation.pointer for operation in read.operations])
    read.warnings += islice(types_unknown(read.document), FAULTS_MAX)
    specific = {pointer for pointer, _ in read.warnings}
    read.warnings += [found for found in _schema_findings(read.document) if not _is_covered(found[0], specific)]
    read.warnings = [*read.warnings, *notes, *_lint(read)][:FAULTS_MAX]
    return read


def _version_faults(document: dict[str, Any]) -> list[Fault]:
    if "swagger" in document:
        return [("/swagger", "This is a Swagger 2.0 document; convert it to OpenAPI 3 first (any editor offers it)")]
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith(("3.0.", "3.1.")):
        return [("/openapi", "The document must say openapi: 3.0.x or 3.1.x")]
    return []


def _schema_findings(document: dict[str, Any]) -> Iterator[Fault]:
    """Compare with the official schema of the version. (Its library's further checks run schemas of strangers; ours do not.)"""
    from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator  # slow to import, seldom needed

    validator = OpenAPIV31SpecValidator if document["openapi"].startswith("3.1.") else OpenAPIV30SpecValidator
    for count, error in enumerate(validator.schema_validator.iter_errors(document)):
        if count >= FAULTS_MAX:
            return
        message = str(error.message).partition("\n")[0]
        if "is not valid under" in message:  # it repeats the whole value and says no more than this
            message = "nothing that OpenAPI allows in this place has this form"
        yield pointer_join("", *error.absolute_path), f"Not as OpenAPI has it: {message[:300]}"


def _is_covered(pointer: str, specific: set[str]) -> bool:
    """A vague finding is dropped when a specific one lies at or below its place."""
    return any(known == pointer or (pointer and known.startswith(pointer + "/")) for known in specific)


def _head_read(read: ImportedDocument) -> None:
    info = read.document.get("info")
    info = info if isinstance(info, dict) else {}
    read.openapi = str(read.document.get("openapi") or "")
    read.title = str(info.get("title") or "")[:80]
    read.version = str(info.get("version") or "")[:40]
    read.description = str(info.get("description") or "")[:DESCRIPTION_LENGTH_MAX]
    servers = read.document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
    url = first.get("url")
    if isinstance(url, str) and url.startswith(("http://", "https://")) and "{" not in url:
        read.server_url = url


def _operations_read(read: ImportedDocument) -> None:
    paths = read.document.get("paths")
    if not isinstance(paths, dict) or not paths:
        read.faults.append(("/paths", "The document declares no path; add at least one operation"))
        return
    shapes: dict[tuple[str, tuple[str, ...]], str] = {}
    names: dict[str, str] = {}
    for path, item in paths.items():
        if path.startswith("x-"):
            continue
        pointer = pointer_join("/paths", path)
        try:
            template = template_parse(path)
            resolved = reference_resolve(read.document, item)
        except (MalformedPath, ReferenceBroken) as error:
            read.faults.append((pointer, str(error)))
            continue
        if not isinstance(resolved, dict):
            read.faults.append((pointer, "A path must be an object with operations"))
            continue
        _path_read(read, template, resolved, pointer, shapes, names)
        if len(read.operations) > OPERATIONS_MAX:
            read.faults.append(("/paths", f"The document has more than {OPERATIONS_MAX} operations; split it"))
            return
    if not read.operations and not read.faults:
        read.faults.append(("/paths", "The document declares no operation; add at least one"))


def _path_read(
    read: ImportedDocument,
    template: PathTemplate,
    item: dict[str, Any],
    pointer: str,
    shapes: dict[tuple[str, tuple[str, ...]], str],
    names: dict[str, str],
) -> None:
    for key in item:
        if key not in _PATH_KEYS and not key.startswith("x-"):
            read.faults.append((pointer_join(pointer, key), f"No method of HTTP; write one of: {', '.join(METHODS)}"))
    if "trace" in item:
        read.warnings.append((pointer_join(pointer, "trace"), "The gateway does not serve TRACE; left out"))
    common = _parameters_read(read, item.get("parameters"), pointer_join(pointer, "parameters"))
    for key in (*METHODS, ANY_METHOD_KEY):
        if key not in item:
            continue
        here = pointer_join(pointer, key)
        body = item[key]
        if not isinstance(body, dict):
            read.faults.append((here, "An operation must be an object"))
            continue
        method = "ANY" if key == ANY_METHOD_KEY else key.upper()
        taken = shapes.setdefault((method, template.shape), str(template))
        if taken != str(template):
            read.faults.append((here, f"{method} {taken} matches the same calls; keep one of the two paths"))
            continue
        name = body.get("operationId")
        if isinstance(name, str) and name in names:
            read.faults.append(
                (pointer_join(here, "operationId"), f"{name!r} is also the operationId of {names[name]}")
            )
            continue
        if isinstance(name, str):
            names[name] = f"{method} {template}"
        read.operations.append(_operation_read(read, template, method, body, common, here))


def _operation_read(
    read: ImportedDocument,
    template: PathTemplate,
    method: str,
    body: dict[str, Any],
    common: list[ParameterSpec],
    pointer: str,
) -> ImportedOperation:
    own = _parameters_read(read, body.get("parameters"), pointer_join(pointer, "parameters"))
    parameters = parameters_merge(common, own)
    declared = {spec.name for spec in parameters if spec.place == "path"}
    for missing in sorted(set(template.parameters) - declared):
        read.faults.append((pointer, f"The path parameter {missing!r} is not declared; add it under parameters"))
    for extra in sorted(declared - set(template.parameters)):
        read.faults.append((pointer, f"The path parameter {extra!r} does not occur in the path {template}"))
    tags = body.get("tags")
    answers = body.get("responses")
    answers = answers if isinstance(answers, dict) else {}
    return ImportedOperation(
        method=method,
        path_template=str(template),
        shape=template.shape,
        name=(str(body.get("operationId") or "") or f"{method} {template}")[:NAME_LENGTH_MAX],
        summary=str(body.get("summary") or "")[:SUMMARY_LENGTH_MAX],
        description=str(body.get("description") or "")[:DESCRIPTION_LENGTH_MAX],
        tag=str(tags[0])[:80] if isinstance(tags, list) and tags else "",
        parameters=[spec.to_dict() for spec in parameters],
        request_body=_followed(read, body.get("requestBody"), pointer_join(pointer, "requestBody")),
        responses={
            code: _followed(read, answer, pointer_join(pointer, "responses", code)) or {}
            for code, answer in answers.items()
        },
        pointer=pointer,
    )


def _parameters_read(read: ImportedDocument, values: Any, pointer: str) -> list[ParameterSpec]:
    if values is None:
        return []
    if not isinstance(values, list):
        read.faults.append((pointer, "Parameters must be a list"))
        return []
    if len(values) > PARAMETERS_MAX:
        read.faults.append((pointer, f"At most {PARAMETERS_MAX} parameters"))
        return []
    specs: list[ParameterSpec] = []
    for index, value in enumerate(values):
        one = parameter_read(read.document, value, pointer_join(pointer, index))
        read.faults.extend(one.faults)
        read.warnings.extend(one.warnings)
        spec = one.spec
        if spec is None:
            continue
        if any(other.place == spec.place and other.name == spec.name for other in specs):
            read.faults.append(
                (pointer_join(pointer, index), f"{spec.place} parameter {spec.name!r} is declared twice")
            )
        specs.append(spec)
    return specs


def _followed(read: ImportedDocument, value: Any, pointer: str) -> dict[str, Any] | None:
    """A body or an answer behind its reference, with only such content as readers of the reference can be shown."""
    try:
        value = reference_resolve(read.document, value)
    except ReferenceBroken as error:
        read.faults.append((pointer, str(error)))
        return None
    if not isinstance(value, dict):
        return None
    if "content" not in value:
        return value
    media = value["content"] if isinstance(value["content"], dict) else {}
    return {**value, "content": {kind: spec for kind, spec in media.items() if isinstance(spec, dict)}}


def _lint(read: ImportedDocument) -> Iterator[Fault]:
    """Say what readers of the reference will miss, and what the gateway does not do."""
    if not read.description:
        yield "/info/description", "No description: the catalogue page will be empty"
    if not read.server_url:
        yield "/servers", "No absolute server URL: set the upstream of each stage yourself"
    for name in ("webhooks", "security"):
        if read.document.get(name):
            yield (
                f"/{name}",
                f"{name} is kept for readers only; the gateway does its own authentication and forwards calls",
            )
    for operation in read.operations:
        if not operation.summary:
            yield operation.pointer, "No summary"
        if operation.name == f"{operation.method} {operation.path_template}":
            yield operation.pointer, "No operationId: the method and path stand in for it"
        if not any(code.startswith("2") or code == "default" for code in operation.responses):
            yield pointer_join(operation.pointer, "responses"), "No answer of success is described"
