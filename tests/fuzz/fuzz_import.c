// SPDX-License-Identifier: MIT
// Lines of recorded conversations of any bytes, imported into a whole engine in simulated time over
// a store in memory. Each is taken, or refused in words; what was taken can be shown, and verify
// finds no problem. Seeds lie in seeds/import/.
#include "parley_int.h"

enum { LINES_MAX = 16 };

static void no_answer(void *user, struct wire_request *r)
{
    (void)user;
    (void)r;
    BUG("an import calls no provider");
}

static int make_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    struct wire_sim_ops ops = {.answer = no_answer};
    (void)user;
    return wire_new_sim(out, loop, &ops, err);
}

// The one answer to a request; NULL: it was refused at once.
static parley_event *answer(parley *e, int code, const parley_error *error)
{
    parley_event *event = NULL;
    if (code < 0) {
        BUG_ON(error->code != code || !error->message[0]);
        return NULL;
    }
    if (parley_wait(e, 0, &event) != 1)
        BUG("no answer");
    BUG_ON(event->type != PARLEY_EVENT_RESULT && event->type != PARLEY_EVENT_ERROR);
    BUG_ON(event->type == PARLEY_EVENT_ERROR && (!event->code || !event->text[0]));
    return event;
}

static void import_line(parley *e, const char *line, size_t len)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    parley_event_free(answer(e, parley_import(e, line, len, &request, &error), &error));
}

// Every session there is, as the listing names it, can be shown.
static void show_all(parley *e)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json row;
    uint64_t request;
    scope.flags = PARLEY_ALL_USERS;
    parley_event *list = answer(e, parley_sessions(e, &scope, &request, &error), &error);
    BUG_ON(!list || list->type != PARLEY_EVENT_RESULT);
    if (json_parse(&doc, slice_str(list->json), 0, NULL) != E_OK)
        BUG("no JSON: %s", list->json);
    while (json_next(json_root(&doc), &it, NULL, &row)) {
        struct buf user = BUF_INIT(4096), session = BUF_INIT(64);
        json_string(json_get(row, "user"), &user);
        json_string(json_get(row, "session"), &session);
        scope = (parley_scope)PARLEY_SCOPE_INIT;
        scope.user = user.ptr;
        scope.session = session.ptr;
        parley_event *shown = answer(e, parley_show(e, &scope, &request, &error), &error);
        if (!shown || shown->type != PARLEY_EVENT_RESULT)
            BUG("show: %s", shown ? shown->text : error.message);
        parley_event_free(shown);
        buf_release(&user);
        buf_release(&session);
    }
    json_doc_release(&doc);
    parley_event_free(list);
}

static void verify(parley *e)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.flags = PARLEY_ALL_USERS;
    parley_event *event = answer(e, parley_verify(e, &scope, &request, &error), &error);
    if (!event || event->type != PARLEY_EVENT_RESULT || !strstr(event->json, "\"problems\":[]"))
        BUG("verify: %s", !event ? error.message : event->json[0] ? event->json : event->text);
    parley_event_free(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct clock_sim clock;
    struct rand_sim rand;
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *e = NULL;
    const char *at = (const char *)bytes, *end = at + len;
    clock_sim_init(&clock, 1700000000000);
    rand_sim_init(&rand, 1);
    struct engine_seams seams = {.clock = &clock, .rand = &rand.rand, .wire = make_wire};
    options.config = "";
    options.no_environment = 1;
    options.store = "memory:";
    if (engine_open(&e, &options, &seams, &error) < 0)
        BUG("open: %s", error.message);
    for (int i = 0; i < LINES_MAX && at < end; i++) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        const char *stop = nl ? nl : end;
        import_line(e, at, (size_t)(stop - at));
        at = nl ? nl + 1 : end;
    }
    show_all(e);
    verify(e);
    parley_close(e);
    return 0;
}
