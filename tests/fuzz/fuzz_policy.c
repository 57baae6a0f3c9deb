// SPDX-License-Identifier: MIT
// A policy file of any bytes: it loads, or it is refused in words; it takes no more time and memory
// than it is given. In simulated time, so that only counted fuel ends it. Seeds lie in
// seeds/policy/.
#include "fuzz/fuzz_file.h"

#include "base/clock.h"
#include "lua/lua_room.h"

static struct fuzz_file file;

static void remove_file(void)
{
    fuzz_file_remove(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct clock_sim clock;
    struct err err = ERR_INIT;
    if (!file.dir[0])
        atexit(remove_file);
    fuzz_file_write(&file, "fuzz.lua", bytes, len);
    clock_sim_init(&clock, 1700000000000);
    struct lua_env env = {
        .policies_dir = file.dir,
        .clock = &clock.clock,
        .limits = {.memory_bytes = 8 << 20, .load_fuel = 2000000, .hook_fuel = 1000000}};
    int code = lua_check_policy(&env, file.path, &err);
    if (code && (code != E_POLICY || err.code != code || err.message[0] == '\0'))
        BUG("code %d: %s", code, err.message);
    return 0;
}
