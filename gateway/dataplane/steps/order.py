"""The order of the steps.

Not among them: match, which finds the route that carries them, guard, which pipeline.py asks first about what is not ordinary,
and respond, which answers what they let pass.
"""

from gateway.dataplane.pipeline import Compile
from gateway.dataplane.steps import authenticate, authorize, forward, limit, quota, replay

STEPS: tuple[Compile, ...] = (
    authenticate.compile,
    replay.compile,
    authorize.compile,
    limit.compile,
    quota.compile,
    forward.compile,
)
"""Each gives the step for a route, or None when the route does not need it."""
