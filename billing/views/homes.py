"""What billing says on the home pages: a consumer's spend so far, a provider's earnings of this month."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from billing.selectors.earnings import earnings_summary, month_period
from billing.selectors.overviews import spend_summary
from billing.selectors.subscriptions import subscription_list
from marketplace.core.permissions import role_permits


def consumer_context(page: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Spent so far and to come by currency, for those who may see it; nothing before the first subscription."""
    request = page["request"]
    if not role_permits(request.membership.role, "billing.view"):
        return None
    if not subscription_list(organization=request.organization, is_ended_shown=False).exists():
        return None
    return {"spend": spend_summary(organization=request.organization, now=timezone.now()).items()}


def provider_context(page: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Earned this month by currency, for those who may see what is owed."""
    request = page["request"]
    if not role_permits(request.membership.role, "invoice.view"):
        return None
    provider = request.organization
    period = month_period(timezone.localdate(), provider.time_zone)
    sums = earnings_summary(provider=provider, period=period)
    return {"earned": sums} if sums else None
