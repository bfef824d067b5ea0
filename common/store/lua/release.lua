-- release: forget an object of an agent; with the last one, let the agent's keys expire unless settle has to.
-- KEYS  1 agent (string)  2 facts (hash)  3 seen:0 (hash)  4 seen:1 (hash)  5 epoch (hash)  6 due (zset)
-- ARGV  1 agent id  2 object uid  3 seconds for which the keys are kept  4 half of what is remembered, in ms
-- Answer  objects still known
-- Clock TIME. Cost O(fields of facts). Guarantees 3, 4. Caller AgentWriter.release
--@include summon

if redis.call('HDEL', KEYS[2], 'o:' .. ARGV[2]) == 1 then
  redis.call('HINCRBY', KEYS[2], 'objects', -1)
end
-- The object's facts are kept as long as an Event's identity, so that a late retelling stays a duplicate
-- while an agent whose pods come and go for months does not grow.
local half_ms = tonumber(ARGV[4])
local half = math.floor(now_ms() / half_ms)
local newer = KEYS[3 + half % 2]
local prefix, moved = 'f:' .. ARGV[2] .. '/', false
local fields = redis.call('HGETALL', KEYS[2])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, #prefix) == prefix then
    redis.call('HSET', newer, string.sub(fields[i], 3), fields[i + 1])
    redis.call('HDEL', KEYS[2], fields[i])
    moved = true
  end
end
if moved then redis.call('EXPIREAT', newer, (half + 2) * half_ms / 1000) end

local left = tonumber(redis.call('HGET', KEYS[2], 'objects') or '0')
if left <= 0 and not redis.call('ZSCORE', KEYS[6], ARGV[1]) then
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[3])
  redis.call('HDEL', KEYS[5], ARGV[1])
end
return left
