-- What the phone book is asked: wrk -s contacts.lua URL -- KIND SIZE SEED
--
-- Contacts are there as tests/bench/contacts.py makes them: numbers in equal steps over
-- eight digits, names of syllables. Inserted numbers lie between those, in no order,
-- and no two SEEDs give the same ones.
local SPAN, PRIME = 100000000, 99999989
local PATH = "/api/v1/contacts"
local kind, size, inserted

function init(args)
  kind, size = args[1], tonumber(args[2])
  math.randomseed(tonumber(args[3]))
  inserted = tonumber(args[3]) * 500000
end

local function number(place)
  return string.format("%%2B4930%08d", place)
end

local function free()
  local place
  repeat
    inserted = inserted + 1
    place = (inserted * 48271) % PRIME
  until place % 100 ~= 0
  return place
end

local function insert()
  local body = string.format(
    '{"first_name": "bako", "last_name": "rimesu", "number": "+4930%08d"}', free())
  return wrk.format("POST", PATH, { ["Content-Type"] = "application/json" }, body)
end

local searches = {
  exact = function() return "?number=" .. number(math.random(0, size - 1) * (SPAN / size)) end,
  prefix = function() return string.format("?limit=20&number=%%2B4930%d*", math.random(0, 9)) end,
  name = function()
    local consonant, vowel = math.random(10), math.random(4)
    return "?limit=20&q=" .. ("bdgklmnrst"):sub(consonant, consonant) .. ("aeiu"):sub(vowel, vowel)
  end,
}

function request()
  if kind == "insert" then return insert() end
  return wrk.format("GET", PATH .. searches[kind]())
end
