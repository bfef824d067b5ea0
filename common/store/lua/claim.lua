-- claim: lease up to n due agents to a drainer; one that gets fewer falls asleep in the same step.
-- KEYS  1 due (zset)  2 epoch (hash)  3 claimed (set)  4 looking (zset)  5 asleep (zset)  6 rung (string)
-- Built agent:<id> (string)  facts:<id> (hash)  wake:<drainer> (list)
-- ARGV  1 drainer  2 places  3 lease in ms  4 prefix of all keys  5 prefix of wake keys
-- Answer  {now in ms, ring, ms until the next agent is due or -1, row, row, ...}
--         row = {agent id, epoch, unsettled, card or "", then fourteen facts, each or "": spent lines refused unsaid
--                unsaid_why left_out left_out_said ended retry_at held_since held_why tries source hinted}
-- Clock TIME. Cost O(places + log agents). Guarantees 1-4. Caller Dispatcher.claim
--@include summon
local FAR_MS = 10 * 60 * 1000
local ADDED_TO = {refused = 3, unsaid = 4, left_out = 6}

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local places = tonumber(ARGV[2])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, places)
if #ids < places then
  -- No lease or delay reaches this far: the clock has jumped, the agent counts as due.
  local jumped = redis.call('ZRANGEBYSCORE', KEYS[1], now + FAR_MS, '+inf', 'LIMIT', 0, places - #ids)
  for _, id in ipairs(jumped) do ids[#ids + 1] = id end
end

begin_though_full(KEYS[1])
local answer = {now, 0, -1}
for _, id in ipairs(ids) do
  local last = tonumber(redis.call('HGET', KEYS[2], id) or '0')
  local epoch = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
  redis.call('HSET', KEYS[2], id, epoch)
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), id)
  local row = {id, epoch, 1 - redis.call('SADD', KEYS[3], id), redis.call('GET', ARGV[4] .. 'agent:' .. id) or ''}
  local facts = redis.call('HMGET', ARGV[4] .. 'facts:' .. id, 'spent', 'lines', 'refused', 'unsaid', 'unsaid_why',
    'left_out', 'left_out_said', 'ended', 'retry_at', 'held_since', 'held_why', 'tries', 'source', 'hinted')
  for field, i in pairs(ADDED_TO) do
    if facts[i] and not string.match(facts[i], '^%-?%d+$') then
      -- Somebody wrote over it: as good as lost, and what is added to it at a settlement would fail.
      redis.call('HDEL', ARGV[4] .. 'facts:' .. id, field)
      facts[i] = false
    end
  end
  for i = 1, #facts do row[#row + 1] = facts[i] or '' end
  answer[#answer + 1] = row
end

redis.call('ZREM', KEYS[4], ARGV[1])
if #ids < places then
  redis.call('ZADD', KEYS[5], now + PROMISE_MS, ARGV[1])
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if first[1] then answer[3] = math.max(0, tonumber(first[2]) - now) end
else
  redis.call('ZREM', KEYS[5], ARGV[1])
  if redis.call('ZCOUNT', KEYS[1], '-inf', now) > 0 then
    answer[2] = summon(KEYS[4], KEYS[5], KEYS[6], ARGV[5], now)
  end
end
return answer
