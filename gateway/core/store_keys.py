"""What both sides of the gateway call things in Valkey: what the Django side writes and the data plane reads, or the reverse.

Keys that one side alone knows stand beside what uses them. The README has the whole list.
"""

SNAPSHOT_KEY = "tg:snapshot"
SNAPSHOT_VERSION_KEY = "tg:snapshot:version"
APP_KEY_PREFIX = "tg:dir:key:"
"""Before an AppKey: the directory's entry of that credential."""
APP_CODE_PREFIX = "tg:dir:code:"
"""Before the SHA-256 of an AppCode."""
COMPLETE_KEY = "tg:dir:complete"
"""Set once the whole directory was written; missing when Valkey lost its data, even if a later change wrote something.

Without it, an absent entry proves nothing.
"""
USED_KEY = "tg:used"
"""Hash: credential id → Unix seconds of its last use. Gateways write it, a task moves it to PostgreSQL."""
INVALIDATE_CHANNEL = "tg:invalidate"
