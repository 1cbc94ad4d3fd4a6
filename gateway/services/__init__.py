"""Writes of the gateway's Django side: publishing to Valkey. Enforcement itself is gateway/dataplane/."""
