-- Charges an attempt to sign in, unless it comes too early. See domain/src/guesses.rs, whose Tally this is.
-- KEYS: addresses seen at the account, tally of strangers, tally of the device or address, tally of the address over all
--       accounts, accounts that the address has failed at, failures of all.
-- ARGV: now (ms), a known device shows itself (0/1), address, account, SEEN (ms), SPREAD (ms), STORM, STORM_WINDOW (ms),
--       then the ladders STRANGERS, KNOWN, ADDRESS: memory (ms), free, number of waits, the waits (ms).
-- Answers: how long to wait (ms; 0: it was charged), known (0/1), failures after it, whether the account is a new one among
-- those that the address has failed at (0/1).
local now = tonumber(ARGV[1])
local at = 9
local function ladder()
  local l = { memory = tonumber(ARGV[at]), free = tonumber(ARGV[at + 1]), n = tonumber(ARGV[at + 2]), first = at + 2 }
  at = at + 3 + l.n
  return l
end
local strangers, familiar, wide = ladder(), ladder(), ladder()
local function wait_after(l, failures)
  local step = failures - l.free
  if step < 1 then return 0 end
  if step > l.n then step = l.n end
  return tonumber(ARGV[l.first + step])
end
local function tally(key, l)
  local t = redis.call('HMGET', key, 'n', 'until', 'at')
  if not t[1] or now - tonumber(t[3]) >= l.memory then return 0, 0 end
  return tonumber(t[1]), tonumber(t[2])
end
local function keep(key, l, n, till)
  redis.call('HSET', key, 'n', n, 'until', string.format('%.0f', till), 'at', ARGV[1])
  redis.call('PEXPIRE', key, l.memory)
end
local known = ARGV[2] == '1'
if not known then
  local seen = redis.call('ZSCORE', KEYS[1], ARGV[3])
  known = seen and now - tonumber(seen) < tonumber(ARGV[5]) or false
end
local key, l = KEYS[2], strangers
if known then
  key, l = KEYS[3], familiar
elseif tonumber(redis.call('GET', KEYS[6]) or 0) > tonumber(ARGV[7]) and l.free > 1 then
  l.free = 1
end
local n, till = tally(key, l)
local _, till_wide = tally(KEYS[4], wide)
local wait = math.max(till, till_wide) - now
if wait > 0 then
  return { wait, known and 1 or 0, n, 0 }
end
n = n + 1
keep(key, l, n, now + wait_after(l, n))
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - tonumber(ARGV[6]))
local new = redis.call('ZADD', KEYS[5], now, ARGV[4])
redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -1001)
redis.call('PEXPIRE', KEYS[5], ARGV[6])
local accounts = redis.call('ZCARD', KEYS[5])
if accounts > wide.free then
  keep(KEYS[4], wide, accounts, now + wait_after(wide, accounts))
end
if redis.call('INCR', KEYS[6]) == 1 then
  redis.call('PEXPIRE', KEYS[6], ARGV[8])
end
return { 0, known and 1 or 0, n, new }
