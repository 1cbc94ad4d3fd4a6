"""Limits: rates and a quota as values; the hinge between Plan, Grant and gateway. Shape only, no behaviour."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

QuotaWindow = Literal["hour", "day", "month", "period"]
StoreDown = Literal["deny", "allow"]

CHARGED_OUTCOMES_DEFAULT = ("succeeded", "client_error")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """``calls`` per ``period_s`` seconds, enforced by GCRA with room for ``burst`` calls at once (0: the same as calls)."""

    calls: int
    period_s: int
    burst: int = 0
    store_down: StoreDown = "allow"

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Load what ``dataclasses.asdict`` made. Raises TypeError on unknown fields."""
        return cls(**value)


@dataclass(frozen=True, slots=True)
class QuotaLimit:
    """``units`` per window. Hard: call number units+1 is refused. Soft: counted and shown, never refused.

    ``window`` hour, day and month follow the calendar of ``time_zone``; ``period`` is the subscription's billing period,
    whose bounds [period_start, period_end) are Unix seconds and are rewritten by billing when a period turns.
    ``charged`` lists the outcomes that use up units; all others give their unit back.
    """

    units: int
    window: QuotaWindow
    hard: bool = True
    time_zone: str = "UTC"
    period_start: int = 0
    period_end: int = 0
    store_down: StoreDown = "deny"
    charged: tuple[str, ...] = CHARGED_OUTCOMES_DEFAULT

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Load what ``dataclasses.asdict`` made. Raises TypeError on unknown fields."""
        return cls(**{**value, "charged": tuple(value.get("charged", CHARGED_OUTCOMES_DEFAULT))})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one Grant allows. ``plan_name`` is only text for people: it appears in refusals."""

    plan_name: str = ""
    rates: tuple[RateLimit, ...] = field(default=())
    quota: QuotaLimit | None = None

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Load what ``dataclasses.asdict`` made. Raises TypeError on unknown fields."""
        quota = value.get("quota")
        return cls(
            plan_name=value.get("plan_name", ""),
            rates=tuple(RateLimit.from_dict(rate) for rate in value.get("rates", ())),
            quota=QuotaLimit.from_dict(quota) if quota else None,
        )


@dataclass(frozen=True, slots=True)
class LimitsTurn:
    """Other Limits, which take over in a grant ``at`` a Unix second: gateways turn by their own clocks.

    In the dict of a grant's Limits it is the member ``turn``, there only while one is ahead.
    """

    at: int
    limits: Limits

    @classmethod
    def of_grant(cls, value: dict[str, Any]) -> Self | None:
        """Load the turn from the dict of a grant's Limits; None when there is none. Raises KeyError, TypeError."""
        turn = value.get("turn")
        return cls(turn["at"], Limits.from_dict(turn["limits"])) if turn else None
