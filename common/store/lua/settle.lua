-- settle: end a claim: trim, count, keep the new state, set the next due time or take the agent out.
-- KEYS  1 agent (string)  2 log (stream)  3 facts (hash)  4 due (zset)  5 epoch (hash)  6 claimed (set)
--       7 census (hash)
-- ARGV  1 agent id  2 epoch  3 first stream id that stays, "" = none is done  4 payload bytes done  5 delay in ms
--       6 refused records now said  7 records dropped  8 seconds for which keys without an object are kept
--       9 more dropped records that the log does not tell of, negative = it now told of so many
--       10 more records that are left out, negative = another log begins
--       then two a fact: name, value ("" = take it away)
-- Answer  {"ok", left} | {"fenced", epoch or ""}: fenced changed nothing
-- Clock TIME. Cost O(trimmed + facts). Guarantees 1-3. Caller Dispatcher.settle
--@include summon
--@include progress
if not is_held(KEYS[5], KEYS[6], ARGV[1], ARGV[2]) then
  return {'fenced', redis.call('HGET', KEYS[5], ARGV[1]) or ''}
end
begin_though_full(KEYS[4])
local left, refused = write_down(KEYS[2], KEYS[3], KEYS[7], ARGV[3], ARGV[4], ARGV[6], ARGV[7], ARGV[9],
  ARGV[10], 11)
hand_back(KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6], ARGV[1], left, refused, ARGV[5], ARGV[8], now_ms())
return {'ok', left}
