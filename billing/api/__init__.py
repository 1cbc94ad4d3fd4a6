"""The REST API of billing, below /api/v1/: doors on services and selectors, by the kit of marketplace.api.base."""
