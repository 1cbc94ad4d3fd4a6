"""Hypothesis for a busy machine: no deadlines, since time is never asserted in a test, and fewer examples a property."""

from hypothesis import HealthCheck, settings

settings.register_profile("billing", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("billing")
