"""Endpoints of a provider's APIs: their presentation, policies, operations, and the import of an OpenAPI document."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.base import Endpoint, Paged, Strict, operation
from marketplace.api.parsers import DocumentParser, StrictJsonParser
from marketplace.contracts.definition import ApiPolicies
from marketplace.core.documents import TEXT_BYTES_MAX
from marketplace.models import Api, Visibility
from marketplace.selectors import accounts as people
from marketplace.selectors import catalog as shelf
from marketplace.selectors.paging import page_take
from marketplace.services import catalog, imports

IMPORT_RATE = "120/h"


class ApiOut(serializers.Serializer[Any]):
    """An API as its provider sees it."""

    id = serializers.CharField(source="public_id")
    provider = serializers.CharField(source="provider.public_id")
    name = serializers.CharField()
    slug = serializers.CharField()
    base_path = serializers.CharField()
    summary = serializers.CharField()
    description = serializers.CharField()
    category = serializers.CharField()
    visibility = serializers.ChoiceField(choices=Visibility.choices)
    is_suspended = serializers.BooleanField()
    document_version = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ApiChange(Strict):
    """How an API presents itself."""

    name = serializers.CharField(max_length=80)
    summary = serializers.CharField(max_length=200, allow_blank=True, required=False)
    description = serializers.CharField(max_length=20_000, allow_blank=True, required=False)
    category = serializers.CharField(max_length=40, allow_blank=True, required=False)
    visibility = serializers.ChoiceField(choices=Visibility.choices, required=False)


class ApiIn(ApiChange):
    """A new API."""

    base_path = serializers.CharField(max_length=120, help_text="Its place at the gateway, such as /weather.")


class PoliciesIn(Strict):
    """ApiPolicies; what is left out gets its default."""

    auth = serializers.ChoiceField(choices=["app", "anonymous"], required=False)
    app_code = serializers.ChoiceField(choices=["disable", "header", "header_query"], required=False)
    signature_methods = serializers.ListField(
        child=serializers.ChoiceField(choices=["HmacSHA256", "HmacSHA1"]), required=False, max_length=2
    )
    nonce_required = serializers.BooleanField(required=False)
    rate_api = serializers.DictField(required=False, allow_null=True)
    rate_organization = serializers.DictField(required=False, allow_null=True)
    rate_app = serializers.DictField(required=False, allow_null=True)
    rate_app_exceptions = serializers.DictField(child=serializers.DictField(), required=False)
    body_bytes_max = serializers.IntegerField(required=False)


class PoliciesOut(serializers.Serializer[Any]):
    """The policies of an API, in force with the next deployment."""

    auth = serializers.CharField()
    app_code = serializers.CharField()
    signature_methods = serializers.ListField(child=serializers.CharField())
    nonce_required = serializers.BooleanField()
    rate_api = serializers.DictField(allow_null=True)
    rate_organization = serializers.DictField(allow_null=True)
    rate_app = serializers.DictField(allow_null=True)
    rate_app_exceptions = serializers.DictField()
    body_bytes_max = serializers.IntegerField()


class OperationOut(serializers.Serializer[Any]):
    """One operation as its document declares it."""

    id = serializers.CharField(source="public_id")
    method = serializers.CharField()
    path_template = serializers.CharField()
    name = serializers.CharField()
    summary = serializers.CharField()
    description = serializers.CharField()
    tag = serializers.CharField()
    parameters = serializers.ListField(child=serializers.DictField())
    request_body = serializers.DictField(allow_null=True)
    responses = serializers.DictField()


class ImportIn(Strict):
    """An OpenAPI 3.0 or 3.1 document as text, YAML or JSON."""

    document = serializers.CharField(max_length=TEXT_BYTES_MAX, trim_whitespace=False)


class PointedOut(serializers.Serializer[Any]):
    """A remark on one place of the document."""

    pointer = serializers.CharField()
    detail = serializers.CharField()


class ImportOut(serializers.Serializer[Any]):
    """What an import did."""

    title = serializers.CharField()
    version = serializers.CharField()
    created = serializers.ListField(child=serializers.CharField())
    kept = serializers.ListField(child=serializers.CharField())
    retired = serializers.ListField(child=serializers.CharField())
    warnings = PointedOut(many=True)
    policies_changed = serializers.ListField(child=serializers.CharField())
    suggested_upstream = serializers.CharField()
    suggested_timeout_ms = serializers.IntegerField()


class OrganizationApis(Endpoint):
    @operation("List an organization's APIs", scope="apis:read", query=Paged, answer=ApiOut, many=True)
    def get(self, request: Request, organization: str) -> Response:
        found = people.organization_get(
            person=self.person, public_id=organization, action="api.view", within=self.within
        )
        rows = shelf.apis_list(organization=found).select_related("provider")
        return self.page_response(page_take(rows, bound={"of": organization}, **self.query), ApiOut)

    @operation("Create an API", scope="apis:write", body=ApiIn, answer=ApiOut, status=201, creates=True)
    def post(self, request: Request, organization: str) -> Response:
        found = people.organization_get(
            person=self.person, public_id=organization, action="api.manage", within=self.within
        )
        api = catalog.api_create(provider=found, person=self.person, **self.body)
        return self.entity_response(ApiOut(api).data, status=201)


class ApiEndpoint(Endpoint):
    """Finds the API of the address."""

    def api_find(self, api: str, *, is_changed: bool = False) -> Api:
        """The API that the caller may see or change; locked for a change."""
        action = "api.manage" if is_changed else "api.view"
        found = shelf.api_get(person=self.person, public_id=api, action=action, within=self.within)
        if not is_changed:
            return found
        return Api.objects.select_for_update(of=("self",)).select_related("provider").get(id=found.id)


class ApiOne(ApiEndpoint):
    @operation("Show an API", scope="apis:read", answer=ApiOut, has_etag=True)
    def get(self, request: Request, api: str) -> Response:
        return self.entity_response(ApiOut(self.api_find(api)).data)

    @operation("Change how an API presents itself", scope="apis:write", body=ApiChange, answer=ApiOut, has_etag=True)
    def patch(self, request: Request, api: str) -> Response:
        found = self.api_find(api, is_changed=True)
        self.match_require(ApiOut(found).data)
        return self.entity_response(ApiOut(catalog.api_update(api=found, person=self.person, **self.body)).data)


class ApiPoliciesOne(ApiEndpoint):
    @operation("Show an API's policies", scope="apis:read", answer=PoliciesOut, has_etag=True)
    def get(self, request: Request, api: str) -> Response:
        return self.entity_response(_policies(self.api_find(api)))

    @operation("Replace an API's policies", scope="apis:write", body=PoliciesIn, answer=PoliciesOut, has_etag=True)
    def put(self, request: Request, api: str) -> Response:
        found = self.api_find(api, is_changed=True)
        self.match_require(_policies(found))
        changed = catalog.policies_set(api=found, policies=self.body, person=self.person)
        return self.entity_response(_policies(changed))


class ApiImport(ApiEndpoint):
    parser_classes = [StrictJsonParser, DocumentParser]

    @operation("Import an OpenAPI document", scope="apis:write", body=ImportIn, answer=ImportOut)
    def post(self, request: Request, api: str) -> Response:
        found = self.api_find(api, is_changed=True)
        self.rate_limit("api_import", IMPORT_RATE)
        report = imports.api_import_openapi(api=found, text=self.body["document"], person=self.person)
        warnings = [{"pointer": pointer, "detail": detail} for pointer, detail in report.warnings]
        return Response(ImportOut({**asdict(report), "warnings": warnings}).data)


class ApiOperations(ApiEndpoint):
    @operation("List an API's operations", scope="apis:read", query=Paged, answer=OperationOut, many=True)
    def get(self, request: Request, api: str) -> Response:
        rows = shelf.operations_list(api=self.api_find(api))
        page = page_take(rows, order=("position", "id"), bound={"of": api}, **self.query)
        return self.page_response(page, OperationOut)


def _policies(api: Api) -> dict[str, Any]:
    return dict(PoliciesOut(asdict(ApiPolicies.from_dict(api.policies))).data)
