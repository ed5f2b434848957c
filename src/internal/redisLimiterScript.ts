/**
 * One exchange with the shared limits, as a Lua script: Redis runs it as a whole, and on its own clock.
 *
 * It counts as {@link Rate} does in memory. For each limit there is an exact sliding log in slices of a 512th of its
 * period, which leave the window when their last moment has: an amount may count a slice too long, never too short.
 * Above it a pace (GCRA) with the same guard, burst and lateness. Keys of a domain share a hash tag and so a slot:
 *
 * - the state: a hash of `<limit>:<field>`, the slices' amounts as `<limit>@<slice>`, the pause, what servers stated;
 * - the processes: what each holds, until when, and since when it waits;
 * - for each limit the sorted set of its slices.
 *
 * **Turns**: a process that was turned away has its turn before those that were served after it began to wait. Room
 * for its first request is kept free until it is back, or late; and a call takes no more than its share of what is
 * free while others wait. So none starves, small requests do not starve large ones, and dead ones hold up nobody.
 */
import { defaultBurst, guardShare, maxGuard } from "./rate.js"
import { maxLateness } from "./time.js"

const slices = 512
/** How late a process may be before others may take what is kept for it, and before its turn is lost; in milliseconds. */
const keepFor = 5
const patience = 1_000
/** How often a waiting process asks: freed slots and refunds come unannounced. In milliseconds. */
const slotPoll = 20
const longestWait = 250
/** How much longer than any window the keys live, in milliseconds. */
const spareLife = 60_000

