-- KEYS: entries to put. ARGV: when they were read (ms), how long they are kept (ms), then per key: version, payload.
-- An entry is `version|read at|put at|payload`, put at by this server's clock; an empty payload is a tombstone. A put
-- never replaces a higher version, nor a tombstone of the same version, nor a later reading of the same version. Answers
-- how many were put.
local time = redis.call('TIME')
local at = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local put = 0
for i, key in ipairs(KEYS) do
  local version, payload = ARGV[1 + i * 2], ARGV[2 + i * 2]
  local present = redis.call('GET', key)
  local write = true
  if present then
    local held, read_at, rest = string.match(present, '^(%d+)|(%d+)|%d+|(.*)$')
    held = tonumber(held)
    local given = tonumber(version)
    if held and held > given then
      write = false
    elseif held == given then
      write = payload == '' or (rest ~= '' and tonumber(read_at) <= tonumber(ARGV[1]))
    end
  end
  if write then
    redis.call('SET', key, version .. '|' .. ARGV[1] .. '|' .. at .. '|' .. payload, 'PX', ARGV[2])
    put = put + 1
  end
end
return put
