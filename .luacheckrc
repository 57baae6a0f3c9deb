-- Settings of luacheck for this repository. Policies and scripts run in a sandbox: what is not there
-- (io, os, debug, load …) is unknown here too, and globals cannot be set.
std = {
    read_globals = {
        "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
        "rawlen", "require", "select", "setmetatable", "tonumber", "tostring", "type", "xpcall",
        "_VERSION",
        coroutine = { fields = { "close", "create", "isyieldable", "resume", "running", "status",
            "wrap", "yield" } },
        math = { other_fields = true },
        string = { fields = { "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower",
            "match", "pack", "packsize", "rep", "reverse", "sub", "unpack", "upper" } },
        table = { fields = { "concat", "insert", "move", "pack", "remove", "sort", "unpack" } },
        utf8 = { fields = { "char", "charpattern", "codepoint", "codes", "len", "offset" } },
    },
}
max_line_length = 110
unused_args = false
include_files = { "scripts/**/*.lua", "policies/*.lua", ".luacheckrc" }
-- `local _ENV = nil` seals a module: a stray global fails.
ignore = { "211/_ENV" }

-- Annotations only: nothing in there is run.
files["scripts/meta"] = { ignore = { "211", "212", "241" } }
-- Settings are globals here.
files[".luacheckrc"] = { std = "luacheckrc" }
