"""The way to the first call: the checklist of a new consumer, and samples of a call in curl and Python."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from marketplace.models import Api, App, Operation, Organization
from marketplace.selectors.catalog import operations_offered
from marketplace.views.schema import example_of, parameter_example

SAMPLE_OPERATIONS_MAX = 50
"""Operations looked at to find the simplest one for a sample."""


@dataclass(frozen=True, slots=True)
class Task:
    """One step of the checklist."""

    title: str
    text: str
    url: str
    action: str
    is_done: bool
    is_next: bool = False


def checklist_make(*, organization: Organization, apps: list[App], has_grants: bool, has_calls: bool) -> list[Task]:
    """The four steps to the first call, the first open one marked. Empty when all are done."""
    slug = organization.slug
    app_url = (
        reverse("pages:app_detail", args=[slug, apps[0].public_id]) if apps else reverse("pages:app_new", args=[slug])
    )
    has_credential = any(app.credentials_live for app in apps)
    new_url = reverse("pages:app_new", args=[slug])
    app_text = _("An app is your program that calls. It holds the credentials.")
    credential_text = _("An AppCode is the quickest; a key and secret sign each call.")
    api_text = _("Choose one in the catalogue. Free plans need no card.")
    call_text = _("Copy the sample from the app's page. It shows here within five seconds.")
    tasks = [
        (_("Create an app"), app_text, new_url, _("New app"), bool(apps)),
        (_("Get a credential"), credential_text, app_url, _("Open the app"), has_credential),
        (_("Subscribe to an API"), api_text, reverse("pages:catalog"), _("Open the catalogue"), has_grants),
        (_("Make the first call"), call_text, app_url, _("Show the sample"), has_calls),
    ]
    if all(task[-1] for task in tasks):
        return []
    first_open = next(at for at, task in enumerate(tasks) if not task[-1])
    return [Task(*task, is_next=at == first_open) for at, task in enumerate(tasks)]


def sample_call(
    api: Api, *, app_code: str, stage: str = "release", operation: Operation | None = None
) -> list[tuple[str, str, str]]:
    """The same call in several languages, as (label, language, text); the simplest operation unless one is given."""
    operation = operation or simplest_operation(api, stage=stage)
    if operation is None:
        return []
    request = _request_make(api, operation, app_code=app_code, stage=stage)
    return [
        ("curl", "bash", _curl(request)),
        ("Python", "python", _python(request)),
        ("JavaScript", "js", _javascript(request)),
    ]


def simplest_operation(api: Api, *, stage: str) -> Operation | None:
    """A GET that is live on the stage and has no required parameters if there is one, else the one that needs least."""
    operations = list(operations_offered(api=api, stage=stage)[:SAMPLE_OPERATIONS_MAX])
    return min(operations, key=_effort, default=None)


def _effort(operation: Operation) -> tuple[bool, int, int]:
    required = sum(1 for parameter in operation.parameters if parameter.get("is_required"))
    return operation.method != "GET", required, operation.position


def _request_make(api: Api, operation: Operation, *, app_code: str, stage: str) -> dict[str, Any]:
    path = operation.path_template
    query: dict[str, str] = {}
    headers = {"Authorization": f"APPCODE {app_code}"}
    for parameter in operation.parameters:
        name, place = str(parameter.get("name", "")), parameter.get("place")
        if place == "path":
            path = path.replace("{" + name + "}", quote(_text(parameter_example(parameter, api.document)), safe=""))
        elif parameter.get("is_required") and place == "query":
            query[name] = _text(parameter_example(parameter, api.document))
        elif parameter.get("is_required") and place == "header":
            headers[name] = _text(parameter_example(parameter, api.document))
    if stage != "release":
        headers["X-Ca-Stage"] = stage.upper()
    body, media = _body_make(operation.request_body, api.document)
    if media:
        headers["Content-Type"] = media
    url = settings.TOLLGATE.gateway_url.rstrip("/") + api.base_path + path
    return {"method": operation.method, "url": url, "query": query, "headers": headers, "body": body}


def _body_make(request_body: dict[str, Any] | None, document: dict[str, Any]) -> tuple[Any, str]:
    content = (request_body or {}).get("content") or {}
    for media, spec in content.items():
        if "json" in media and isinstance(spec, dict):
            return example_of(spec, document), "application/json"
    return None, ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _url_full(request: dict[str, Any]) -> str:
    return request["url"] + (f"?{urlencode(request['query'])}" if request["query"] else "")


def _curl(request: dict[str, Any]) -> str:
    url = _url_full(request)
    method = "" if request["method"] == "GET" else f"-X {request['method']} "
    lines = [f"curl -i {method}{_shell(url)}"]
    lines += [f"  -H {_shell(f'{name}: {value}')}" for name, value in request["headers"].items()]
    if request["body"] is not None:
        lines.append(f"  -d {_shell(json.dumps(request['body'], ensure_ascii=False))}")
    return " \\\n".join(lines)


def _python(request: dict[str, Any]) -> str:
    lines = ["import httpx", "", "answer = httpx.request(", f"    {request['method']!r},", f"    {request['url']!r},"]
    if request["query"]:
        lines.append(f"    params={request['query']!r},")
    lines.append(f"    headers={request['headers']!r},")
    if request["body"] is not None:
        lines.append(f"    json={request['body']!r},")
    return "\n".join([*lines, ")", "print(answer.status_code, answer.text)"])


def _javascript(request: dict[str, Any]) -> str:
    options: dict[str, Any] = {"method": request["method"], "headers": request["headers"]}
    text = json.dumps(options, indent=2, ensure_ascii=False)
    if request["body"] is not None:
        body = json.dumps(request["body"], indent=2, ensure_ascii=False).replace("\n", "\n  ")
        text = text[:-2] + f',\n  "body": JSON.stringify({body})\n}}'
    return f"const answer = await fetch({json.dumps(_url_full(request))}, {text});\nconsole.log(answer.status, await answer.text());"
