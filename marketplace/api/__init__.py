"""The REST API under /api/v1/: one file a noun; what all of them share is in base, problems, authentication, schema."""
