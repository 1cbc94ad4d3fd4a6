"""The order of the steps. match is not among them: it finds the route that carries them. respond answers what they let pass."""

from gateway.dataplane.pipeline import Compile
from gateway.dataplane.steps import authenticate, authorize, forward, guard, limit, quota, replay

STEPS: tuple[Compile, ...] = (
    guard.compile,
    authenticate.compile,
    replay.compile,
    authorize.compile,
    limit.compile,
    quota.compile,
    forward.compile,
)
"""Each gives the step for a route, or None when the route does not need it."""
