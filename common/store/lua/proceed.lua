-- proceed: write down what a claim has done and go on with it while records are left, else end it.
-- KEYS  1 agent (string)  2 log (stream)  3 facts (hash)  4 due (zset)  5 epoch (hash)  6 claimed (set)
--       7 census (hash)
-- ARGV  1 agent id  2 epoch  3 first stream id that stays  4 payload bytes done  5 lease in ms
--       6 refused records now said  7 records dropped  8 seconds for which keys without an object are kept
--       9 more dropped records that the log does not tell of, negative = it now told of so many
--       10 more records that are left out, negative = another log begins
--       11 records to answer at most, then two a fact: name, value ("" = take it away)
-- Answer  {"more", refused, entry, entry, ...}: the lease begins anew; entry = {stream id, {"r", payload}}
--         {"ok", 0}: nothing was left, the claim is over | {"fenced", epoch or ""}: fenced changed nothing
-- Clock TIME. Cost O(trimmed + answered + facts). Guarantees 1-3. Caller Dispatcher.proceed
--@include summon
--@include progress
if not is_held(KEYS[5], KEYS[6], ARGV[1], ARGV[2]) then
  return {'fenced', redis.call('HGET', KEYS[5], ARGV[1]) or ''}
end
begin_though_full(KEYS[4])
local left, refused = write_down(KEYS[2], KEYS[3], KEYS[7], ARGV[3], ARGV[4], ARGV[6], ARGV[7], ARGV[9],
  ARGV[10], 12)
if left == 0 then
  hand_back(KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6], ARGV[1], left, refused, 0, ARGV[8], now_ms())
  return {'ok', left}
end
redis.call('ZADD', KEYS[4], now_ms() + tonumber(ARGV[5]), ARGV[1])
local answer = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[11])
table.insert(answer, 1, refused)
table.insert(answer, 1, 'more')
return answer
