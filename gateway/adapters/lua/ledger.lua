-- Budgets in their windows: the twin of gateway/core/meter.py, where the rules are explained.
--
-- KEYS  1 the epoch, then for each meter its sums, leases and holds (gateway/adapters/redis_keys.py)
-- ARGV  1 operation, 2 now in ms ('' is this server's clock; tests pass one), 3 the epoch the caller knows or '',
--       4 lease_ms, 5 late_ms, 6 kept_ms, then what the operation wants (gateway/adapters/ledger_script.py)
-- Reply {word, now_ms, epoch, ...}. 'window' means: by this clock it is another window, nothing was done. 'epoch' means:
--       this server may have lost what it was told, nothing was done; tell it what you know with 'restore'.
--
-- Numbers are doubles, exact because limits are below 2^53. They become text only through '%.0f': Lua's own way of
-- writing 10^15 is 1e+15, which HINCRBY rejects.

local BUCKETS = 60
local AMPLE_OUTPUT_TOKENS = 4096
local KINDS = { 'tokens', 'nano_usd' }
local SUMS = { 'settled_tokens', 'settled_nano_usd', 'reserved_tokens', 'reserved_nano_usd' }

local METERS = (#KEYS - 1) / 3

local operation, known_epoch = ARGV[1], ARGV[3]
local lease_ms, late_ms, kept_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local next_arg = 6

local function argument()
  next_arg = next_arg + 1
  return ARGV[next_arg]
end

local function number()
  return tonumber(argument())
end

local function text(n)
  return string.format('%.0f', n)
end

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now_ms = tonumber(ARGV[2]) or server_ms()
local epoch = redis.call('GET', KEYS[1]) or ''

-- Never shortens a life.
local function outlive(key, ms)
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, text(ms))
  end
end

local function add(meter, bucket, name, n)
  if n == 0 or bucket < meter.first then -- 0 also keeps away -0, another thing HINCRBY rejects
    return
  end
  meter[name] = meter[name] + n
  redis.call('HINCRBY', meter.sums, name, text(n))
  if meter.bucket_ms then
    redis.call('HINCRBY', meter.sums, text(bucket) .. ':' .. name, text(n))
  end
end

local function charge(meter, bucket, sum, sign, tokens, nano_usd)
  add(meter, bucket, sum .. '_tokens', sign * tokens)
  add(meter, bucket, sum .. '_nano_usd', sign * nano_usd)
end

local function remember(meter, id, phase, tokens, nano_usd, until_ms, bucket)
  redis.call('HSET', meter.holds, id, string.format('%s %.0f %.0f %.0f', phase, tokens, nano_usd, bucket))
  redis.call('ZADD', meter.leases, text(until_ms), id)
end

local function recall(meter, id)
  local record = redis.call('HGET', meter.holds, id) or ''
  local phase, tokens, nano_usd, bucket = string.match(record, '^(%a+) (%d+) (%d+) (%d+)$')
  return phase, tonumber(tokens or '0'), tonumber(nano_usd or '0'), tonumber(bucket or '0')
end

local function expire_lease(meter, id)
  local phase, tokens, nano_usd, bucket = recall(meter, id)
  local late_until_ms = tonumber(redis.call('ZSCORE', meter.leases, id)) + late_ms
  if phase == 'held' then
    charge(meter, bucket, 'settled', 1, tokens, nano_usd)
    charge(meter, bucket, 'reserved', -1, tokens, nano_usd)
  end
  if phase == 'held' and late_until_ms > now_ms then
    remember(meter, id, 'expired', tokens, nano_usd, late_until_ms, bucket)
  else
    redis.call('HDEL', meter.holds, id)
    redis.call('ZREM', meter.leases, id)
  end
end

-- At most 100 at a time bounds the call; what is left over changes no decision, only which sum it is in.
local function sweep(meter)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', meter.leases, '-inf', text(now_ms), 'LIMIT', 0, 100)) do
    expire_lease(meter, id)
  end
end

local function leave_bucket(meter, bucket)
  for _, name in ipairs(SUMS) do
    local field = text(bucket) .. ':' .. name
    local left = tonumber(redis.call('HGET', meter.sums, field) or '0')
    if left ~= 0 then
      meter[name] = tonumber(redis.call('HINCRBY', meter.sums, name, text(-left)))
    end
    redis.call('HDEL', meter.sums, field)
  end
end

local function move(meter)
  local first = math.max(meter.first, math.floor(now_ms / meter.bucket_ms) - BUCKETS)
  if first == meter.first then
    return
  end
  if meter.first > 0 then -- all that can be there: an hour's pause does not make an hour's loop
    for bucket = meter.first, math.min(first - 1, meter.first + BUCKETS) do
      leave_bucket(meter, bucket)
    end
  end
  meter.first = first
  redis.call('HSET', meter.sums, 'first', text(first), 'bucket_ms', text(meter.bucket_ms))
end

-- bucket_ms nil: as it was when it was made, which is all that an operation without windows can know.
local function open(at, bucket_ms)
  local meter = { sums = KEYS[3 * at - 1], leases = KEYS[3 * at], holds = KEYS[3 * at + 1], live_ms = 0 }
  local kept = redis.call('HMGET', meter.sums, 'first', 'bucket_ms', 'epoch', unpack(SUMS))
  meter.first = tonumber(kept[1] or '0')
  meter.bucket_ms = bucket_ms or tonumber(kept[2] or '')
  meter.epoch = kept[3]
  for nth, name in ipairs(SUMS) do
    meter[name] = tonumber(kept[nth + 3] or '0')
  end
  return meter
end

local function bucket_of(meter)
  return meter.bucket_ms and math.max(meter.first, math.floor(now_ms / meter.bucket_ms)) or 0
end

local function used(meter, kind)
  return meter['settled_' .. kind] + meter['reserved_' .. kind]
end

local function reply(word, meters, ...)
  local said = { word, now_ms, epoch, ... }
  for _, meter in ipairs(meters) do
    for _, kind in ipairs(KINDS) do
      table.insert(said, used(meter, kind))
    end
  end
  return said
end

-- As 'hold', 'standing', 'restore' and 'count' name them: start_ms, end_ms ('' both where it slides), bucket_ms or '',
-- and how long the keys live beyond the end. The second answer: whether this clock is in all of these windows.
local function named_meters()
  local meters, here = {}, true
  for at = 1, METERS do
    local start_ms, end_ms, bucket_ms, beyond_ms = number(), number(), number(), number()
    local meter = open(at, bucket_ms)
    if bucket_ms then
      start_ms, end_ms = now_ms - (BUCKETS + 1) * bucket_ms, now_ms + (BUCKETS + 1) * bucket_ms
    end
    meter.start_ms, meter.end_ms = start_ms, end_ms
    meter.live_ms = math.max(end_ms - now_ms, 0) + beyond_ms
    here = here and start_ms <= now_ms and now_ms < end_ms
    meters[at] = meter
  end
  return meters, here
end

local function kept_meters()
  local meters = {}
  for at = 1, METERS do
    meters[at] = open(at)
    meters[at].live_ms = kept_ms
  end
  return meters
end

-- A meter that began before the epoch did may have been more, and somebody must have said how much.
local function is_lost(meter)
  if epoch == '' or (known_epoch ~= '' and known_epoch ~= epoch) then
    return true
  end
  return meter.start_ms < tonumber(string.match(epoch, '^%d+')) and meter.epoch ~= epoch
end

-- nil, or what to say of it: for each meter whether it is lost.
local function loss(meters)
  local said, any = { 'epoch', now_ms, epoch }, false
  for _, meter in ipairs(meters) do
    any = any or is_lost(meter)
    table.insert(said, is_lost(meter) and 1 or 0)
  end
  return any and said or nil
end

local function live_on(meters)
  local longest_ms = 0
  for at, meter in ipairs(meters) do
    for key = 3 * at - 1, 3 * at + 1 do
      outlive(KEYS[key], meter.live_ms)
    end
    longest_ms = math.max(longest_ms, meter.live_ms)
  end
  outlive(KEYS[1], longest_ms)
end

-- nil: as much as one likes.
local function room(meter, kind)
  local wall = meter['wall_' .. kind]
  return wall and wall - used(meter, kind)
end

local function grant(meters, bid)
  local covered
  for _, meter in ipairs(meters) do
    local tokens, nano_usd = room(meter, 'tokens'), room(meter, 'nano_usd')
    if tokens then
      covered = math.min(covered or math.huge, tokens - bid.tokens)
    end
    if nano_usd and nano_usd < bid.nano_usd then
      covered = -1
    elseif nano_usd and bid.output_nano_usd > 0 then
      covered = math.min(covered or math.huge, math.floor((nano_usd - bid.nano_usd) / bid.output_nano_usd))
    end
  end
  local fit = math.min(bid.most, covered or math.huge)
  if fit < bid.least then
    return nil
  end
  return covered and math.min(fit, math.max(bid.least, AMPLE_OUTPUT_TOKENS, math.floor(covered / 8))) or fit
end

local function back_ms(meter, kind, short)
  if short <= 0 then
    return 0
  elseif not meter.bucket_ms then
    return meter.end_ms
  end
  local last = bucket_of(meter)
  for bucket = meter.first, math.min(last, meter.first + BUCKETS) do
    local fields = { text(bucket) .. ':settled_' .. kind, text(bucket) .. ':reserved_' .. kind }
    local sums = redis.call('HMGET', meter.sums, unpack(fields))
    short = short - tonumber(sums[1] or '0') - tonumber(sums[2] or '0')
    if short <= 0 then
      return (bucket + BUCKETS + 1) * meter.bucket_ms
    end
  end
  return (last + BUCKETS + 1) * meter.bucket_ms
end

local function refuse(meters, bid)
  local said = reply('refused', meters)
  local least = { tokens = bid.tokens + bid.least, nano_usd = bid.nano_usd + bid.least * bid.output_nano_usd }
  for _, meter in ipairs(meters) do
    for _, kind in ipairs(KINDS) do
      local left = room(meter, kind)
      table.insert(said, left and back_ms(meter, kind, least[kind] - left) or 0)
    end
  end
  return said
end

-- What the meters remember of an id: nil, or 'held' with its amount, or 'over'.
local function remembered(meters, id)
  local known, over, tokens, nano_usd = 0, false, 0, 0
  for _, meter in ipairs(meters) do
    local phase, held_tokens, held_nano_usd = recall(meter, id)
    if phase then
      known, tokens, nano_usd = known + 1, held_tokens, held_nano_usd
      over = over or phase == 'settled'
    end
  end
  if known == 0 then
    return nil
  end
  return (over or known < #meters) and 'over' or 'held', tokens, nano_usd
end

local function hold(meters)
  local id = argument()
  local bid = { tokens = number(), nano_usd = number(), output_nano_usd = number(), least = number(), most = number() }
  for _, meter in ipairs(meters) do
    meter.wall_tokens, meter.wall_nano_usd = number(), number()
  end
  local word, tokens, nano_usd = remembered(meters, id)
  if word then
    return reply(word, meters, tokens, nano_usd)
  end
  local output = grant(meters, bid)
  if not output then
    return refuse(meters, bid)
  end
  tokens, nano_usd = bid.tokens + output, bid.nano_usd + output * bid.output_nano_usd
  for _, meter in ipairs(meters) do
    charge(meter, bucket_of(meter), 'reserved', 1, tokens, nano_usd)
    remember(meter, id, 'held', tokens, nano_usd, now_ms + lease_ms, bucket_of(meter))
  end
  return reply('held', meters, tokens, nano_usd)
end

-- Says what was charged, and for each meter what is used now and what was used before.
local function settle(meters)
  local id, tokens, nano_usd = argument(), number(), number()
  local before, word, charged_tokens, charged_nano_usd = reply('', meters), 'unknown', 0, 0
  for _, meter in ipairs(meters) do
    local phase, held_tokens, held_nano_usd, bucket = recall(meter, id)
    if phase == 'settled' then
      word, charged_tokens, charged_nano_usd = 'again', held_tokens, held_nano_usd
    elseif phase then
      word, charged_tokens, charged_nano_usd = 'settled', tokens, nano_usd
      charge(meter, bucket, 'settled', 1, tokens, nano_usd)
      charge(meter, bucket, phase == 'held' and 'reserved' or 'settled', -1, held_tokens, held_nano_usd)
      remember(meter, id, 'settled', tokens, nano_usd, now_ms + kept_ms, 0)
    else
      remember(meter, id, 'settled', 0, 0, now_ms + kept_ms, 0)
    end
  end
  local said = reply(word, meters, charged_tokens, charged_nano_usd)
  for at = 4, #before do
    table.insert(said, before[at])
  end
  return said
end

-- Spend that was never held, in batches; the id makes a repeated batch count once.
local function count(meters)
  local id, tokens, nano_usd = argument(), number(), number()
  local word = 'again'
  for _, meter in ipairs(meters) do
    if not recall(meter, id) then
      word = 'counted'
      charge(meter, bucket_of(meter), 'settled', 1, tokens, nano_usd)
      remember(meter, id, 'settled', tokens, nano_usd, now_ms + late_ms, 0)
    end
  end
  return reply(word, meters)
end

local function renew_lease(meter, id)
  local phase, tokens, nano_usd, bucket = recall(meter, id)
  if phase == 'expired' then
    charge(meter, bucket, 'settled', -1, tokens, nano_usd)
    charge(meter, bucket, 'reserved', 1, tokens, nano_usd)
  end
  if phase == 'held' or phase == 'expired' then
    remember(meter, id, 'held', tokens, nano_usd, now_ms + lease_ms, bucket)
  end
end

-- For each meter how many ids, and the ids.
local function renew(meters)
  for _, meter in ipairs(meters) do
    meter.live_ms = lease_ms + late_ms + kept_ms
    for _ = 1, number() do
      renew_lease(meter, argument())
    end
  end
  return { 'renewed', now_ms, epoch }
end

-- The most that anybody knows to have been used counts, once. What was rebuilt from a ledger's lines is the least that
-- must be there afterwards: some of it may be known already, and some have been counted since.
local function restore(meters)
  local begun = text(now_ms) .. ' ' .. argument()
  if redis.call('SET', KEYS[1], begun, 'NX') then
    epoch = begun
  end
  for _, meter in ipairs(meters) do
    for _, kind in ipairs(KINDS) do
      local known, rebuilt, field = number(), number(), 'restored_' .. kind
      local told = tonumber(redis.call('HGET', meter.sums, field) or '0')
      add(meter, bucket_of(meter), 'settled_' .. kind, math.max(0, known - told))
      add(meter, bucket_of(meter), 'settled_' .. kind, math.max(0, rebuilt - used(meter, kind)))
      redis.call('HSET', meter.sums, field, text(math.max(known, rebuilt, told)))
    end
    redis.call('HSET', meter.sums, 'epoch', epoch)
  end
  return reply('restored', meters)
end

local function run(meters, work)
  for _, meter in ipairs(meters) do
    if meter.bucket_ms then
      move(meter)
    end
    sweep(meter)
  end
  local said = work(meters)
  live_on(meters)
  return said
end

if operation == 'settle' then
  return run(kept_meters(), settle)
elseif operation == 'renew' then
  return run(kept_meters(), renew)
end
local meters, here = named_meters()
if operation == 'restore' then
  return run(meters, restore)
elseif operation == 'count' then
  return run(meters, count)
elseif not here then
  return { 'window', now_ms, epoch }
end
local said = loss(meters)
if said then
  return said
end
return run(meters, operation == 'hold' and hold or function()
  return reply('standing', meters)
end)
