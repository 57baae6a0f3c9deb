// SPDX-License-Identifier: MIT
// Masks of one user, from two processes at once and from processes that die at each operation on
// the store: a number never stands for two values, a value never has two numbers, and no value is
// kept. Each text says which values it has: "item #17 v17@x.example".
#include "fault/harness.h"

#include <signal.h>
#include <sys/wait.h>

enum { VALUES_MAX = 4000, OPS_MAX = 200, MESSAGES = 8, UNIQUE = 1000, TEXT_BYTES = 256 };

// What the transcripts say: the number of each value, and the value of each number; 0: none.
struct found {
    uint32_t number[VALUES_MAX], value[VALUES_MAX];
    unsigned pairs, values, doubled, reused, leaked;
};

static void send_items(parley *e, const char *context, unsigned a, unsigned b)
{
    parley_message message = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char text[TEXT_BYTES];
    uint64_t request;

    message.user = "user-0";
    message.context = context;
    message.flags = PARLEY_CONTINUE;
    message.text = text;
    snprintf(text, sizeof(text), "item #%u v%u@x.example item #%u v%u@x.example", a, a, b, b);
    if (parley_send(e, &message, &request, &error) < 0)
        give_up("send: %s", error.message);
    parley_event_free(wait_end(e, NULL));
}

static void look_at(struct found *f, const char *json)
{
    f->leaked += strstr(json, "@x.example") != NULL;
    for (const char *at = json; (at = strstr(at, "item #")) != NULL; at++) {
        unsigned value, number;

        if (sscanf(at, "item #%u [EMAIL_%u]", &value, &number) != 2 || value >= VALUES_MAX ||
            number >= VALUES_MAX || number == 0)
            continue;
        f->pairs++;
        f->values += f->number[value] == 0;
        f->doubled += f->number[value] && f->number[value] != number;
        f->reused += f->value[number] && f->value[number] != value + 1;
        f->number[value] = number;
        f->value[number] = value + 1;
    }
}

// All sessions of the user.
static int read_all(parley *e, struct found *f)
{
    parley_event *list = ask_sessions(e, "user-0");
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json item;

    if (list->type == PARLEY_EVENT_RESULT &&
        json_parse(&doc, slice_str(list->json), 0, NULL) == E_OK) {
        while (json_next(json_root(&doc), &it, NULL, &item)) {
            struct buf id = BUF_INIT(NAME_BYTES);
            json_string(json_get(item, "session"), &id);
            buf_add_char(&id, '\0');
            parley_event *show = ask_show(e, "user-0", id.ptr);
            if (show->type == PARLEY_EVENT_RESULT)
                look_at(f, show->json);
            parley_event_free(show);
            buf_release(&id);
        }
    }
    json_doc_release(&doc);
    parley_event_free(list);
    return verify_problems(e);
}

static void make(struct place *place)
{
    place_make_light(place);
    place_write(place, "policies/fault.lua",
                "return { privacy = { redact = { \"email\" }, keep_originals = \"1h\" } }\n");
}

static parley *open_store(const struct place *place, const char *store)
{
    struct engine_wish wish = {.store = store};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;

    if (place_open(place, &wish, &e, &error) < 0)
        give_up("masks: %s", error.message);
    return e;
}

// ---- two processes

static pid_t speak_beside(const struct place *place, unsigned process, unsigned messages)
{
    fflush(NULL);
    pid_t pid = fork();

    if (pid < 0)
        give_up("masks: %s", strerror(errno));
    if (pid > 0)
        return pid;
    parley *e = open_store(place, NULL);
    for (unsigned i = 0; i < messages; i++)
        send_items(e, process ? "one" : "two", i, UNIQUE * (process + 1) + i);
    parley_close(e);
    _exit(0);
}

static void test_masks__two_processes(void **state)
{
    unsigned messages = fault_long() ? 900 : 120;
    static struct found f;
    struct place place;
    pid_t pids[2];

    (void)state;
    make(&place);
    parley_close(open_store(&place, NULL));
    for (unsigned p = 0; p < 2; p++)
        pids[p] = speak_beside(&place, p, messages);
    for (unsigned p = 0; p < 2; p++) {
        int status = 0;
        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
    }
    parley *e = open_store(&place, NULL);
    int problems = read_all(e, &f);
    parley_close(e);
    place_remove(&place);
    summary("masks, two processes, one user: %u messages, %u values said %u times; numbers of two "
            "values %u, values of two numbers %u, values kept in texts %u, problems %d",
            2 * messages, f.values, f.pairs, f.reused, f.doubled, f.leaked, problems);
    assert_int_equal(f.pairs, 4 * messages);
    assert_int_equal(f.values, 3 * messages);
    assert_int_equal(f.reused + f.doubled + f.leaked, 0);
    assert_int_equal(problems, 0);
}

// ---- a number that only the other process has given

static parley_event *say(parley *e, const char *text)
{
    parley_message message = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;

    message.user = "user-0";
    message.flags = PARLEY_CONTINUE;
    message.text = text;
    if (parley_send(e, &message, &request, &error) < 0)
        give_up("send: %s", error.message);
    return wait_end(e, NULL);
}

