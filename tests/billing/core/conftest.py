"""Hypothesis without deadlines: on a busy machine a slow example is no fault, and time is never asserted in a test."""

from hypothesis import settings

settings.register_profile("without_deadline", deadline=None)
settings.load_profile("without_deadline")