export const script = `
local q = cjson.decode(ARGV[1])
local clock = redis.call("TIME")
local now = clock[1] * 1000 + clock[2] / 1000
local state, processes = KEYS[1], KEYS[2]
local floor, ceil, max, min, huge = math.floor, math.ceil, math.max, math.min, math.huge
local function text(n) return string.format("%.17g", n) end
local function exists(n) return n ~= nil and n ~= cjson.null and n ~= false end

-- The limits in force.

local fields = { "paid", "interval", "total", "stated", "foreign", "foreignUntil" }
local names = { "born", "pause", "reason" }
for i = 1, #q.kinds do
  for _, field in ipairs(fields) do names[#names + 1] = i .. ":" .. field end
end
local values = redis.call("HMGET", state, unpack(names))
local born, pausedUntil, reason = values[1], tonumber(values[2] or 0), values[3] or ""
local writes = {}
local function write(field, value)
  writes[#writes + 1] = field
  writes[#writes + 1] = value
end

local life = 0
local rates, stated, used = {}, {}, {}
for i, kind in ipairs(q.kinds) do
  local offset = 3 + (i - 1) * #fields
  local r = { index = i, log = KEYS[2 + i], paced = kind.paced, slice = kind.period / ${slices} }
  for j, field in ipairs(fields) do r[field] = tonumber(values[offset + j] or nil) end
  local told = q.told[i]
  if exists(told.limit) and told.limit > 0 and told.limit ~= r.stated then
    r.stated = told.limit
    write(i .. ":stated", text(r.stated))
    -- kept until the domain has not been used for this long
    life = max(life, kind.period)
  end
  stated[i], used[i] = r.stated or -1, -1
  local limit = min(exists(kind.limit) and kind.limit or huge, r.stated or huge)
  if limit < huge then
    r.whole = ceil(limit)
    local period = limit > 0 and kind.period * r.whole / limit or kind.period
    r.period = period + min(period * ${guardShare}, ${maxGuard})
    local interval = limit > 0 and r.period / r.whole or 0
    local burst = exists(kind.burst) and kind.burst or limit * ${defaultBurst}
    r.tolerance = (kind.counts and max(burst - 1, 0) or burst) * interval
    r.paid = r.paid or 0
    if r.interval and r.interval > 0 and r.interval ~= interval and r.paid > now then
      r.paid = now + (r.paid - now) / r.interval * interval
    end
    r.interval, r.total = interval, r.total or 0
    r.foreign, r.foreignUntil = r.foreign or 0, r.foreignUntil or 0
    -- what has left the window
    local last = text(floor((now - r.period) / r.slice) - 1)
    local gone = redis.call("ZRANGEBYSCORE", r.log, "-inf", last)
    if #gone > 0 then
      for from = 1, #gone, 1000 do
        local some = {}
        for n = from, min(from + 999, #gone) do some[#some + 1] = i .. "@" .. gone[n] end
        for _, amount in ipairs(redis.call("HMGET", state, unpack(some))) do
          r.total = r.total - tonumber(amount or 0)
        end
        redis.call("HDEL", state, unpack(some))
      end
      redis.call("ZREMRANGEBYSCORE", r.log, "-inf", last)
    end
    if redis.call("ZCARD", r.log) == 0 then r.total = 0 end
    rates[#rates + 1] = r
    life = max(life, r.period)
  end
end

local function sliceOf(r, at) return string.format("%.0f", floor(at / r.slice)) end

-- Adds to a slice. False if nothing was booked in it, or it has left the window.
local function add(r, slice, amount, always)
  local field = r.index .. "@" .. slice
  if not always and redis.call("HEXISTS", state, field) == 0 then return false end
  if (tonumber(slice) + 1) * r.slice + r.period <= now then return false end
  redis.call("HINCRBYFLOAT", state, field, text(amount))
  redis.call("ZADD", r.log, slice, slice)
  r.total = r.total + amount
  return true
end

-- What changed since the last exchange.

for _, correction in ipairs(q.corrections) do
  local at = correction.at > 0 and correction.at or now
  for _, r in ipairs(rates) do
    local delta = correction.amounts[r.index]
    if delta ~= 0 and add(r, sliceOf(r, at), delta, correction.always) then
      r.paid = r.paid + delta * r.interval
    end
  end
end

for _, r in ipairs(rates) do
  local told = q.told[r.index]
  if exists(told.remaining) and told.remaining >= 0 then
    local limit = min(exists(q.kinds[r.index].limit) and q.kinds[r.index].limit or huge, r.stated or huge)
    local period = q.kinds[r.index].period
    r.foreign = max(0, limit - told.remaining - r.total)
    r.foreignUntil = now + min(exists(told.resetAfter) and told.resetAfter or period, period)
    write(r.index .. ":foreign", text(r.foreign))
    write(r.index .. ":foreignUntil", text(r.foreignUntil))
  end
end

local function restart(at)
  for _, r in ipairs(rates) do
    if r.paced then r.paid = max(r.paid, at + r.tolerance) end
  end
end
if q.restart == "always" or (q.restart == "if-lost" and not born) then restart(now) end

if exists(q.pause) then
  if now + q.pause.millis > pausedUntil then
    pausedUntil, reason = now + q.pause.millis, q.pause.reason
    write("pause", text(pausedUntil))
    write("reason", reason)
  end
end
if pausedUntil > now then
  restart(pausedUntil)
  life = max(life, pausedUntil - now)
end

-- The other processes, and whose turn it is. Of each: what it holds and until when, since when it waits and until
-- when it is expected back, whether for a slot, and what its first request costs.

local want = #q.costs
local turn = now
local others = redis.call("HGETALL", processes)
local mine = false
for n = 1, #others, 2 do
  if others[n] == q.process then
    mine = true
    local entry = cmsgpack.unpack(others[n + 1])
    if entry[4] > now then turn = entry[3] end
  end
end
local held, waiting, ahead, aheadForSlots = 0, 0, 0, 0
local kept, keptUntil = {}, 0
for n = 1, #others, 2 do
  if others[n] ~= q.process then
    local entry = cmsgpack.unpack(others[n + 1])
    if entry[2] > now then held = held + entry[1] end
    if entry[4] > now then
      waiting = waiting + 1
      if entry[3] < turn or (entry[3] == turn and others[n] < q.process) then
        ahead = ahead + 1
        if entry[4] - ${patience - keepFor} <= now then
          -- it is late: what is free goes to whoever is here
        elseif entry[5] then
          aheadForSlots = aheadForSlots + 1
        else
          for i, amount in ipairs(entry[6]) do kept[i] = (kept[i] or 0) + amount end
          keptUntil = max(keptUntil, entry[4] - ${patience - keepFor})
        end
      end
    end
    if entry[2] <= now and entry[4] <= now then redis.call("HDEL", processes, others[n]) end
  end
end

-- What may be admitted.

-- When the window of r has room for the amount; r.t is its total with what this call admits.
local function windowAt(r, amount, room)
  local excess = r.t + amount - room
  if excess <= 0 then return now end
  if amount > room then return huge end
  local from = 0
  while true do
    local some = redis.call("ZRANGE", r.log, from, from + 15)
    if #some == 0 then return now + r.slice + r.period end
    for _, slice in ipairs(some) do
      excess = excess - tonumber(redis.call("HGET", state, r.index .. "@" .. slice) or 0)
      if excess <= 0 then return (tonumber(slice) + 1) * r.slice + r.period end
    end
    from = from + 16
  end
end

local function availableAt(r, amount, keep)
  local foreign = now < r.foreignUntil and r.foreign or 0
  local at = windowAt(r, amount, r.whole - foreign - keep)
  if at > now and at > r.foreignUntil then
    at = max(r.foreignUntil, windowAt(r, amount, r.whole - keep))
  end
  return r.paced and max(at, r.p - r.tolerance) or at
end

local free = huge
if exists(q.concurrency) then free = max(q.concurrency - held - q.held, 0) end

local at, admitted, waitingFor = now, 0, 0
local function take(most)
  local due = now
  if exists(q.due) and q.due <= now then due = max(q.due, now - ${maxLateness}) end
  for _, r in ipairs(rates) do r.t, r.p = r.total, r.paid end
  at, admitted, waitingFor = now, 0, 0
  while admitted < most do
    local costs = q.costs[admitted + 1]
    if admitted + 1 > free - aheadForSlots then
      at, waitingFor = huge, -1
      return
    end
    for _, r in ipairs(rates) do
      local amount = costs[r.index]
      local keep = kept[r.index] or 0
      local available = availableAt(r, amount, keep)
      -- more is kept than there will ever be room for: after those it is kept for
      if available == huge and keep > 0 then
        available = max(availableAt(r, amount, 0), min(keptUntil, now + ${longestWait}))
      end
      if available > at then at, waitingFor = available, r.index end
      if r.paced then due = max(due, min(r.p - r.tolerance, now)) end
    end
    if at > now then return end
    for _, r in ipairs(rates) do
      local amount = costs[r.index]
      r.t = r.t + amount
      r.p = max(r.p, due) + amount * r.interval
    end
    admitted = admitted + 1
  end
end

if pausedUntil > now then
  if want > 0 then at, waitingFor = pausedUntil, -2 end
elseif want > 0 then
  take(want)
  if waiting > 0 and admitted > 1 then
    local share = max(1, ceil(admitted / (waiting + 1)))
    if share < admitted then take(share) end
  end
  for _, r in ipairs(rates) do
    local amount = r.t - r.total
    if amount ~= 0 then add(r, sliceOf(r, now), amount, true) end
    r.paid = r.p
  end
end

-- What is to be remembered.

if life > 0 then
  for _, r in ipairs(rates) do
    used[r.index] = r.total + (now < r.foreignUntil and r.foreign or 0)
    write(r.index .. ":paid", text(r.paid))
    write(r.index .. ":interval", text(r.interval))
    write(r.index .. ":total", text(r.total))
  end
  if not born then write("born", text(now)) end
  if #writes > 0 then redis.call("HSET", state, unpack(writes)) end
  life = ceil(life + ${spareLife})
  redis.call("PEXPIRE", state, life)
  for _, r in ipairs(rates) do redis.call("PEXPIRE", r.log, life) end
end

local wait = 0
if admitted > 0 then turn, ahead = now, waiting end
if admitted < want then
  wait = at == huge and ${slotPoll} or max(at - now, 0)
  -- The first in turn comes in time. The others come when it would be late, in case it is.
  if ahead > 0 and at < huge then wait = wait + ${keepFor} + ahead end
  wait = min(wait, ${longestWait})
end
local holds = exists(q.concurrency) and q.held + admitted or 0
local waits = admitted < want and pausedUntil <= now
if holds > 0 or waits then
  redis.call("HSET", processes, q.process, cmsgpack.pack({
    holds,
    holds > 0 and now + q.lease or 0,
    turn,
    waits and now + wait + ${patience} or 0,
    waits and waitingFor == -1,
    waits and q.costs[admitted + 1] or {}
  }))
  redis.call("PEXPIRE", processes, ceil(q.lease + ${spareLife}))
elseif mine then
  redis.call("HDEL", processes, q.process)
end

return cjson.encode({
  now = text(now),
  admitted = admitted,
  wait = wait,
  due = text(admitted < want and at < huge and at or 0),
  waitingFor = waitingFor,
  pause = max(pausedUntil - now, 0),
  reason = reason,
  used = used,
  stated = stated
})
`
