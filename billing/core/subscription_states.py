"""The life of a Subscription as a table. CANCELED still runs, to the end of its period; ENDED has no Grant any more."""

from enum import StrEnum

from billing.core.states import StateTable


class SubscriptionStatus(StrEnum):
    """Where a subscription is. In the first three the app may call."""

    TRIALING = "trialing"
    ACTIVE = "active"
    CANCELED = "canceled"
    ENDED = "ended"

    @property
    def is_live(self) -> bool:
        """True while its Grant stands."""
        return self is not SubscriptionStatus.ENDED


class SubscriptionTrigger(StrEnum):
    """What happens to a subscription. CANCEL takes effect at the period's end, END at once."""

    ACTIVATE = "activate"
    CANCEL = "cancel"
    RESUME = "resume"
    END = "end"


SUBSCRIPTION_TABLE: StateTable[SubscriptionStatus, SubscriptionTrigger] = StateTable(
    "subscription",
    {
        (SubscriptionStatus.TRIALING, SubscriptionTrigger.ACTIVATE): SubscriptionStatus.ACTIVE,
        (SubscriptionStatus.TRIALING, SubscriptionTrigger.CANCEL): SubscriptionStatus.CANCELED,
        (SubscriptionStatus.TRIALING, SubscriptionTrigger.END): SubscriptionStatus.ENDED,
        (SubscriptionStatus.ACTIVE, SubscriptionTrigger.CANCEL): SubscriptionStatus.CANCELED,
        (SubscriptionStatus.ACTIVE, SubscriptionTrigger.END): SubscriptionStatus.ENDED,
        (SubscriptionStatus.CANCELED, SubscriptionTrigger.RESUME): SubscriptionStatus.ACTIVE,
        (SubscriptionStatus.CANCELED, SubscriptionTrigger.END): SubscriptionStatus.ENDED,
    },
)


def advance(status: SubscriptionStatus, trigger: SubscriptionTrigger) -> SubscriptionStatus:
    """Return the next status. Raises TransitionRefused."""
    return SUBSCRIPTION_TABLE.advance(SubscriptionStatus(status), SubscriptionTrigger(trigger))
