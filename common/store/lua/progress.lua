-- progress: included by the scripts that write down what a claim has done.

-- Is `epoch` that of the newest claim of agent `id`, and the claim not over?
local function is_held(epochs, claimed, id, epoch)
  return redis.call('HGET', epochs, id) == epoch and redis.call('SISMEMBER', claimed, id) == 1
end

-- Trim the stream up to `stays` (the first id that stays, "" = nothing is done), count, keep the facts in ARGV from
-- `first` on. Returns the records left and the refused ones that the log has not been told of.
-- Made again after an answer that got lost, it finds nothing to trim and counts nothing twice.
local function write_down(log, facts, census, stays, bytes, said, dropped, unsaid_more, left_out_more, first)
  local left = redis.call('XLEN', log)
  local trimmed = 0
  if stays ~= '' then
    trimmed = redis.call('XTRIM', log, 'MINID', stays)
    left = left - trimmed
    if trimmed > 0 then redis.call('HINCRBY', census, 'waiting', -trimmed) end
  end
  local kept, gone = {}, {}
  for i = first, #ARGV, 2 do
    if ARGV[i + 1] == '' then
      gone[#gone + 1] = ARGV[i]
    else
      kept[#kept + 1] = ARGV[i]
      kept[#kept + 1] = ARGV[i + 1]
    end
  end
  if left == 0 then
    -- An empty stream still costs its first node.
    redis.call('DEL', log)
    gone[#gone + 1] = 'waiting'
  elseif trimmed > 0 then
    redis.call('HINCRBY', facts, 'waiting', -tonumber(bytes))
  end
  local refused = tonumber(redis.call('HGET', facts, 'refused') or '0')
  if trimmed > 0 or stays == '' then
    if tonumber(dropped) > 0 then redis.call('HINCRBY', facts, 'dropped', dropped) end
    if tonumber(unsaid_more) ~= 0 and redis.call('HINCRBY', facts, 'unsaid', unsaid_more) <= 0 then
      gone[#gone + 1] = 'unsaid'
    end
    if tonumber(left_out_more) ~= 0 and redis.call('HINCRBY', facts, 'left_out', left_out_more) <= 0 then
      gone[#gone + 1] = 'left_out'
    end
    if refused > 0 and tonumber(said) > 0 then
      refused = math.max(0, refused - tonumber(said))
      if refused > 0 then
        kept[#kept + 1] = 'refused'
        kept[#kept + 1] = refused
      else
        gone[#gone + 1] = 'refused'
      end
    end
  end
  if #kept > 0 then redis.call('HSET', facts, unpack(kept)) end
  if #gone > 0 then redis.call('HDEL', facts, unpack(gone)) end
  return left, refused
end

-- End the claim: due again in `delay_ms` if something is left to say, else taken out.
local function hand_back(agent, facts, due, epochs, claimed, id, left, refused, delay_ms, keep_s, now)
  redis.call('SREM', claimed, id)
  -- What was refused while the claim lasted is due as well: append could not move the lease's time.
  local unseen = redis.call('HMGET', facts, 'ended', 'left_out', 'left_out_said')
  if left > 0 or (not unseen[1] and (refused > 0 or owes_notice(unseen[2], unseen[3]))) then
    redis.call('ZADD', due, now + tonumber(delay_ms), id)
    return
  end
  redis.call('ZREM', due, id)
  if tonumber(redis.call('HGET', facts, 'objects') or '0') <= 0 then
    redis.call('EXPIRE', agent, keep_s)
    redis.call('EXPIRE', facts, keep_s)
    redis.call('HDEL', epochs, id)
  end
end
