-- bury: watchers are known to be dead: they are counted on no more, and what they held is free.
-- KEYS  1 watchers (zset)  2 holders (hash)  3 terms (zset)
-- ARGV  1 a watcher, then more
-- Answer  units that became free
-- Clock none. Cost O(units held by anybody). Caller Tenures.bury
local dead = {[ARGV[1]] = true}
for i = 2, #ARGV do dead[ARGV[i]] = true end
for name in pairs(dead) do redis.call('ZREM', KEYS[1], name) end
local holders, freed = redis.call('HGETALL', KEYS[2]), 0
for i = 1, #holders, 2 do
  if dead[holders[i + 1]] then
    redis.call('HDEL', KEYS[2], holders[i])
    redis.call('ZREM', KEYS[3], holders[i])
    freed = freed + 1
  end
end
return freed
