"""What Redis keeps of the groups, and the scripts that change it.

``p`` is the option ``PREFIX``, and ``{g}`` the name of a group. The braces put all keys of a group into one slot of a
cluster; ``{p}`` does it for those of all processes.

================ ======= ============================================================================================
key              type    content
================ ======= ============================================================================================
``p:{g}:m``      hash    ``e`` the epoch, ``n`` the number of the last message, ``x`` the number of closings, ``y``
                         the last of them; forgotten HISTORY_TTL after the last message
``p:{g}:h``      stream  the history: ids ``n-0``, field ``d``
``p:{g}:c``      channel ``m e n payload`` a message, ``c e x closing``, ``s e n x closing`` a mark, ``j name`` and
                         ``l name`` a name that has joined or left
``p:{g}:n``      hash    process -> the number of its members
``p:{g}:w``      hash    name -> the processes that have it, separated by spaces
``p:{p}:z``      zset    process -> the time of its last heartbeat in milliseconds, by the clock of Redis
``p:{p}:g:proc`` set     the groups in which a process has members
``p:{p}:s:proc`` string  the process that sweeps a dead one
``p:{p}:a:id``   list    the answers to a question for the WebSockets of all processes; forgotten after some seconds
``p:p:proc``     channel what the subscriber of a process sends to itself: to be woken, and to test its connection; and
                         ``q question``
================ ======= ============================================================================================

All commands are in Redis since version 5, except SPUBLISH (7). A script runs as a whole, so that a message has its
number and its place in the history when it is published. Every script takes O(1), unless it says otherwise.
"""

from __future__ import annotations

import hashlib
from typing import Final


class Script:
    """A script in Lua."""

    __slots__ = ("sha", "source")

    def __init__(self, source: str) -> None:
        self.source = source.strip()
        #: The name by which Redis can run it again.
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


# Whoever comes first begins the epoch of a group.
_BEGIN: Final = """
local function begin(epoch, life)
  if redis.call('HEXISTS', KEYS[1], 'e') == 0 then
    redis.call('HSET', KEYS[1], 'e', epoch, 'n', 0, 'x', 0)
    redis.call('PEXPIRE', KEYS[1], life)
    redis.call('DEL', KEYS[2])
  end
  return redis.call('HGET', KEYS[1], 'e')
end
"""

#: Keys: m, h. Arguments: channel, PUBLISH or SPUBLISH, epoch, milliseconds of life, length of the history, payload.
PUBLISH: Final = Script(
    _BEGIN
    + """
local e = begin(ARGV[3], ARGV[4])
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if tonumber(ARGV[5]) > 0 then
  redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[5], n .. '-0', 'd', ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
redis.call(ARGV[2], ARGV[1], 'm ' .. e .. ' ' .. n .. ' ' .. ARGV[6])
return {e, n}
"""
)

#: Keys: m, h. Arguments: channel, PUBLISH or SPUBLISH, epoch, milliseconds of life, closing.
CLOSE: Final = Script(
    _BEGIN
    + """
local e = begin(ARGV[3], ARGV[4])
local x = redis.call('HINCRBY', KEYS[1], 'x', 1)
redis.call('HSET', KEYS[1], 'y', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call(ARGV[2], ARGV[1], 'c ' .. e .. ' ' .. x .. ' ' .. ARGV[5])
"""
)

#: Publish a mark on the channel of a group: its position and its last closing. It is in order with all else that is
#: published there, so that whatever was published before it and has not arrived is missing. Keys: m, h. Arguments:
#: channel, PUBLISH or SPUBLISH, epoch, milliseconds of life.
MARK: Final = Script(
    _BEGIN
    + """
local e = begin(ARGV[3], ARGV[4])
local p = redis.call('HMGET', KEYS[1], 'n', 'x', 'y')
redis.call(ARGV[2], ARGV[1], 's ' .. e .. ' ' .. p[1] .. ' ' .. (p[2] or 0) .. ' ' .. (p[3] or ''))
"""
)

#: Return the epoch, and the number of the last message. Keys: m, h. Arguments: epoch, milliseconds of life.
POSITION: Final = Script(
    _BEGIN
    + """
local e = begin(ARGV[1], ARGV[2])
return {e, redis.call('HGET', KEYS[1], 'n')}
"""
)

