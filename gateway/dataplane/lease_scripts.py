"""The Lua scripts of quota counters and rate states: what must be atomic in Valkey, and nothing else.

A quota counter is a hash: ``u`` is all units spent or held by anyone, and ``o:<boot>`` is what one worker last said of itself:
``charged:held:free:sequence:number``. A worker always states its own totals, never differences, so a request that is repeated,
or whose answer was lost, does no harm. ``charged`` are the units of calls in segments before ``sequence``; ``held`` all other units the
worker has (unspent, in flight, or charged in its open segment); ``free`` those of them that may still come back. Numbers only grow within
a worker. A bucket that begins anew after an earlier one of its window was forgotten states totals of its own: what was said under a number
before its ``born`` stays counted.
"""

from gateway.core.quotas import SHARE
from gateway.dataplane.store import Script

GENERATION_KEY = "tg:quota:generation"
"""Set when the counters are complete. When it is gone, Valkey has lost data and every counter is too low."""
EPOCH_KEY = "tg:quota:epoch"
"""While counters are rebuilt: the generation to come. Workers tell the empty counters what they hold under its name."""
JOIN_KEY = "tg:quota:join"
"""While counters are rebuilt: boot → the segment from which on this worker's units are not in the rebuilt base."""
LOW_CHANNEL = "tg:quota:low"
"""A counter's key: somebody wants units of it and there are none left; whoever holds free ones gives them back."""

LIMITLESS = -1
"""Instead of a limit: units are counted, and there are always more."""
LOST, STALE = -2, -3
"""Instead of a grant: the generation is not the asker's; the request is older than one that was seen already."""

_PARSE = """
local function parse(text)
  if not text then return 0, 0, 0, 0 end
  local c, h, f, s, n = string.match(text, '^(%-?%d+):(%-?%d+):(%-?%d+):(%d+):(%d+)$')
  return tonumber(c), tonumber(h), tonumber(f), tonumber(n)
end
"""

_LEASE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {@LOST@, 0, 0} end
local field = 'o:' .. ARGV[2]
local born, number = tonumber(ARGV[3]), tonumber(ARGV[4])
local charged, held, free = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local wanted, limit = tonumber(ARGV[9]), tonumber(ARGV[10])
local mine = redis.call('HGET', KEYS[1], field)
local c, h, f, n = parse(mine)
if mine and number <= n then return {@STALE@, 0, 0} end
if mine and n < born then c = 0 end
local used = tonumber(redis.call('HGET', KEYS[1], 'u') or '0') + charged + held - c - h
local granted, others = 0, 0
if wanted > 0 then
  if limit == @LIMITLESS@ then
    granted = wanted
  elseif used < limit then
    local owners = redis.call('HLEN', KEYS[1]) - 1 - redis.call('HEXISTS', KEYS[1], 'b')
    if not mine then owners = owners + 1 end
    if owners < 1 then owners = 1 end
    granted = math.min(wanted, math.max(1, math.floor((limit - used) / (@SHARE@ * owners))))
  else
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 2) == 'o:' and all[i] ~= field then
        local _, _, theirs = parse(all[i + 1])
        if theirs > 0 then others = others + theirs end
      end
    end
    if others > 0 then redis.call('PUBLISH', '@LOW@', KEYS[1]) end
  end
end
used = used + granted
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', used), field,
  string.format('%.0f:%.0f:%.0f:%s:%.0f', charged, held + granted, free + granted, ARGV[8], number))
if not mine then redis.call('EXPIREAT', KEYS[1], ARGV[11]) end
return {granted, used, others}
"""
_CONSTANTS = {
    "@LIMITLESS@": str(LIMITLESS),
    "@LOST@": str(LOST),
    "@STALE@": str(STALE),
    "@SHARE@": str(SHARE),
    "@LOW@": LOW_CHANNEL,
}
for _name, _value in _CONSTANTS.items():
    _LEASE = _LEASE.replace(_name, _value)
QUOTA_LEASE = Script(_PARSE + _LEASE)
"""KEYS: counter, generation. ARGV: generation, boot, number after which the bucket began, number of the request, charged, held, free,
sequence, wanted, limit or LIMITLESS, Unix second at which the counter may go. Returns granted units, units used by all, and free units
that others may give back."""

QUOTA_LEAVE = Script(
    _PARSE
    + """
local field = 'o:' .. ARGV[1]
local mine = redis.call('HGET', KEYS[1], field)
if not mine then return {0, 0} end
local c, h = parse(mine)
local used = tonumber(redis.call('HGET', KEYS[1], 'u') or '0') + tonumber(ARGV[2]) - c - h
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', used))
redis.call('HDEL', KEYS[1], field)
return {c + h - tonumber(ARGV[2]), used}
"""
)
"""KEYS: counter. ARGV: boot, all units it charged. Ends one owner: what it held and did not charge is free again. A second
time nothing happens. Returns the units that came back, and units used by all."""

QUOTA_BASE = Script(
    """
local before = tonumber(redis.call('HGET', KEYS[1], 'b') or '0')
local used = tonumber(redis.call('HGET', KEYS[1], 'u') or '0') + tonumber(ARGV[1]) - before
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', used), 'b', ARGV[1])
redis.call('EXPIREAT', KEYS[1], ARGV[2])
return used
"""
)
"""KEYS: counter. ARGV: units from the tallies, Unix second at which it may go. Adds the base of a rebuilt counter (field ``b``) to
what workers have told it already; a second time replaces the first."""

RATE_LEASE = Script(
    """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local wanted, back = tonumber(ARGV[3]), tonumber(ARGV[4])
local tat = tonumber(redis.call('GET', KEYS[1]) or '0') - back * interval
if tat < now then tat = now end
local due = now + burst * interval
local granted = math.max(0, math.min(wanted, math.floor((due - tat) / interval)))
tat = tat + granted * interval
if granted > 0 or back > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
end
return {granted, math.max(0, tat + interval - due), math.max(0, math.floor((due - tat) / interval))}
"""
)
"""KEYS: state. ARGV: microseconds between emissions, burst, wanted, given back. gateway.core.gcra.admit on the server's own clock.
Returns granted calls, microseconds until one more would be granted, and how many more would be granted now."""
