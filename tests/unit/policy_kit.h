// SPDX-License-Identifier: MIT
// policy_kit.h: what the tests of Lua policies share: a folder to write policies into, a
// conversation to show them, and a way to ask.
#ifndef TESTS_POLICY_KIT_H
#define TESTS_POLICY_KIT_H

#include "lua/lua_room.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// ---- a folder of its own for each test, "policies" below a temporary one, which is the current
// one

struct fixture {
    char dir[64], home[1024];
    char log[4096];
    struct log sink;
    struct lua_env env;
    struct lua_loader *loader;
};

static inline void keep_line(void *user, enum log_level level, const char *line)
{
    struct fixture *f = user;
    size_t len = strlen(f->log);

    snprintf(f->log + len, sizeof(f->log) - len, "%s %s\n", log_level_word(level), line);
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/parley-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_non_null(getcwd(f->home, sizeof(f->home)));
    assert_int_equal(chdir(f->dir), 0);
    assert_int_equal(mkdir("policies", 0700), 0);
    f->sink = (struct log){.sink = keep_line, .user = f, .min_level = LOG_WARN};
    f->env = (struct lua_env){.policies_dir = "policies", .clock = clock_system(), .log = &f->sink};
    f->env.limits = (struct lua_limits){.hook_ms = 5000, .load_ms = 5000};
    assert_int_equal(lua_loader_new(&f->loader, &f->env, NULL), E_OK);
    *state = f;
    return 0;
}

// For what is to be stopped: everything else has all the time that a busy machine needs.
static inline void use_limits(struct fixture *f, int64_t hook_ms, int64_t load_ms)
{
    lua_loader_free(f->loader);
    f->env.limits = (struct lua_limits){.hook_ms = hook_ms, .load_ms = load_ms};
    assert_int_equal(lua_loader_new(&f->loader, &f->env, NULL), E_OK);
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    lua_loader_free(f->loader);
    assert_int_equal(chdir(f->home), 0);
    snprintf(command, sizeof(command), "rm -r %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static inline void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static inline int load(struct fixture *f, const char *bot, struct policy **out, struct err *err)
{
    struct policy_loader ops = lua_loader_ops(f->loader);

    err->message[0] = '\0';
    return ops.load(ops.self, bot, out, err);
}

static inline struct policy *load_text(struct fixture *f, const char *text)
{
    struct policy *p = NULL;
    struct err err = ERR_INIT;

    write_file("policies/kiosk.lua", text);
    if (load(f, "kiosk", &p, &err) != E_OK)
        fail_msg("%s\n%s", text, err.message);
    return p;
}

// ---- a conversation of three turns, the second superseded

struct talk {
    struct chat chat;
    struct turn turns[4];
    struct step steps[4][2];
    struct block blocks[4][3];
    struct policy_view view;
};

static inline void say(struct talk *t, int turn, int step, const char *text, uint32_t tokens)
{
    struct block *b = &t->blocks[turn][step];

    *b = (struct block){.type = BLOCK_TEXT, .text = {text, strlen(text)}};
    t->steps[turn][step] = (struct step){.role = step ? ROLE_ASSISTANT : ROLE_USER,
                                         .content = content_over(b, 1),
                                         .tokens = tokens, .at_ms = 1000};
}

static inline void talk_init(struct talk *t, const char *user, struct safe_text text)
{
    memset(t, 0, sizeof(*t));
    say(t, 0, 0, "I am Ann", 7);
    say(t, 0, 1, "Hello Ann", 8);
    say(t, 1, 0, "second", 5);
    say(t, 1, 1, "answer", 5);
    say(t, 2, 0, "third", 6);
    say(t, 3, 0, "now", 4);
    for (uint32_t i = 0; i < 4; i++)
        t->turns[i] = (struct turn){.n = i + 1, .status = TURN_DONE, .steps = t->steps[i],
                                    .steps_len = 2, .at_ms = 1500 + i};
    t->turns[1].superseded = true;
    t->turns[2].status = TURN_FAILED;
    t->turns[2].steps_len = 1;
    t->turns[3].status = TURN_OPEN;
    t->turns[3].steps_len = 1;
    t->chat = (struct chat){.first = 1, .turns = t->turns, .turns_len = 4};
    snprintf(t->chat.head.id, sizeof(t->chat.head.id), "3f0c1a52-0000-4000-8000-000000000001");
    t->chat.head.turns = 4;
    t->view = (struct policy_view){
        .chat = &t->chat, .user = user, .context = "ticket-7", .turn = 4, .text = text,
        .now_ms = 1700000000500, .gap_ms = 90000, .window_tokens = 8000, .history_tokens = 21,
        .budget_tokens = 5000,
    };
}

// What on_message decides about `text`: plan->text for PLAN_SAY.
static inline int ask(struct policy *p, struct policy_view *view, struct plan *plan,
                      struct err *err)
{
    err->message[0] = '\0';
    return p->ops->on_message(p, view, plan, err);
}

static inline void assert_text(struct safe_text t, const char *want)
{
    if (!slice_is(safe_slice(t), want))
        fail_msg("'%.*s' is not '%s'", SLICE_FMT(t), want);
}

// ---- what is remembered

// A keyed digest for tests.
static inline int kit_digest(void *user, struct slice value, char out[FACT_SLOT_BYTES],
                             struct err *err)
{
    uint64_t a = 14695981039346656037u, b = 1099511628211u;

    (void)user, (void)err;
    for (size_t i = 0; i < value.len; i++) {
        a = (a ^ (unsigned char)value.ptr[i]) * 1099511628211u;
        b = (b + (unsigned char)value.ptr[i]) * 6364136223846793005u + 1442695040888963407u;
    }
    snprintf(out, FACT_SLOT_BYTES, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
    return E_OK;
}

static inline struct fact_book *kit_book(void)
{
    static const struct fact_digest by = {.make = kit_digest};
    struct fact_book *book = NULL;

    assert_int_equal(fact_book_new(&book, "kiosk", &by, NULL), E_OK);
    return book;
}

// The user said so, in that session; not supported: quarantined.
static inline void kit_tell(struct fact_book *book, const char *predicate, const char *value,
                            const char *session, int64_t at_ms, bool supported)
{
    struct memory_rules rules = {.on = true};
    struct fact_considered out;
    struct fact_candidate c = {
        .kind = FACT_PREFERENCE, .predicate = {predicate, strlen(predicate)},
        .value = {value, strlen(value)}, .turn = 1, .author = AUTHOR_USER, .at_ms = at_ms,
    };

    snprintf(c.session, sizeof(c.session), "%s", session);
    assert_int_equal(fact_book_consider(book, &c, supported, &rules, at_ms, &out, NULL), E_OK);
}

static inline void assert_says(struct policy *p, struct talk *t, const char *want)
{
    struct err err = ERR_INIT;
    struct plan plan;

    plan_init(&plan);
    if (ask(p, &t->view, &plan, &err) != E_OK)
        fail_msg("%s", err.message);
    assert_int_equal(plan.verb, PLAN_SAY);
    assert_text(safe_buf_text(&plan.text), want);
    plan_release(&plan);
}

#endif
