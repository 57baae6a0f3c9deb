// SPDX-License-Identifier: MIT
// wire_sim.c: the wire without a network. A script of the test's plays the answers; deadlines and
// limits hold as on the real one, in the loop's time, which may be simulated.
//
// Thread: the loop's.
#include "net/wire_int.h"

#include "base/mem.h"

struct sim_wire {
    struct wire base;
    struct loop *loop;
    struct wire_sim_ops script;
    struct wire_calls calls;
};

struct sim_call {
    struct wire_call base;
    struct sim_wire *wire;
};

static struct sim_call *call_of(struct wire_request *r)
{
    if (!r->impl)
        BUG("the script plays a request that is done: wire_sim_ops.gone says when to forget one");
    return r->impl;
}

static void finish(struct sim_call *call, enum wire_end end)
{
    struct wire_request *r = call->base.r;

    wire_call_finish(&call->wire->calls, &call->base);
    mem_free(call);
    wire_report(r, end, NULL);
}

// The request ends without the script's doing.
static void finish_early(struct sim_call *call, enum wire_end end)
{
    const struct wire_sim_ops *script = &call->wire->script;

    if (script->gone && call->base.phase != WIRE_STARTING)
        script->gone(script->user, call->base.r);
    finish(call, end);
}

static void on_timer(struct loop_timer *timer)
{
    struct sim_call *call = (struct sim_call *)wire_call_of(timer);
    const struct wire_sim_ops *script = &call->wire->script;

    if (call->base.ending) {
        finish_early(call, call->base.end);
    } else if (call->base.phase == WIRE_STARTING) {
        wire_call_enter(&call->base, WIRE_WAITING);
        script->answer(script->user, call->base.r);
    } else if (wire_call_over(&call->base)) {
        finish_early(call, call->base.end);
    }
}

static int start(struct wire *w, struct wire_request *r, struct err *err)
{
    struct sim_wire *wire = (struct sim_wire *)w;
    int rc = wire_calls_admit(&wire->calls, err);

    if (rc)
        return rc;
    struct sim_call *call = mem_zalloc(sizeof(*call));
    if (!call)
        return err_set(err, E_NOMEM, "wire: out of memory for a request");
    call->wire = wire;
    wire_call_begin(&wire->calls, &call->base, wire->loop, r, on_timer);
    return E_OK;
}

static void cancel(struct wire *w, struct wire_request *r)
{
    (void)w;
    wire_call_end_soon(r->impl, WIRE_CANCELLED);
}

static void release(struct wire *w)
{
    struct sim_wire *wire = (struct sim_wire *)w;

    wire->calls.closing = true;
    while (wire->calls.first)
        finish_early((struct sim_call *)wire->calls.first, WIRE_CANCELLED);
    mem_free(wire);
}

static const struct wire_ops SIM_WIRE = {
    .name = "sim",
    .start = start,
    .cancel = cancel,
    .free = release,
};

int wire_new_sim(struct wire **out, struct loop *loop, const struct wire_sim_ops *ops,
                 struct err *err)
{
    struct sim_wire *wire = mem_zalloc(sizeof(*wire));

    if (!wire)
        return err_set(err, E_NOMEM, "wire: out of memory");
    *wire = (struct sim_wire){.base.ops = &SIM_WIRE, .loop = loop, .script = *ops};
    *out = &wire->base;
    return E_OK;
}

void wire_sim_status(struct wire_request *r, int status)
{
    wire_call_status(&call_of(r)->base, status);
}

void wire_sim_header(struct wire_request *r, const char *name, const char *value)
{
    struct wire_call *call = &call_of(r)->base;

    if (wire_call_header_bytes(call, strlen(name) + strlen(value)))
        wire_call_header(call, slice_str(name), slice_str(value));
}

bool wire_sim_data(struct wire_request *r, struct slice bytes)
{
    return wire_call_data(&call_of(r)->base, bytes);
}

void wire_sim_done(struct wire_request *r, enum wire_end end)
{
    struct sim_call *call = call_of(r);

    finish(call, call->base.ending ? call->base.end : end);
}
