-- hold: a watcher says that it lives, keeps the units it holds and takes those it wants that nobody holds.
-- KEYS  1 watchers (zset)  2 holders (hash)  3 terms (zset)  4 reigns (hash)
-- ARGV  1 watcher  2 time to live in ms, then the units wanted
-- Answer  {watchers alive, in order of name, {epoch or "", ...}, 1 or 0}: an epoch for each unit wanted that is now
--         held, "" for one that somebody else holds; whether the watcher was known to live
-- Clock TIME. Cost O(units + watchers). Caller Tenures.hold
local FAR_MS = 10 * 60 * 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
-- A life longer than any that is given comes from a clock that has jumped back.
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + FAR_MS, '+inf')
local known = redis.call('ZADD', KEYS[1], ends, ARGV[1]) == 0

local epochs = {}
for i = 3, #ARGV do
  local unit = ARGV[i]
  local holder = redis.call('HGET', KEYS[2], unit)
  local term = tonumber(redis.call('ZSCORE', KEYS[3], unit) or '0')
  if holder == ARGV[1] then
    redis.call('ZADD', KEYS[3], ends, unit)
    epochs[#epochs + 1] = redis.call('HGET', KEYS[4], unit)
  elseif not holder or term <= now or term > now + FAR_MS then
    local last = tonumber(redis.call('HGET', KEYS[4], unit) or '0')
    local epoch = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
    redis.call('HSET', KEYS[2], unit, ARGV[1])
    redis.call('HSET', KEYS[4], unit, epoch)
    redis.call('ZADD', KEYS[3], ends, unit)
    epochs[#epochs + 1] = epoch
  else
    epochs[#epochs + 1] = ''
  end
end
local alive = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(alive)
return {alive, epochs, known and 1 or 0}
