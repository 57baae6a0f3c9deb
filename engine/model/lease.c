// SPDX-License-Identifier: MIT
// lease.c: see lease.h.
#include "model/lease.h"

#include "base/clock.h"
#include "model/session_int.h"
#include <stdio.h>
#include <string.h>

const struct device_rules device_rules_default = {.lapse_ms = LEASE_LAPSE_DEFAULT_MS};

bool lease_held(const struct session_lease *l, const struct device_rules *rules, const char *holder,
                int64_t last_active_ms, int64_t now_ms)
{
    // What no policy guarded so far is nobody's.
    if (!rules->one_active || !l->rules.one_active || strcmp(l->holder, holder) == 0)
        return false;
    // A clock that went back lets nothing lapse.
    return rules->lapse_ms == 0 || now_ms - rules->lapse_ms < last_active_ms;
}

static void name_holder(struct session_lease *l, const struct lease_asker *by, int64_t now_ms)
{
    memcpy(l->before, l->holder, sizeof(l->before));
    snprintf(l->holder, sizeof(l->holder), "%s", by->holder);
    snprintf(l->device, sizeof(l->device), "%s", by->device);
    l->since_ms = now_ms;
}

bool lease_take(struct session_lease *l, const struct device_rules *rules,
                const struct lease_asker *by, int64_t now_ms)
{
    bool others = strcmp(l->holder, by->holder) != 0;
    bool guarded = l->rules.one_active;

    l->rules = *rules;
    // Where any device may speak, one that does not say which changes nothing.
    if (!rules->one_active && !by->device[0])
        return false;
    if (others)
        name_holder(l, by, now_ms);
    // What was said while nobody guarded it belongs to no epoch of one device.
    if (rules->one_active ? others || !guarded : others && l->epoch)
        l->epoch++;
    return others && guarded && rules->one_active && l->before[0];
}

int lease_refuse(const struct session_lease *l, const char *session, const char *holder,
                 struct err *err)
{
    char since[CLOCK_TEXT_BYTES], device[DEVICE_BYTES + 16] = "a device without a name";
    bool moved = strcmp(l->before, holder) == 0;

    if (l->device[0])
        snprintf(device, sizeof(device), "device \"%s\"", l->device);
    clock_format(l->since_ms, since);
    return err_set(err, E_REFUSED, "session %s %s %s %s %s: to continue here, send it again with "
                   "--here (in a chat: /here; in programs: PARLEY_CONTINUE_HERE)", session,
                   moved ? "moved to" : "is in use on", device, moved ? "at" : "since", since);
}

// ---- stored

void lease_write(const struct session_lease *l, struct json_writer *w)
{
    if (!l->holder[0] && !l->epoch)
        return;
    jw_key(w, "lease");
    jw_object(w);
    if (l->holder[0])
        jw_kv_str(w, "holder", l->holder);
    jw_kv_i64(w, "epoch", l->epoch);
    jw_kv_i64(w, "since", l->since_ms);
    if (l->rules.one_active)
        jw_kv_i64(w, "lapse", l->rules.lapse_ms);
    if (l->before[0])
        jw_kv_str(w, "before", l->before);
    jw_object_end(w);
}

static bool read_holder(struct json object, const char *key, char out[DEVICE_HOLDER_BYTES])
{
    struct json v = json_get(object, key);
    struct slice raw = json_raw(v);

    if (json_type(v) == JSON_NONE)
        return true;
    if (json_type(v) != JSON_STRING || raw.len < 3 || raw.len - 2 >= DEVICE_HOLDER_BYTES ||
        memchr(raw.ptr, '\\', raw.len))
        return false;
    memcpy(out, raw.ptr + 1, raw.len - 2);
    return true;
}

static bool read_members(struct session_lease *l, struct json object)
{
    int64_t epoch = json_i64(json_get(object, "epoch"), -1);
    struct json lapse = json_get(object, "lapse");

    l->since_ms = json_i64(json_get(object, "since"), -1);
    l->rules.one_active = json_type(lapse) != JSON_NONE;
    l->rules.lapse_ms = json_i64(lapse, l->rules.one_active ? -1 : 0);
    l->epoch = (uint32_t)epoch;
    return json_type(object) == JSON_OBJECT && epoch >= 0 && epoch <= UINT32_MAX &&
           l->since_ms >= 0 && l->rules.lapse_ms >= 0 && l->rules.lapse_ms <= EXPIRY_MS_MAX &&
           read_holder(object, "holder", l->holder) && read_holder(object, "before", l->before);
}

// The name comes with the body, later.
void lease_read(struct session_lease *l, struct meta *m)
{
    struct json object = json_get(m->root, "lease");

    *l = (struct session_lease){0};
    if (!m->code && json_type(object) != JSON_NONE && !read_members(l, object))
        meta_fail(m, "lease");
}
