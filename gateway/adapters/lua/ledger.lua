-- One service in one window: the twin of gateway/core/budget.py, where the rules are explained.
--
-- KEYS  1 sums, 2 leases, 3 holds (gateway/adapters/redis_keys.py)
-- ARGV  1 operation, 2 now in ms ('' is this server's clock; tests pass one), 3 and 4 the window in ms,
--       5 when the keys expire in unix seconds, 6 late_ms, 7... the operation's own
-- Reply {word, now_ms, ...}. 'window' means: by this clock it is another window, nothing was done.
--
-- Numbers are doubles, exact because limits are below 2^53. They become text only through '%.0f': Lua's own way of
-- writing 10^15 is 1e+15, which HINCRBY rejects.

local sums, leases, holds = KEYS[1], KEYS[2], KEYS[3]
local operation, late_ms = ARGV[1], tonumber(ARGV[6])

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now_ms = tonumber(ARGV[2]) or server_ms()

local function add(field, n)
  if n ~= 0 then -- which also keeps away -0, another thing HINCRBY rejects
    redis.call('HINCRBY', sums, field, string.format('%.0f', n))
  end
end

local function sum(field)
  return tonumber(redis.call('HGET', sums, field) or '0')
end

local function remember(id, phase, tokens, nano_usd, until_ms)
  redis.call('HSET', holds, id, string.format('%s %.0f %.0f', phase, tokens, nano_usd))
  redis.call('ZADD', leases, string.format('%.0f', until_ms), id)
end

local function recall(id)
  local phase, tokens, nano_usd = string.match(redis.call('HGET', holds, id) or '', '^(%a+) (%d+) (%d+)$')
  return phase, tonumber(tokens or '0'), tonumber(nano_usd or '0')
end

local function expire_lease(id)
  local phase, tokens, nano_usd = recall(id)
  local late_until_ms = tonumber(redis.call('ZSCORE', leases, id)) + late_ms
  if phase == 'held' then
    add('settled_tokens', tokens)
    add('settled_nano_usd', nano_usd)
    add('reserved_tokens', -tokens)
    add('reserved_nano_usd', -nano_usd)
  end
  if phase == 'held' and late_until_ms > now_ms then
    remember(id, 'expired', tokens, nano_usd, late_until_ms)
  else
    redis.call('HDEL', holds, id)
    redis.call('ZREM', leases, id)
  end
end

-- At most 100 at a time bounds the call; what is left over changes no decision, only which sum it is in.
local function sweep()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', string.format('%.0f', now_ms), 'LIMIT', 0, 100)) do
    expire_lease(id)
  end
end

-- limit is '' where there is none.
local function room(kind, limit)
  return (tonumber(limit) or math.huge) - sum('settled_' .. kind) - sum('reserved_' .. kind)
end

local function hold(id, tokens, nano_usd, limit_tokens, limit_nano_usd, lease_ms)
  local phase, held_tokens, held_nano_usd = recall(id)
  if phase == 'settled' then
    return { 'settled', now_ms }
  elseif phase then
    return { 'held', now_ms, held_tokens, held_nano_usd }
  elseif tokens > room('tokens', limit_tokens) then
    return { 'tokens', now_ms }
  elseif nano_usd > room('nano_usd', limit_nano_usd) then
    return { 'nano_usd', now_ms }
  end
  add('reserved_tokens', tokens)
  add('reserved_nano_usd', nano_usd)
  remember(id, 'held', tokens, nano_usd, now_ms + lease_ms)
  return { 'held', now_ms, tokens, nano_usd }
end

-- By how much going from one room to another went over the limit.
local function overshoot(before, after)
  return after < 0 and math.max(0, math.min(before, 0) - after) or 0
end

local function settle(id, tokens, nano_usd, limit_tokens, limit_nano_usd, kept_ms)
  local phase, held_tokens, held_nano_usd = recall(id)
  if phase == 'settled' then
    return { 'again', now_ms }
  end
  local tokens_room, nano_usd_room = room('tokens', limit_tokens), room('nano_usd', limit_nano_usd)
  if phase then
    local from = phase == 'held' and 'reserved_' or 'settled_'
    add('settled_tokens', tokens)
    add('settled_nano_usd', nano_usd)
    add(from .. 'tokens', -held_tokens)
    add(from .. 'nano_usd', -held_nano_usd)
  end
  remember(id, 'settled', 0, 0, now_ms + kept_ms)
  return {
    phase and 'settled' or 'unknown',
    now_ms,
    overshoot(tokens_room, room('tokens', limit_tokens)),
    overshoot(nano_usd_room, room('nano_usd', limit_nano_usd)),
  }
end

-- Spend that was never held, in batches; the id makes a repeated batch count once.
local function count(id, tokens, nano_usd, kept_ms)
  if recall(id) then
    return { 'again', now_ms }
  end
  add('settled_tokens', tokens)
  add('settled_nano_usd', nano_usd)
  remember(id, 'settled', 0, 0, now_ms + kept_ms)
  return { 'counted', now_ms }
end

local function spent()
  local tokens = redis.call('HGET', sums, 'settled_tokens') or '0'
  return { 'spent', now_ms, tokens, redis.call('HGET', sums, 'settled_nano_usd') or '0' }
end

local elsewhere = now_ms < tonumber(ARGV[3]) or now_ms >= tonumber(ARGV[4])
if elsewhere and (operation == 'hold' or operation == 'spent') then
  return { 'window', now_ms }
end

sweep()
local reply
if operation == 'hold' then
  reply = hold(ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], ARGV[11], tonumber(ARGV[12]))
elseif operation == 'settle' then
  reply = settle(ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], ARGV[11], tonumber(ARGV[12]))
elseif operation == 'count' then
  reply = count(ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]))
else
  reply = spent()
end
for _, key in ipairs(KEYS) do
  redis.call('EXPIREAT', key, ARGV[5])
end
return reply
