-- register: make an object of an agent known, and with the first one the agent.
-- KEYS  1 agent (string)  2 facts (hash)
-- ARGV  1 card  2 object uid
-- Answer  objects now known
-- Clock none. Cost O(1). Guarantee 4. Caller AgentWriter.register
redis.call('SET', KEYS[1], ARGV[1])
if redis.call('HSETNX', KEYS[2], 'o:' .. ARGV[2], '1') == 1 then
  redis.call('HINCRBY', KEYS[2], 'objects', 1)
end
redis.call('PERSIST', KEYS[2])
return tonumber(redis.call('HGET', KEYS[2], 'objects'))
