-- KEYS: one per check, then one hash per minute of counters.
-- ARGV: now (us), number of checks, force (0/1), seconds that counters are kept,
--       per check: cost (us), tolerance (us), interval (us), then triples: index of the hash in KEYS, field, amount.
-- Answers two numbers per check: how much too early (us, 0 if it passes), how far ahead the arrival time lies (us).
local now, n, force, kept = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4]
local out, ahead, pass = {}, {}, true
for i = 1, n do
  local cost, tolerance = tonumber(ARGV[2 + i * 3]), tonumber(ARGV[3 + i * 3])
  local used = (tonumber(redis.call('GET', KEYS[i]) or 0)) - now
  if used < 0 then used = 0 end
  -- A limit that was lowered, or a clock that was put back, must not lock anybody out for longer than a burst.
  if used > tolerance then used = tolerance end
  local after = used + cost
  local wait = after - tolerance
  if force then
    if after > tolerance then after = tolerance end
    wait = 0
  elseif wait > 0 then
    pass = false
  else
    wait = 0
  end
  ahead[i] = { used, after }
  out[i * 2 - 1] = wait
end
for i = 1, n do
  local used, after = ahead[i][1], ahead[i][2]
  if pass and after > used then
    used = after
    -- Ten seconds more than needed, for hosts whose clocks differ.
    redis.call('SET', KEYS[i], string.format('%.0f', now + used), 'PX', math.ceil(used / 1000) + 10000)
  end
  out[i * 2] = used
end
for i = 5 + n * 3, #ARGV, 3 do
  redis.call('HINCRBY', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2])
end
for i = n + 1, #KEYS do
  redis.call('EXPIRE', KEYS[i], kept)
end
return out
