-- SPDX-License-Identifier: MIT
-- coverage.lua COVERAGE.json EXCEPTIONS: what the tests reached (llvm-cov's export), as a table of
-- lines and branches per room; and for the rooms that are held to every branch, each that was not
-- taken and that EXCEPTIONS does not explain. Exit 1 if there is one, or an exception too many.
--
-- A branch is one way out of one condition: `a && b` in an if has four. The compiler tells them
-- from the source, so there are none that only it can see. A condition inside a macro counts
-- once, where the macro is defined; those of BUG_ON, which are invariants, do not count: breaking
-- one ends the process, and what is to be shown of them is that no test does.
--
-- EXCEPTIONS has a line for each branch that is not to be taken:
--   FILE | FUNCTION | CONDITION | yes or no | why
-- (yes: the condition holds). `yes?` and `no?` are for branches that are taken or not as threads
-- happen to meet. Others that were taken after all are told, so that no explanation outlives what
-- it explains.
local STRICT = { ["engine/ledger/"] = true, ["engine/store/"] = true }

local json_path, exceptions_path = arg[1], arg[2]

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    return text
end

local sources = {} -- path -> lines
local function source(path)
    if not sources[path] then
        local lines = {}
        for line in (read(path) .. "\n"):gmatch("(.-)\n") do
            lines[#lines + 1] = line
        end
        sources[path] = lines
    end
    return sources[path]
end

-- The text of a condition, on one line.
local function text_between(path, l1, c1, l2, c2)
    local lines, out = source(path), {}
    for l = l1, l2 do
        local from = l == l1 and c1 or 1
        local to = l == l2 and c2 - 1 or #lines[l]
        out[#out + 1] = lines[l]:sub(from, to)
    end
    return (table.concat(out, " "):gsub("%s+", " "))
end

local function function_at(path, line)
    local lines = source(path)
    for l = line, 1, -1 do
        local name = lines[l]:match("^%a[%w_%s%*]-([%w_]+)%(")
        if name then
            return name
        end
    end
    return "?"
end

-- "[[1,2],[3,4]]" as a list of lists of numbers.
local function numbers(text)
    local out = {}
    for inner in text:sub(2, -2):gmatch("%b[]") do
        local row = {}
        for n in inner:gmatch("%d+") do
            row[#row + 1] = tonumber(n)
        end
        out[#out + 1] = row
    end
    return out
end

-- path -> { lines =, lines_hit =, branches = list, seen = by place }.
-- A branch is { path, line, column, text, yes =, no = }.
local files = {}

local function file_of(path)
    files[path] = files[path] or { lines = 0, lines_hit = 0, branches = {}, seen = {} }
    return files[path]
end

-- Several programs, and several copies of an inline function, tell of the same place in the source.
local function add_branch(path, row)
    local file = file_of(path)
    local key = table.concat(row, ",", 1, 4)
    local branch = file.seen[key]
    if not branch then
        branch = { path = path, line = row[1], column = row[2], yes = 0, no = 0,
            text = text_between(path, row[1], row[2], row[3], row[4]) }
        file.seen[key] = branch
        file.branches[#file.branches + 1] = branch
    end
    branch.yes, branch.no = branch.yes + row[5], branch.no + row[6]
end

local function add_expansions(path, text)
    for one in text:sub(2, -2):gmatch("%b{}") do
        local at, names = {}, {}
        for n in one:match('"source_region":(%b[])'):gmatch("%d+") do
            at[#at + 1] = tonumber(n)
        end
        for name in one:match('"filenames":(%b[])'):gmatch('"([^"]+)"') do
            names[#names + 1] = name:match("engine/.*$") or ""
        end
        if text_between(path, at[1], at[2], at[3], at[4]) ~= "BUG_ON" then
            for _, row in ipairs(numbers(one:match('"branches":(%b[])'))) do
                local defined = names[row[7] + 1]
                if defined ~= "" then
                    add_branch(defined, row)
                end
            end
        end
    end
end

local function read_export(text)
    local at = text:find('"files":%[')
    local pattern = '^{"branches":(%b[]),"expansions":(%b[]),"filename":"([^"]+)",' ..
        '"segments":%b[],"summary":(%b{})}'
    at = text:find("{", at, true)
    while true do
        local s, e, branches, expansions, path, summary = text:find(pattern, at)
        if not s then
            break
        end
        path = path:match("engine/.*$")
        if path then
            local count, hit = summary:match('"lines":{"count":(%d+),"covered":(%d+)')
            local file = file_of(path)
            file.lines, file.lines_hit = tonumber(count), tonumber(hit)
            for _, row in ipairs(numbers(branches)) do
                add_branch(path, row)
            end
            add_expansions(path, expansions)
        end
        at = e + 2
    end
end

read_export(read(json_path))

-- ---- the table

local function room_of(path)
    return path:match("^engine/[%w_]+/") or "engine/"
end

local rooms, order = {}, {}
local function room(name)
    if not rooms[name] then
        rooms[name] = { lines = 0, lines_hit = 0, ways = 0, taken = 0 }
        order[#order + 1] = name
    end
    return rooms[name]
end

local missing = {} -- branches of the strict rooms
for path, file in pairs(files) do
    local name = room_of(path)
    for _, r in ipairs { room(name), room("~all") } do
        r.lines, r.lines_hit = r.lines + file.lines, r.lines_hit + file.lines_hit
        for _, b in ipairs(file.branches) do
            r.ways = r.ways + 2
            r.taken = r.taken + (b.yes > 0 and 1 or 0) + (b.no > 0 and 1 or 0)
        end
    end
    for _, b in ipairs(file.branches) do
        for _, way in ipairs { "yes", "no" } do
            if STRICT[name] and b[way] == 0 then
                missing[#missing + 1] = { b = b, way = way }
            end
        end
    end
end
table.sort(order)
table.sort(missing, function(x, y)
    if x.b.path ~= y.b.path then
        return x.b.path < y.b.path
    elseif x.b.line ~= y.b.line then
        return x.b.line < y.b.line
    elseif x.b.column ~= y.b.column then
        return x.b.column < y.b.column
    end
    return x.way > y.way
end)

local function percent(part, whole)
    return whole > 0 and part * 100 / whole or 100
end

print(("%-16s %21s %24s"):format("room", "lines", "branches"))
for _, name in ipairs(order) do
    local r = rooms[name]
    print(("%-16s %7.2f %% %6d/%-6d %7.2f %% %6d/%-6d"):format(
        name == "~all" and "all" or name, percent(r.lines_hit, r.lines), r.lines_hit, r.lines,
        percent(r.taken, r.ways), r.taken, r.ways))
end

-- ---- what is explained

local explained = {} -- by "file|function|condition|way": list of { used =, maybe =, line = }
local n = 0
for line in io.lines(exceptions_path) do
    n = n + 1
    if line ~= "" and not line:match("^#") then
        local path, name, text, way, maybe, why =
            line:match("^(.-) | (.-) | (.-) | (%a+)(%??) | (.+)$")
        if not why or (way ~= "yes" and way ~= "no") then
            error(("%s:%d: FILE | FUNCTION | CONDITION | yes or no | why"):format(
                exceptions_path, n))
        end
        local key = table.concat({ path, name, text, way }, "|")
        explained[key] = explained[key] or {}
        table.insert(explained[key], { maybe = maybe ~= "", line = n })
    end
end

local bad, known = 0, 0
for _, m in ipairs(missing) do
    local name = function_at(m.b.path, m.b.line)
    local list = explained[table.concat({ m.b.path, name, m.b.text, m.way }, "|")] or {}
    local found = false
    for _, entry in ipairs(list) do
        if not found and not entry.used then
            entry.used, found = true, true
        end
    end
    if found then
        known = known + 1
    else
        bad = bad + 1
        print(("%s:%d: not taken: %s | %s | %s"):format(
            m.b.path, m.b.line, name, m.b.text, m.way))
    end
end
for key, list in pairs(explained) do
    for _, entry in ipairs(list) do
        if not entry.used and not entry.maybe then
            bad = bad + 1
            print(("%s:%d: taken after all, or not there: %s"):format(
                exceptions_path, entry.line, key))
        end
    end
end
print(("ledger and store: %d branches not taken and explained, %d not explained"):format(
    known, bad))
os.exit(bad == 0 and 0 or 1)
