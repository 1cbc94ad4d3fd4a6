"""Descriptors: how many connections a worker takes, so that its journal can always open the next file.

A soft limit of 1,024 open files is common. It is raised as far as the system allows; what is still too few costs strangers their
connection, never a caller the record of a call.
"""

from __future__ import annotations

import logging
import resource

log = logging.getLogger("tollgate.gateway")

RESERVED = 256
"""Open files of a worker that are no connection of a client or to an upstream: journal, stores, snapshot, libraries; and some to spare."""


def descriptors_raise() -> None:
    """Raise this process's soft limit of open files to the hard one (getrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def clients_allowed(wanted: int) -> int:
    """Return how many connections of clients fit, at most ``wanted``: each may need one to an upstream as well."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if soft == resource.RLIM_INFINITY else min(wanted, max(1, (soft - RESERVED) // 2))
    if allowed < wanted:
        log.info(
            "only %d of %d client connections fit into %d open files: raise the limit (ulimit -n)",
            allowed,
            wanted,
            soft,
        )
    return allowed
