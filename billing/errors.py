"""Everything that a service of billing can refuse, as a branch of marketplace's tree. Doors render it; nothing swallows it.

ApplicationError (marketplace.errors)
├── InvalidInput                a value cannot be right; one fault for each                400
├── Conflict                    the object's present state does not allow this             409
│   ├── PlanNotOffered          the plan is a draft or retired                             409
│   ├── AlreadySubscribed       the app has a live subscription to this API and stage      409
│   ├── UsageDisagrees          tallies, usage records and lines differ by a unit or more  409
│   ├── LedgerDisagrees         a sum and the books differ                                 409
│   └── Busy                    somebody else is doing this right now                      409
"""

from marketplace.errors import ApplicationError, Conflict, Fault, InvalidInput, LimitReached, NotFound, NotPermitted

__all__ = [
    "AlreadySubscribed",
    "ApplicationError",
    "Busy",
    "Conflict",
    "Fault",
    "InvalidInput",
    "LedgerDisagrees",
    "LimitReached",
    "NotFound",
    "NotPermitted",
    "PlanNotOffered",
    "UsageDisagrees",
]


class PlanNotOffered(Conflict):
    """The plan is a draft or retired, so that nobody can subscribe to it now."""

    code = "plan_not_offered"


class AlreadySubscribed(Conflict):
    """The app has a live subscription to this API on this stage; change its plan instead."""

    code = "already_subscribed"


class UsageDisagrees(Conflict):
    """Tallies, usage records and invoice lines do not agree to the unit; ``faults`` lists each difference."""

    code = "usage_disagrees"


class LedgerDisagrees(Conflict):
    """A sum over documents and the sum over ledger entries differ; a person must look before anything is issued."""

    code = "ledger_disagrees"


class Busy(Conflict):
    """Somebody else holds the lock on this work right now. Try again in a moment."""

    code = "busy"
