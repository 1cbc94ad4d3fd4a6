"""The tables of the marketplace, by room: accounts, catalog, access, usage, changes."""

from marketplace.models.access import App, Credential, CredentialKind, Grant
from marketplace.models.accounts import AccessToken, Invitation, Membership, Organization, Person, Role
from marketplace.models.catalog import Activation, Api, Deployment, Operation, Stage, StageName, Visibility
from marketplace.models.changes import AuditEvent, Change, IdempotentAnswer
from marketplace.models.usage import UsageSegment, UsageTally

__all__ = [
    "AccessToken",
    "Activation",
    "Api",
    "App",
    "AuditEvent",
    "Change",
    "Credential",
    "CredentialKind",
    "Deployment",
    "Grant",
    "IdempotentAnswer",
    "Invitation",
    "Membership",
    "Operation",
    "Organization",
    "Person",
    "Role",
    "Stage",
    "StageName",
    "UsageSegment",
    "UsageTally",
    "Visibility",
]
