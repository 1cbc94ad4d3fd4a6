"""Who subscribed to a provider's API, above marketplace's list of who may call it."""

from collections.abc import Mapping
from typing import Any

from billing.selectors.subscriptions import subscriber_list

SUBSCRIBERS_SHOWN_MAX = 100


def subscribers_context(page: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The newest subscriptions to the API; nothing without any."""
    rows = subscriber_list(provider=page["request"].organization).filter(api=page["api"])
    subscribers = list(rows[:SUBSCRIBERS_SHOWN_MAX])
    return {"subscribers": subscribers} if subscribers else None
