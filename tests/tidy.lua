-- SPDX-License-Identifier: MIT
-- tidy.lua: what the house is held to, as tests. Prints TAP. Run from the root of the repository.

-- Rooms and their floors (engine/README.md): a file includes only its own room and lower floors, so
-- two rooms on one floor do not know each other.
local FLOOR = {
    base = 0, model = 1, net = 1, redact = 2, vault = 2, tokens = 2, store = 2, llm = 2, ledger = 3,
    session = 3, memory = 3, policy = 4, lua = 5, turn = 5, jobs = 6, engine = 7, cli = 8,
}
local FUNCTION_LINES_MAX, FILE_LINES_MAX, COLUMNS_MAX = 70, 600, 100
-- Only these may make safe text out of other text.
local SAFE_TEXT_MAKERS = { model = true, vault = true, redact = true }
-- Only this may seal bytes that are no text.
local SEALS_BYTES = { ["engine/turn/recall_keep.c"] = true, ["engine/ledger/commit.c"] = true }
-- Functions that are unsafe, or that a seam stands in for, and the files that may use them
-- all the same.
local BANNED = {
    strcpy = {}, strcat = {}, sprintf = {}, vsprintf = {}, gets = {}, strtok = {}, alloca = {},
    malloc = { "engine/base/mem.c" },
    calloc = { "engine/base/mem.c" },
    realloc = { "engine/base/mem.c" },
    time = {}, rand = {}, srand = {}, sleep = {}, usleep = {},
    gettimeofday = { "engine/base/clock.c" },
}

