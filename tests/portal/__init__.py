"""Tests of the pages: forms and rights through Django's client, whole flows and every page's look in a real browser."""
