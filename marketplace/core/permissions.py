"""Who may do what: a table of role by action, and of access-token scope by action. Pure; finding the role is the selectors' work."""

from typing import Literal, get_args

Action = Literal[
    "organization.view",
    "organization.update",
    "member.view",
    "member.manage",
    "api.view",
    "api.manage",
    "app.view",
    "app.manage",
    "credential.manage",
    "usage.view",
    "billing.view",
    "billing.manage",
    "invoice.view",
    "token.manage",
]
"""``billing.view``: plans one has and what they use; ``invoice.view``: what is owed and paid, by invoices, statements, balances."""

ACTIONS: tuple[Action, ...] = get_args(Action)

_VIEWS: frozenset[Action] = frozenset({"organization.view", "member.view", "api.view", "app.view", "usage.view"})

_TABLE: dict[str, frozenset[Action]] = {
    "owner": frozenset(ACTIONS),
    "developer": _VIEWS | {"api.manage", "app.manage", "credential.manage", "token.manage", "billing.view"},
    "finance": _VIEWS | {"billing.view", "billing.manage", "invoice.view"},
    "viewer": _VIEWS,
}

_PLATFORM_FINANCE: frozenset[Action] = frozenset({"organization.view", "usage.view", "billing.view", "invoice.view"})

SCOPES: tuple[str, ...] = (
    "organizations:read",
    "organizations:write",
    "apis:read",
    "apis:write",
    "apps:read",
    "apps:write",
    "usage:read",
    "billing:read",
    "billing:write",
)
"""What an access token may be given. A ``write`` scope includes the ``read`` of its noun."""


def role_permits(role: str, action: Action) -> bool:
    """Return whether a member with ``role`` may do ``action``. An unknown role may do nothing."""
    return action in _TABLE.get(role, frozenset())


def scope_permits(scopes: tuple[str, ...] | list[str], needed: str) -> bool:
    """Return whether a token with ``scopes`` covers ``needed`` (``noun:read`` is covered by ``noun:write``)."""
    noun, _, verb = needed.partition(":")
    return needed in scopes or (verb == "read" and f"{noun}:write" in scopes)


def platform_role_permits(*, is_operator: bool, is_finance: bool, action: Action) -> bool:
    """Return whether a platform role alone permits ``action``: operators may look at all, finance also at money."""
    if is_operator and action in _VIEWS:
        return True
    return is_finance and action in _PLATFORM_FINANCE
