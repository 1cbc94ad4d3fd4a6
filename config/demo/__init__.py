"""The demo's offer and people, made through the same services as everything real."""
