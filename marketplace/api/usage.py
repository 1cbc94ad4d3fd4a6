"""Endpoints of usage: totals, a series by hour or day, operations, latencies; as JSON and as CSV."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.base import Endpoint, Strict, operation
from marketplace.errors import Fault, InvalidInput
from marketplace.models import Api, App, UsageTally
from marketplace.selectors import access as shown
from marketplace.selectors import accounts as people
from marketplace.selectors import usage

DEFAULT_SPAN_DAYS = 7
_TIME_ZONES = frozenset(available_timezones())
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class UsageQuery(Strict):
    """What to add up: [since, until), whole hours that begin in it."""

    side = serializers.ChoiceField(choices=["consumer", "provider"], default="consumer")
    app = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    api = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    grain = serializers.ChoiceField(choices=["hour", "day"], default="hour")
    time_zone = serializers.CharField(max_length=64, default="UTC")


class TotalsOut(serializers.Serializer[Any]):
    """Sums."""

    calls = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    client_error = serializers.IntegerField()
    upstream_failed = serializers.IntegerField()
    rejected = serializers.IntegerField()
    units = serializers.IntegerField()
    request_bytes = serializers.IntegerField()
    response_bytes = serializers.IntegerField()


class UsageRowOut(serializers.Serializer[Any]):
    """Sums of one hour or day."""

    at = serializers.DateTimeField()
    totals = TotalsOut()


class OperationUsageOut(serializers.Serializer[Any]):
    """Sums of one operation."""

    operation = serializers.SerializerMethodField()
    name = serializers.SerializerMethodField()
    totals = TotalsOut()

    def get_operation(self, row: Any) -> str | None:
        """Public id, null for calls that matched no operation."""
        return row.operation.public_id if row.operation else None

    def get_name(self, row: Any) -> str:
        """Its name in the document."""
        return row.operation.name if row.operation else ""


class UsageOut(serializers.Serializer[Any]):
    """The answer; ``as_of`` says how fresh it is."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    as_of = serializers.DateTimeField(allow_null=True)
    totals = TotalsOut()
    by_outcome = serializers.DictField(child=serializers.IntegerField())
    p50_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)
    rows = UsageRowOut(many=True)
    operations = OperationUsageOut(many=True)


class UsageEndpoint(Endpoint):
    """Finds the tallies that a question is about."""

    def tallies_find(self, organization: str) -> tuple[QuerySet[UsageTally], datetime, datetime]:
        """The tallies, and the span. Raises NotFound, NotPermitted, InvalidInput."""
        found = people.organization_get(
            person=self.person, public_id=organization, action="usage.view", within=self.within
        )
        until = self.query.get("until") or timezone.now() + timedelta(hours=1)
        since = self.query.get("since") or until - timedelta(days=DEFAULT_SPAN_DAYS)
        if not _FIRST <= since <= _LAST or not _FIRST <= until <= _LAST:
            message = _("The times must lie between the years 2000 and 2200.")
            raise InvalidInput(message, faults=[Fault("/since", message)])
        usage.usage_span_check(since=since, until=until, grain=self.query["grain"])
        if self.query["time_zone"] not in _TIME_ZONES:
            message = _("There is no such time zone. Write it as Asia/Shanghai.")
            raise InvalidInput(message, faults=[Fault("/time_zone", message)])
        narrowed = self._narrowed(found)
        tallies = usage.usage_tallies(organization=found, since=since, until=until, side=self.query["side"], **narrowed)
        return tallies, since, until

    def _narrowed(self, organization: Any) -> dict[str, Any]:
        """The own half of the question is looked up in the organization; the other half is only compared."""
        narrowed: dict[str, Any] = {}
        is_provider = self.query["side"] == "provider"
        if public_id := self.query["app"]:
            rows = shown.grants_list(is_ended_shown=True).filter(api__provider=organization).values("app_id")
            apps = App.objects.filter(id__in=rows) if is_provider else organization.apps.all()
            narrowed["app"] = people.entity_find(App, apps, public_id)
        if public_id := self.query["api"]:
            apis = organization.apis.all() if is_provider else Api.objects.all()
            narrowed["api"] = people.entity_find(Api, apis, public_id)
        return narrowed


class OrganizationUsage(UsageEndpoint):
    @operation("Show usage", scope="usage:read", query=UsageQuery, answer=UsageOut)
    def get(self, request: Request, organization: str) -> Response:
        tallies, since, until = self.tallies_find(organization)
        summary = usage.usage_summary(tallies, since=since, until=until)
        rows = usage.usage_rows(tallies, grain=self.query["grain"], time_zone=self.query["time_zone"])
        names = ("since", "until", "as_of", "totals", "by_outcome", "p50_ms", "p95_ms", "p99_ms")
        body = {name: getattr(summary, name) for name in names}
        return Response(UsageOut({**body, "rows": rows, "operations": usage.usage_by_operation(tallies)}).data)


class OrganizationUsageCsv(UsageEndpoint):
    @operation("Download usage as CSV", scope="usage:read", query=UsageQuery, media_type="text/csv")
    def get(self, request: Request, organization: str) -> HttpResponse:
        tallies, _since, _until = self.tallies_find(organization)
        rows = usage.usage_rows(tallies, grain=self.query["grain"], time_zone=self.query["time_zone"])
        text = io.StringIO()
        csv.writer(text).writerows(usage.usage_csv_rows(rows))
        response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="usage.csv"'
        return response
