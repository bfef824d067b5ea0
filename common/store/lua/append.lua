-- append: add an agent's new records to its stream, each once.
-- KEYS  1 agent (string)  2 log (stream)  3 facts (hash)  4 seen:0 (hash)  5 seen:1 (hash)  6 due (zset)
--       7 looking (zset)  8 asleep (zset)  9 rung (string)  10 census (hash)
-- Built wake:<drainer> (list)
-- ARGV  1 agent id  2 budget in bytes  3 prefix of wake keys  4 half of what is remembered, in ms
--       then five a record: identity, version, home ("event" or "object"), bytes of the budget within which it is
--       accepted (all of them: it is grave), payload
-- Answer  {ring, verdict, verdict, ...}: ring 1 = the caller must ring; verdicts in the order of the records:
--         "accepted" "duplicate" "over_budget" "ended" "unknown_agent"
-- Clock TIME. Cost O(records). Guarantees 1, 3, 5. Caller AgentWriter.append
--@include summon
local FAR_MS = 2 * 3600 * 1000

local answer = {0}
if redis.call('EXISTS', KEYS[1]) == 0 then
  for _ = 5, #ARGV, 5 do answer[#answer + 1] = 'unknown_agent' end
  return answer
end

local now = now_ms()
local half_ms = tonumber(ARGV[4])
local half = math.floor(now / half_ms)
local newer, older = KEYS[4 + half % 2], KEYS[4 + (half + 1) % 2]
local facts = redis.call('HMGET', KEYS[3], 'ended', 'retry_at', 'spent', 'waiting', 'objects',
  'left_out_said')
local ended, retry_at = facts[1], tonumber(facts[2] or '0')
-- An ended agent may be asked about once in a while: the token may have got another agent behind it.
-- A time further ahead than any that is set comes from a clock that has jumped.
local may_ask = retry_at > 0 and (now >= retry_at or retry_at > now + FAR_MS)
local closed = ended and not may_ask
-- What was spent does not bind the other agent, so it does not keep us from asking.
local spent = ended and 0 or tonumber(facts[3] or '0')
local used = spent + tonumber(facts[4] or '0')
local budget = tonumber(ARGV[2])
local accepted, bytes, over, left_out, late, remembered = 0, 0, 0, 0, 0, false

for i = 5, #ARGV, 5 do
  local identity, version, home = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local within, payload = tonumber(ARGV[i + 3]), ARGV[i + 4]
  local last
  if home == 'object' then
    last = redis.call('HGET', KEYS[3], 'f:' .. identity)
  end
  -- An object's facts move to the seen hashes when it is released.
  last = last or redis.call('HGET', newer, identity) or redis.call('HGET', older, identity)
  if last and tonumber(last) >= version then
    answer[#answer + 1] = 'duplicate'
  else
    if home == 'object' then
      redis.call('HSET', KEYS[3], 'f:' .. identity, ARGV[i + 1])
    else
      redis.call('HSET', newer, identity, ARGV[i + 1])
      remembered = true
    end
    if closed then
      late = late + 1
      answer[#answer + 1] = 'ended'
    elseif used + bytes + #payload > within then
      if within < budget then left_out = left_out + 1 else over = over + 1 end
      answer[#answer + 1] = 'over_budget'
    else
      redis.call('XADD', KEYS[2], '*', 'r', payload)
      accepted = accepted + 1
      bytes = bytes + #payload
      answer[#answer + 1] = 'accepted'
    end
  end
end

if remembered then redis.call('EXPIREAT', newer, (half + 2) * half_ms / 1000) end
if over > 0 then redis.call('HINCRBY', KEYS[3], 'refused', over) end
local owes = over > 0
if left_out > 0 then
  owes = owes_notice(redis.call('HINCRBY', KEYS[3], 'left_out', left_out), facts[6]) or owes
end
if late > 0 then
  redis.call('HINCRBY', KEYS[3], 'late', late)
  redis.call('HINCRBY', KEYS[3], 'unsaid', late)
end
if accepted > 0 then
  redis.call('HINCRBY', KEYS[3], 'waiting', bytes)
  redis.call('HINCRBY', KEYS[10], 'waiting', accepted)
  if tonumber(facts[5] or '0') <= 0 then
    -- Its last object is gone, but while lines wait, what they need must stay.
    redis.call('PERSIST', KEYS[1])
    redis.call('PERSIST', KEYS[3])
  end
end
-- NX: a time that is there belongs to a lease, a back-off or an earlier append, and never moves.
if (accepted > 0 or owes) and redis.call('ZADD', KEYS[6], 'NX', now, ARGV[1]) == 1 then
  answer[1] = summon(KEYS[7], KEYS[8], KEYS[9], ARGV[3], now)
end
return answer