// Engine 0 answers out of what engine 1 heard; by its model, or its policy.
#define MASKED "privacy = { redact = { \"email\" }, sinks = { client = \"masked\" } }"

static unsigned spoken_of(const char *policy)
{
    struct place place;
    parley *e[2];
    unsigned known = 0;

    place_make_light(&place);
    place_write(&place, "policies/fault.lua", policy);
    place_write(&place, "reply.lua",
                "return function(request)\n"
                "    local all = {}\n"
                "    for _, m in ipairs(request.messages) do\n"
                "        for mask in m.text:gmatch(\"%[EMAIL_%d+%]\") do all[#all + 1] = mask end\n"
                "    end\n"
                "    return \"I know \" .. table.concat(all, \" \") .. \".\"\n"
                "end\n");
    for (unsigned i = 0; i < 2; i++)
        e[i] = open_store(&place, NULL);
    for (unsigned i = 0; i < 3; i++) {
        parley_event_free(say(e[0], "who are you?"));
        char text[TEXT_BYTES];
        snprintf(text, sizeof(text), "v%u@x.example", i);
        parley_event_free(say(e[1], text));
        parley_event *done = say(e[0], "whom?");
        snprintf(text, sizeof(text), "[EMAIL_%u]", i + 1);
        if (done->type != PARLEY_EVENT_DONE)
            give_up("masks: the turn is not done");
        known += strstr(done->json, text) != NULL && strstr(done->json, "[\\\\EMAIL") == NULL;
        parley_event_free(done);
    }
    parley_close(e[0]);
    parley_close(e[1]);
    place_remove(&place);
    return known;
}

static void test_masks__of_another_process_are_spoken_of(void **state)
{
    (void)state;
    unsigned model = spoken_of("return { " MASKED " }\n");
    unsigned policy = spoken_of("return {\n"
                                "    " MASKED ",\n"
                                "    on_message = function(view)\n"
                                "        if view.text ~= \"whom?\" then return end\n"
                                "        return { say = \"[EMAIL_1] [EMAIL_2] [EMAIL_3]\" }\n"
                                "    end,\n"
                                "}\n");
    summary("masks, given by another process: said by a model %u of 3, by a policy %u of 1", model,
            policy);
    assert_int_equal(model, 3);
    // Numbers that nobody has given yet are escaped.
    assert_int_equal(policy, 1);
}

// ---- a process that dies

static bool dies(const struct place *place, const char *mode, int n)
{
    char store[NAME_BYTES + 80];
    int status;

    snprintf(store, sizeof(store), "faulty:fail_at=%d,mode=%s;sqlite:%s/db", n, mode, place->dir);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        give_up("masks: %s", strerror(errno));
    if (pid == 0) {
        parley *e = open_store(place, store);
        for (unsigned i = 0; i < MESSAGES; i++)
            send_items(e, "", i, i / 2);
        parley_close(e);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid)
        give_up("masks: %s", strerror(errno));
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_masks__dies_at_every_operation(void **state)
{
    static const char *const modes[] = {"crash_before", "crash_after"};
    static struct found f;
    struct found sum = {0};
    struct place place;
    unsigned places = 0, problems = 0;

    (void)state;
    make(&place);
    for (unsigned m = 0; m < 2; m++) {
        for (int n = 1; n < OPS_MAX; n += fault_long() ? 1 : 2) {
            place_clean(&place);
            if (!dies(&place, modes[m], n))
                break;
            places++;
            // Whoever comes next says other values, and some of the same.
            parley *e = open_store(&place, NULL);
            for (unsigned i = 0; i < 3; i++)
                send_items(e, "", UNIQUE + i, i);
            memset(&f, 0, sizeof(f));
            problems += read_all(e, &f) != 0;
            parley_close(e);
            sum.pairs += f.pairs;
            sum.reused += f.reused;
            sum.doubled += f.doubled;
            sum.leaked += f.leaked;
        }
    }
    place_remove(&place);
    summary("masks, killed before and after operations on the store: %u places, values said %u "
            "times; numbers of two values %u, values of two numbers %u, values kept in texts %u, "
            "problems %u", places, sum.pairs, sum.reused, sum.doubled, sum.leaked, problems);
    assert_true(places > 20 && sum.pairs > places * 6);
    assert_int_equal(sum.reused + sum.doubled + sum.leaked + problems, 0);
}

// The control: what is looked for is seen.
static void test_masks__control(void **state)
{
    static struct found f;

    (void)state;
    look_at(&f, "item #1 [EMAIL_1] item #2 [EMAIL_1]");
    look_at(&f, "item #1 [EMAIL_3] v3@x.example");
    assert_int_equal(f.reused, 1);
    assert_int_equal(f.doubled, 1);
    assert_int_equal(f.leaked, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks__two_processes),
        cmocka_unit_test(test_masks__of_another_process_are_spoken_of),
        cmocka_unit_test(test_masks__dies_at_every_operation),
        cmocka_unit_test(test_masks__control),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
