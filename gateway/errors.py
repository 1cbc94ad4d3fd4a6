"""What the Django side of the gateway can refuse, below marketplace.errors.ApplicationError.

    ApplicationError
    └── PublishFailed           gateways could not be told; the change waits in the outbox     503
        ├── StoreUnreachable    Valkey did not answer in time                                  503
        └── SnapshotTooLarge    the live deployments exceed what a gateway loads               503

Refusals of API calls are another vocabulary: gateway/core/rejections.py.
"""

from marketplace.errors import ApplicationError


class PublishFailed(ApplicationError):
    """Gateways could not be told of a change. It stays in the outbox and is tried again."""

    code = "publish_failed"
    status = 503


class StoreUnreachable(PublishFailed):
    """Valkey did not answer in time."""

    code = "store_unreachable"


class SnapshotTooLarge(PublishFailed):
    """The live deployments are larger than a gateway loads; the last snapshot stays in force."""

    code = "snapshot_too_large"
