// SPDX-License-Identifier: MIT
// Provider streams cut at every byte, through the whole engine, in both dialects: what lacks its
// terminal event is stored as cut (or failed, without a word), never as done, and what had come is
// kept.
#include "fault/sim.h"
#include "support/shared.h"

#include <dirent.h>

enum { STREAMS_MAX = 64, EDGE_BYTES = 1300, STEP_BYTES = 997 };

struct stream {
    char name[128];
    const char *provider;
    char *bytes;
    size_t len, whole; // whole: with so many bytes it is complete; SIZE_MAX: never
};

struct player {
    const struct stream *stream;
    size_t cut;
    enum wire_end end;
    size_t chunk;
    bool forge; // control: the end of the connection counts as the terminal event
};

static void play(void *user, struct wire_request *r)
{
    static const char terminal[] = "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    const struct player *p = user;
    wire_sim_status(r, 200);
    wire_sim_header(r, "Content-Type", "text/event-stream");
    for (size_t at = 0; at < p->cut; at += p->chunk) {
        size_t n = p->cut - at < p->chunk ? p->cut - at : p->chunk;
        if (!wire_sim_data(r, slice_of(p->stream->bytes + at, n)))
            break;
    }
    if (p->forge)
        wire_sim_data(r, SLICE_LIT(terminal));
    wire_sim_done(r, p->end);
}

// ---- the streams

// Where the event that says "this was all" ends, its blank line included: read from the bytes
// alone.
static size_t find_whole(const struct stream *s)
{
    const char *mark = s->provider[0] == 'a' ? "event: message_stop" : "data: [DONE]";
    const char *at = memmem(s->bytes, s->len, mark, strlen(mark));
    const char *end = s->bytes + s->len;
    for (; at && at < end; at++) {
        size_t left = (size_t)(end - at);
        if (left >= 2 && memcmp(at, "\n\n", 2) == 0)
            return (size_t)(at - s->bytes) + 2;
        if (left >= 4 && memcmp(at, "\r\n\r\n", 4) == 0)
            return (size_t)(at - s->bytes) + 3; // a CR ends a line, LF or not
    }
    return SIZE_MAX;
}

static bool read_stream(struct stream *s, const char *folder, const char *name)
{
    char path[1024];
    FILE *f;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (strlen(name) < 5 || strcmp(name + strlen(name) - 4, ".sse") || !(f = fopen(path, "rb")))
        return false;
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->provider = strncmp(name, "openai", 6) == 0 ? "openai" : "anthropic";
    s->bytes = malloc(1 << 20);
    s->len = fread(s->bytes, 1, 1 << 20, f);
    fclose(f);
    s->whole = find_whole(s);
    return true;
}

static size_t read_folder(struct stream *streams, size_t n, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && n < STREAMS_MAX && (entry = readdir(dir)))
        n += read_stream(&streams[n], folder, entry->d_name);
    if (dir)
        closedir(dir);
    return n;
}

static size_t read_streams(struct stream *streams)
{
    char path[1024];
    size_t n = read_folder(streams, 0, "tests/fixtures/streams");
    return shared_path(path, sizeof(path), "streams/recorded") ? read_folder(streams, n, path) : n;
}

// ---- cutting

struct figures {
    uint64_t cuts, done, cut, failed, misclassified;
    unsigned streams;
    int details;
};

static void misclassified(struct figures *f, const struct stream *s, size_t cut,
                          const struct outcome *o, const char *why)
{
    f->misclassified++;
    if (f->details++ < 5)
        fprintf(stderr, "%s cut at %zu of %zu: %s: %s, stop %s, code %d, %u calls: %s\n", s->name,
                cut, s->len, why, o->status, o->stop, o->code, o->calls, o->message);
}