#: Return the epoch, the number of the last message, and the history behind a position; all of it if there is no such
#: position. O(log(history) + messages). Keys: m, h. Arguments: epoch, number.
REPLAY: Final = Script("""
local p = redis.call('HMGET', KEYS[1], 'e', 'n')
if not p[1] then return {'', '0', {}} end
local since = 0
if p[1] == ARGV[1] and tonumber(ARGV[2]) <= tonumber(p[2]) then since = tonumber(ARGV[2]) end
return {p[1], p[2], redis.call('XRANGE', KEYS[2], string.format('%.0f-0', since + 1), '+')}
""")

_NOW: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

#: Say that a process lives. Return whether it was known to, and the processes that are dead. O(log(processes) + dead).
#: Keys: z. Arguments: process, milliseconds after which one without a heartbeat is dead.
BEAT: Final = Script(
    _NOW
    + """
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
return {known and 1 or 0, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])}
"""
)

#: Return the processes that live. O(processes). Keys: z. Arguments: as for :data:`BEAT`, without the process.
LIVE: Final = Script(
    _NOW
    + """
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now - ARGV[1]), '+inf')
"""
)

#: Publish a question on the channels of all other processes that live. Return each, and how many subscribers have got
#: it, which in a cluster is that of one node. O(processes). Keys: z. Arguments: milliseconds after which a process
#: without a heartbeat is dead, the process that asks, what the channels begin with, question.
ASK: Final = Script(
    _NOW
    + """
local found = {}
local live = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now - ARGV[1]), '+inf')
for _, process in ipairs(live) do
  if process ~= ARGV[2] then
    found[#found + 1] = process
    found[#found + 1] = redis.call('PUBLISH', ARGV[3] .. process, ARGV[4])
  end
end
return found
"""
)

#: Add an answer to a question. Keys: p:{p}:a:id. Arguments: milliseconds until it is forgotten, answers that are kept
#: at most, answer.
ANSWER: Final = Script("""
if redis.call('LLEN', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('RPUSH', KEYS[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
""")

#: Add names of a process, and publish those that no other process had. O(names x processes of a name). Keys: n, w.
#: Arguments: channel, PUBLISH or SPUBLISH, process, number of its members, names.
JOIN: Final = Script("""
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
for i = 5, #ARGV do
  local had = redis.call('HGET', KEYS[2], ARGV[i])
  if not had then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[3])
    redis.call(ARGV[2], ARGV[1], 'j ' .. ARGV[i])
  elseif not string.find(' ' .. had .. ' ', ' ' .. ARGV[3] .. ' ', 1, true) then
    redis.call('HSET', KEYS[2], ARGV[i], had .. ' ' .. ARGV[3])
  end
end
""")

_LEAVE: Final = """
local function leave(name)
  local had = redis.call('HGET', KEYS[2], name)
  if not had then return end
  local rest, found = {}, false
  for process in string.gmatch(had, '%S+') do
    if process == ARGV[3] then found = true else rest[#rest + 1] = process end
  end
  if not found then return end
  if #rest > 0 then
    redis.call('HSET', KEYS[2], name, table.concat(rest, ' '))
  else
    redis.call('HDEL', KEYS[2], name)
    redis.call(ARGV[2], ARGV[1], 'l ' .. name)
  end
end
"""

#: Remove names of a process, and publish those that no other process has. The rest as for :data:`JOIN`.
LEAVE: Final = Script(
    _LEAVE
    + """
if tonumber(ARGV[4]) > 0 then
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
else
  redis.call('HDEL', KEYS[1], ARGV[3])
end
for i = 5, #ARGV do leave(ARGV[i]) end
"""
)

#: Remove a dead process from a group. O(names in the group). Keys: n, w. Arguments: channel, PUBLISH or SPUBLISH,
#: process.
SWEEP: Final = Script(
    _LEAVE
    + """
redis.call('HDEL', KEYS[1], ARGV[3])
for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do leave(name) end
"""
)

#: Note that a process has members in a group, or has none any more. Keys: p:{p}:g:proc. Arguments: group.
ENTER: Final = Script("redis.call('SADD', KEYS[1], ARGV[1])")
EXIT: Final = Script("redis.call('SREM', KEYS[1], ARGV[1])")
