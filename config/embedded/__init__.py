"""Real PostgreSQL and Valkey servers that need no installation: found, prepared, started. Nothing here imports Django."""