local tests, failed = 0, 0
local function result(name, problems)
    tests = tests + 1
    if #problems == 0 then
        print(("ok %d - %s"):format(tests, name))
        return
    end
    failed = failed + 1
    print(("not ok %d - %s"):format(tests, name))
    for i = 1, math.min(#problems, 60) do
        print("# " .. problems[i])
    end
end

local function list(command)
    local out = {}
    local pipe = assert(io.popen(command))
    for line in pipe:lines() do
        out[#out + 1] = line
    end
    pipe:close()
    return out
end

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    return text
end

local function lines(text)
    return (text .. (text:sub(-1) == "\n" and "" or "\n")):gmatch("(.-)\n")
end

-- Tracked files, or all of them outside a repository.
local files = {}
local LISTING = "git ls-files 2>/dev/null || find engine scripts policies tests tools -type f"
for _, path in ipairs(list(LISTING)) do
    local file = io.open(path, "rb")
    if file then -- not one that is about to be removed
        file:close()
        files[#files + 1] = path
    end
end
local c_files, sources = {}, {}
for _, path in ipairs(files) do
    if path:match("^engine/.*%.[ch]$") then
        c_files[#c_files + 1] = path
    end
    if (path:match("%.[ch]$") or path:match("%.lua$")) and not path:match("/seeds/") then
        sources[#sources + 1] = path
    end
end

local function room_of(path)
    return path:match("^engine/([%w_]+)/") or "engine"
end

-- Comments and strings replaced by blanks of the same length, so that positions stay.
local function bare(text)
    local function blank(s)
        return (s:gsub("[^\n]", " "))
    end
    text = text:gsub("\\\\", "  "):gsub('\\"', "  "):gsub("\\'", "  ")
    text = text:gsub("/%*.-%*/", blank):gsub("//[^\n]*", blank)
    text = text:gsub('"[^"\n]*"', blank):gsub("'[^'\n]*'", blank)
    return text
end

do -- floors
    local problems = {}
    for _, path in ipairs(c_files) do
        local room = room_of(path)
        for include in read(path):gmatch('#%s*include%s*"([^"]+)"') do
            local target = include:match("^([%w_]+)/") or (FLOOR[room] == 7 and "engine") or
                (include:match("^parley") and "engine") or room
            if not FLOOR[target] then
                problems[#problems + 1] = ("%s: includes %s, a room on no floor"):format(
                    path, include)
            elseif room == "cli" then
                if target ~= "cli" and target ~= "base" and include ~= "parley.h" then
                    problems[#problems + 1] =
                        ("%s: a door uses parley.h and base/ only, not %s"):format(path, include)
                end
            elseif target ~= room and FLOOR[target] >= FLOOR[room] then
                problems[#problems + 1] = ("%s (floor %d) includes %s (floor %d)"):format(
                    path, FLOOR[room], include, FLOOR[target])
            end
        end
    end
    result("tidy__a_file_includes_only_lower_floors", problems)
end

do -- safe text
    local problems = {}
    for _, path in ipairs(c_files) do
        if read(path):match("safe_text_int%.h\"") and not SAFE_TEXT_MAKERS[room_of(path)] then
            problems[#problems + 1] = path .. ": only model/, vault/ and redact/ make safe text"
        end
    end
    result("tidy__only_three_rooms_make_safe_text", problems)
    problems = {}
    for _, path in ipairs(c_files) do
        if read(path):match("vault_seal_bytes") and not SEALS_BYTES[path]
           and room_of(path) ~= "vault" then
            problems[#problems + 1] = path
                .. ": bytes that are no text are recall's segments and users' masks"
        end
    end
    result("tidy__only_recall_and_masks_seal_what_is_no_text", problems)
end

do -- banned functions
    local problems = {}
    for _, path in ipairs(c_files) do
        local n = 0
        for line in lines(bare(read(path))) do
            n = n + 1
            for name in line:gmatch("%f[%w_]([%a_][%w_]*)%s*%(") do
                local allowed = BANNED[name]
                local fine = not allowed or line:match("[%.>]%s*" .. name .. "%s*%(")
                for _, exception in ipairs(allowed or {}) do
                    fine = fine or exception == path
                end
                if not fine then
                    problems[#problems + 1] = ("%s:%d: %s is not used here"):format(path, n, name)
                end
            end
        end
    end
    result("tidy__no_banned_function", problems)
end

do -- sizes
    local columns, lengths, functions = {}, {}, {}
    for _, path in ipairs(sources) do
        local text = read(path)
        local n, start, name = 0, nil, nil
        for line in lines(text) do
            n = n + 1
            local width = utf8.len(line) or #line
            if width > COLUMNS_MAX and not line:match("https?://") then
                columns[#columns + 1] = ("%s:%d: %d columns"):format(path, n, width)
            end
            if path:match("%.c$") then
                if line == "{" then
                    start = n
                elseif line:match("^[%a_].*%(") then
                    name = line:match("([%w_]+)%s*%(")
                elseif line == "}" and start then
                    if n - start - 1 > FUNCTION_LINES_MAX then
                        functions[#functions + 1] = ("%s:%d: %s has %d lines"):format(
                            path, start, name or "?", n - start - 1)
                    end
                    start = nil
                end
            end
        end
        if n > FILE_LINES_MAX and path:match("^engine/") then
            lengths[#lengths + 1] = ("%s: %d lines"):format(path, n)
        end
    end
    result(("tidy__lines_up_to_%d_columns"):format(COLUMNS_MAX), columns)
    result(("tidy__files_up_to_%d_lines"):format(FILE_LINES_MAX), lengths)
    result(("tidy__functions_up_to_%d_lines"):format(FUNCTION_LINES_MAX), functions)
end

do -- how a file opens
    local problems = {}
    for _, path in ipairs(sources) do
        local first, second = read(path):match("^([^\n]*)\n([^\n]*)")
        first = first or ""
        if not first:match("SPDX%-License%-Identifier: MIT") and not first:match("^#!") then
            problems[#problems + 1] = path .. ": the first line says the licence"
        elseif path:match("^engine/") then
            local base = path:match("([^/]+)$")
            local says = second:find(base, 1, true) or read(path):sub(1, 400):find(base, 1, true)
            if not says then
                problems[#problems + 1] = path .. ": the head says what it is"
            end
        end
    end
    result("tidy__a_file_opens_with_licence_and_purpose", problems)
end

do -- what no test runs, such as the annotations for editors, is Lua too
    local problems = {}
    for _, path in ipairs(sources) do
        local shipped = path:match("^scripts/.*%.lua$") or path:match("^policies/.*%.lua$")
        local chunk, why = not shipped or loadfile(path)
        if not chunk then
            problems[#problems + 1] = why
        end
    end
    result("tidy__scripts_are_lua", problems)
end

do -- words that mark unfinished work, and traces of one machine
    local problems = {}
    for _, path in ipairs(files) do
        local ours = { engine = true, scripts = true, policies = true, tests = true }
        if ours[path:match("^[^/]+")] then
            local n = 0
            for line in lines(read(path)) do
                n = n + 1
                if path ~= "tests/tidy.lua" and not path:match("/seeds/") and
                    (line:match("%f[%u]TODO%f[%U]") or line:match("%f[%u]FIXME%f[%U]") or
                        line:match("/home/%a")) then
                    problems[#problems + 1] = ("%s:%d: %s"):format(path, n, line:sub(1, 80))
                end
            end
        end
    end
    result("tidy__no_loose_ends", problems)
end

do -- the API's headers document every function and every option
    local problems = {}
    for _, header in ipairs { "parley.h", "parley_tools.h" } do
        local text = read("engine/" .. header)
        for name in text:gmatch("PARLEY_API[^;(]-(parley_[%w_]+)%s*%(") do
            local at = text:find("\nPARLEY_API[^\n]-" .. name .. "%s*%(") + 1
            local before = text:sub(1, at):match("([^\n]*)\n[^\n]*$")
            -- Functions told together stand together, the comment above the first.
            if not (before:match("%*/%s*$") or before:match(";%s*$")) then
                problems[#problems + 1] = header .. ": " .. name .. " says nothing of itself"
            end
        end
    end
    result("tidy__public_functions_are_documented", problems)
end

print("1.." .. tests)
os.exit(failed == 0)
