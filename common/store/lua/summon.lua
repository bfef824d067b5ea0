-- summon: included by the scripts that may find work without anybody looking at it.

-- Redis' own clock, Unix milliseconds.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A server whose memory is full refuses a script whose first write may need some, and lets any other one finish. Scripts
-- that deliver, and so make room, begin with this write, which changes nothing.
local function begin_though_full(zset)
  redis.call('ZREM', zset, '')
end

-- Is the log to be told how many lesser records are left out? At the first, and when their number has doubled.
local function owes_notice(left_out, said)
  return tonumber(left_out or '0') >= math.max(1, 2 * tonumber(said or '0'))
end

local PROMISE_MS = 2000
local BELL_MS = 5000

-- See to it that somebody claims soon: a promise alive will do, else wake one sleeper, else a bell under way will do.
-- Returns 1 if there was no sleeper either and the caller must ring the bell, else 0.
local function summon(looking, asleep, rung, wake_prefix, now)
  redis.call('ZREMRANGEBYSCORE', looking, '-inf', now)
  -- A promise longer than any that is given comes from a clock that has jumped back.
  redis.call('ZREMRANGEBYSCORE', looking, now + 2 * PROMISE_MS, '+inf')
  if redis.call('ZCARD', looking) > 0 then return 0 end
  while true do
    local sleeper = redis.call('ZPOPMAX', asleep)
    if not sleeper[1] then break end
    local until_ms = tonumber(sleeper[2])
    if until_ms > now and until_ms < now + 2 * PROMISE_MS then
      redis.call('LPUSH', wake_prefix .. sleeper[1], '1')
      redis.call('PEXPIRE', wake_prefix .. sleeper[1], BELL_MS)
      redis.call('ZADD', looking, now + PROMISE_MS, sleeper[1])
      return 0
    end
  end
  -- Only now: a bell may stay unanswered for as long as every worker is on shift, and sleepers are.
  if redis.call('EXISTS', rung) == 1 then return 0 end
  redis.call('SET', rung, '1', 'PX', BELL_MS)
  return 1
end
