// SPDX-License-Identifier: MIT
// minimal.c: the smallest program that holds a conversation. It tells the engine a name, forgets
// everything itself, and asks: the answer can only come from the history that the engine kept. Then
// it asks what will be remembered once that conversation is long over.
//
//   cc minimal.c $(pkg-config --cflags --libs parley) && ./a.out
#include <parley.h>

#include <stdio.h>

static int say(parley *engine, const char *text)
{
    parley_message message = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley_event *event = NULL;
    uint64_t request = 0;
    int done = 0, code = 0;

    message.flags = PARLEY_CONTINUE;
    message.user = "ann";
    message.text = text;
    if (parley_send(engine, &message, &request, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return error.code;
    }
    while (!done && parley_wait(engine, -1, &event) > 0) {
        switch (event->type) {
        case PARLEY_EVENT_DELTA:
            fputs(event->text, stdout);
            break;
        case PARLEY_EVENT_DONE:
        case PARLEY_EVENT_ERROR:
            if (event->code)
                fprintf(stderr, "%s\n", event->text);
            code = event->code;
            done = 1;
            break;
        default:
            break;
        }
        parley_event_free(event);
    }
    putchar('\n');
    return code;
}

// What is remembered of the user, and why: JSON, as parley.h describes it.
static int remembered(parley *engine)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley_event *event = NULL;
    uint64_t request;
    int code = 0, over = 0;

    scope.user = "ann";
    if (parley_memory(engine, &scope, PARLEY_MEMORY_FACTS, &request, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return error.code;
    }
    while (!over && parley_wait(engine, -1, &event) > 0) {
        over = event->request == request && (event->type == PARLEY_EVENT_RESULT ||
                                             event->type == PARLEY_EVENT_ERROR);
        if (over)
            printf("%s\n", event->type == PARLEY_EVENT_RESULT ? event->json : event->text);
        code = over ? event->code : 0;
        parley_event_free(event);
    }
    return code;
}

int main(void)
{
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *engine = NULL;

    options.store = "memory:";  // "sqlite:desk.db" to keep it
    if (parley_open(&engine, &options, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    int code = say(engine, "Hello, my name is Ann.");
    if (code == 0)
        code = say(engine, "What is my name?");
    if (code == 0)
        code = remembered(engine);
    parley_close(engine);
    return code ? 1 : 0;
}
