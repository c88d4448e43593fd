-- Who may come in, of one service: the twin of gateway/core/limits.py, where the rules are explained.
--
-- KEYS  1 admitted, 2 slots (gateway/adapters/redis_keys.py)
-- ARGV  1 operation, 2 now in ms ('' is this server's clock; tests pass one), 3 the lease in ms, then of
--         enter   4 the id, 5 requests a minute, 6 requests at once ('' where there is no limit), 7... ids that have left
--         keep    4... ids whose requests live
-- Reply of enter {the limit that refuses or '', admitted in the last minute, reset in ms, retry in ms}

local admitted_key, slots_key = KEYS[1], KEYS[2]
local operation, lease_ms = ARGV[1], tonumber(ARGV[3])
local MINUTE_S = 60

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now_ms = tonumber(ARGV[2]) or server_ms()
local second = math.floor(now_ms / 1000)

-- The seconds that count with their counts, and the sum; the others are deleted.
local function last_minute()
  local counts, total = {}, 0
  local stored = redis.call('HGETALL', admitted_key)
  for i = 1, #stored, 2 do
    local at = tonumber(stored[i])
    if math.abs(second - at) <= MINUTE_S then
      counts[at] = tonumber(stored[i + 1])
      total = total + counts[at]
    else
      redis.call('HDEL', admitted_key, stored[i])
    end
  end
  return counts, total
end

local function newest_first(counts)
  local seconds = {}
  for at in pairs(counts) do
    seconds[#seconds + 1] = at
  end
  table.sort(seconds, function(a, b) return a > b end)
  return seconds
end

local function forgotten_ms(at)
  return at and math.max(0, (at + MINUTE_S + 1) * 1000 - now_ms) or 0
end

-- The second that must be forgotten for one more to fit: those after it are fewer than the limit.
local function last_to_go(counts, seconds, limit)
  local counted = 0
  for _, at in ipairs(seconds) do
    counted = counted + counts[at]
    if counted >= limit then
      return at
    end
  end
end

local function give_slot(id)
  redis.call('ZADD', slots_key, string.format('%.0f', now_ms + lease_ms), id)
  redis.call('PEXPIRE', slots_key, string.format('%.0f', lease_ms))
end

local function admit(id)
  redis.call('HINCRBY', admitted_key, string.format('%.0f', second), 1)
  redis.call('EXPIRE', admitted_key, 2 * MINUTE_S + 1)
  give_slot(id)
end

local function enter(id, per_minute, at_once)
  redis.call('ZREMRANGEBYSCORE', slots_key, '-inf', string.format('%.0f', now_ms))
  for i = 7, #ARGV do
    redis.call('ZREM', slots_key, ARGV[i])
  end
  local counts, total = last_minute()
  local refused_by = ''
  if not redis.call('ZSCORE', slots_key, id) then
    if total >= per_minute then
      refused_by = 'requests_per_minute'
    elseif redis.call('ZCARD', slots_key) >= at_once then
      refused_by = 'concurrency'
    else
      admit(id)
      counts[second], total = (counts[second] or 0) + 1, total + 1
    end
  end
  local seconds = newest_first(counts)
  return { refused_by, total, forgotten_ms(seconds[1]), forgotten_ms(last_to_go(counts, seconds, per_minute)) }
end

if operation == 'enter' then
  return enter(ARGV[4], tonumber(ARGV[5]) or math.huge, tonumber(ARGV[6]) or math.huge)
end
for i = 4, #ARGV do
  give_slot(ARGV[i])
end
