"""Endpoints of the public catalogue: what is offered, without a login."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.apis import OperationOut
from marketplace.api.base import Endpoint, Paged, operation
from marketplace.models import Api, Person
from marketplace.selectors import catalog as shelf
from marketplace.selectors.paging import page_take


class ListedApiOut(serializers.Serializer[Any]):
    """An API as the catalogue shows it."""

    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    slug = serializers.CharField()
    provider = serializers.CharField(source="provider.name")
    base_path = serializers.CharField()
    summary = serializers.CharField()
    description = serializers.CharField()
    category = serializers.CharField()
    document_version = serializers.CharField()
    updated_at = serializers.DateTimeField()


class CategoryOut(serializers.Serializer[Any]):
    """A category and how many APIs it has."""

    name = serializers.CharField()
    apis = serializers.IntegerField()


class CategoriesOut(serializers.Serializer[Any]):
    """The categories of the catalogue, largest first."""

    data = CategoryOut(many=True)


class CatalogueQuery(Paged):
    """What to look for."""

    search = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    category = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")
    provider = serializers.SlugField(max_length=60, required=False, allow_blank=True, default="")


class Catalogue(Endpoint):
    @operation(
        "Search the catalogue (English or Chinese)",
        query=CatalogueQuery,
        answer=ListedApiOut,
        many=True,
        is_public=True,
    )
    def get(self, request: Request) -> Response:
        return self.page_response(shelf.catalog_list(**self.query), ListedApiOut)


class CatalogueCategories(Endpoint):
    @operation("List categories", answer=CategoriesOut, is_public=True)
    def get(self, request: Request) -> Response:
        return Response(CategoriesOut({"data": shelf.categories_list()}).data)


class ListedEndpoint(Endpoint):
    """Finds the API of the address, by slug or public id."""

    def listed_find(self, slug: str) -> Api:
        """The API that the caller, or anybody, may see."""
        caller = self.request.user
        return shelf.catalog_get(slug=slug, person=caller if isinstance(caller, Person) and not self.within else None)


class CatalogueOne(ListedEndpoint):
    @operation("Show an API of the catalogue", answer=ListedApiOut, is_public=True, has_etag=True)
    def get(self, request: Request, slug: str) -> Response:
        return self.entity_response(ListedApiOut(self.listed_find(slug)).data)


class CatalogueOperations(ListedEndpoint):
    @operation("List the operations of an API", query=Paged, answer=OperationOut, many=True, is_public=True)
    def get(self, request: Request, slug: str) -> Response:
        rows = shelf.operations_offered(api=self.listed_find(slug))
        page = page_take(rows, order=("position", "id"), bound={"of": slug}, **self.query)
        return self.page_response(page, OperationOut)


class DocumentOut(serializers.Serializer[Any]):
    """An OpenAPI document."""

    openapi = serializers.CharField()


class CatalogueDocument(ListedEndpoint):
    @operation("Download the OpenAPI document of an API", answer=DocumentOut, is_public=True, has_etag=True)
    def get(self, request: Request, slug: str) -> Response:
        return self.entity_response(self.listed_find(slug).document)