static void judge(struct figures *f, const struct stream *s, size_t cut, const struct outcome *o,
                  const struct outcome *full, size_t *longest)
{
    bool is_done = strcmp(o->status, "done") == 0, is_cut = strcmp(o->status, "cut") == 0;
    f->cuts++;
    f->done += is_done;
    f->cut += is_cut;
    f->failed += strcmp(o->status, "failed") == 0;
    if (o->calls != 1 || !o->accepted || o->last != PARLEY_EVENT_DONE)
        misclassified(f, s, cut, o, "not one call and one end");
    else if (o->reply.len > full->reply.len ||
             (o->reply.len && memcmp(o->reply.ptr, full->reply.ptr, o->reply.len) != 0))
        misclassified(f, s, cut, o, "the reply is no beginning of the whole one");
    else if (o->reply.len < *longest)
        misclassified(f, s, cut, o, "text that had come is gone");
    else if (cut >= s->whole && (strcmp(o->status, full->status) || strcmp(o->stop, full->stop)))
        misclassified(f, s, cut, o, "whole, but told otherwise");
    else if (cut < s->whole && (is_done || strcmp(o->stop, "lost") == 0) != is_cut)
        misclassified(f, s, cut, o, "taken for more than it is");
    else if (cut < s->whole && (o->code != PARLEY_E_PROVIDER || (!is_cut && o->reply.len)))
        misclassified(f, s, cut, o, "not told as lost");
    *longest = o->reply.len;
}

static void cut_stream(struct sim *sim, struct player *p, struct figures *f, uint64_t seed)
{
    const struct stream *s = p->stream;
    struct outcome full, o;
    size_t longest = 0;
    bool forge = p->forge;
    p->forge = false;
    p->cut = s->len;
    p->chunk = s->len;
    p->end = WIRE_OK;
    sim_turn(sim, s->provider, &full);
    p->forge = forge;
    f->streams++;
    for (size_t cut = 0; cut <= s->len; cut++) {
        bool edge =
            cut < EDGE_BYTES || s->len - cut < EDGE_BYTES || cut % STEP_BYTES == seed % STEP_BYTES;
        if (!fault_long() && !edge)
            continue;
        p->cut = cut;
        p->chunk = (cut + seed) % 7 ? s->len : 1 + (cut + seed) % 61;
        p->end = (cut + seed) % 3 && !forge ? WIRE_BROKEN : WIRE_OK;
        sim_turn(sim, s->provider, &o);
        judge(f, s, cut, &o, &full, &longest);
        buf_release(&o.reply);
    }
    buf_release(&full.reply);
}

static void cut_all(struct figures *f, bool forge, const char *provider)
{
    static struct stream streams[STREAMS_MAX];
    static const char *const no_marker[] = {"providers.openai.done_marker=false", NULL};
    size_t n = read_streams(streams);
    uint64_t seed = fault_seed();
    for (size_t i = 0; i < n; i++) {
        struct player p = {.stream = &streams[i], .forge = forge};
        struct wire_sim_ops wire = {.answer = play, .user = &p};
        struct sim sim = {0};
        if (strncmp(streams[i].provider, provider, strlen(provider)) == 0 &&
            (!forge || streams[i].len < 2000)) {
            p.forge = forge && streams[i].provider[0] == 'a';
            sim_open(&sim, &wire, seed, forge ? no_marker : NULL);
            cut_stream(&sim, &p, f, seed);
            sim_close(&sim);
        }
        free(streams[i].bytes);
    }
    summary("%s%s streams cut at every byte%s: %u streams, %llu cuts: %llu done, %llu cut, "
            "%llu failed; misclassified %llu (seed %llu)",
            forge ? "control, an end for the terminal event: " : "", provider,
            fault_long() ? "" : " (the large ones at their ends, sampled between)", f->streams,
            (unsigned long long)f->cuts, (unsigned long long)f->done, (unsigned long long)f->cut,
            (unsigned long long)f->failed, (unsigned long long)f->misclassified,
            (unsigned long long)seed);
}

static void test_cut__anthropic(void **state)
{
    (void)state;
    struct figures f = {0};
    cut_all(&f, false, "anthropic");
    assert_true(f.streams > 0 && f.done > 0 && f.cut > 0 && f.failed > 0);
    assert_int_equal(f.misclassified, 0);
}

static void test_cut__openai(void **state)
{
    (void)state;
    struct figures f = {0};
    cut_all(&f, false, "openai");
    assert_true(f.streams > 0 && f.done > 0 && f.cut > 0 && f.failed > 0);
    assert_int_equal(f.misclassified, 0);
}

static void test_cut__control_anthropic(void **state)
{
    (void)state;
    struct figures f = {.details = 5};
    cut_all(&f, true, "anthropic");
    assert_true(f.misclassified > 0);
}

static void test_cut__control_openai(void **state)
{
    (void)state;
    struct figures f = {.details = 5};
    cut_all(&f, true, "openai");
    assert_true(f.misclassified > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut__anthropic),
        cmocka_unit_test(test_cut__openai),
        cmocka_unit_test(test_cut__control_anthropic),
        cmocka_unit_test(test_cut__control_openai),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
