// SPDX-License-Identifier: MIT
// Bytes of a store change by themselves (FAULTS 4): bits flip, sectors are emptied or garbled,
// pages change places, the file ends early, the WAL is hit. Whatever it is, the engine does not
// crash, shows and sends no text that nobody wrote there, and tells what is missing.
//
// A case: a copy of a store with several users and sessions is damaged, opened, read as a whole,
// verified, and each session gets one turn more. Cases run in children, many in each, so that one
// that crashes or hangs is counted, and the next goes on after it.
#include "fault/damage.h"

enum { BATCH = 250, CASE_SECONDS_MAX = 30, SECTOR = 512, PAGE = 4096 };

enum kind { FLIP, FLIPS, SECTOR_ZERO, SECTOR_NOISE, SWAP, CUT, WAL_FLIP, KINDS };
static const char *const kind_words[KINDS] = {
    "one bit", "ten bytes", "a sector of zeros", "a sector of noise", "two pages swapped",
    "cut short", "a bit of the WAL"};

struct image {
    char *db, *wal, *keys;
    size_t db_len, wal_len, keys_len;
};

// What became of the cases. Shared with the children.
struct score {
    uint64_t cases, flips, untouched, told, not_opened, not_opened_no_word;
    uint64_t rolled_back;    // of the WAL: turns that are gone, and nothing is left to tell it
    uint64_t silent;         // other than that: never
    uint64_t lost;           // turns that a damaged store took, and could not give back
    uint64_t wrong, crashed, hung;
    uint64_t sessions, unlike, quarantined, sent, refused;
    uint64_t of_kind[KINDS];
    uint64_t at;             // the case under way
};

struct harness {
    struct place place;
    struct truth *truth;     // shared
    struct score *score;     // shared
    struct image closed, open;
    uint64_t seed;
    bool control;
};

// ---- the template: as a closed engine leaves it, and as one that is killed does

static void copy_open(const struct place *p)
{
    static const char *const names[][2] = {
        {"db", "open-db"}, {"db-wal", "open-wal"}, {"parley.keys", "open-keys"}};
    char path[NAME_BYTES];
    for (unsigned i = 0; i < 3; i++) {
        size_t len;
        char *bytes = read_whole(place_path(p, names[i][0], path), &len);
        write_whole(place_path(p, names[i][1], path), bytes ? bytes : "", len);
        free(bytes);
    }
}

static char *take_file(const struct place *p, const char *name, size_t *len)
{
    char path[NAME_BYTES];
    return read_whole(place_path(p, name, path), len);
}

// In a child: threads do not outlive a fork.
static void prepare(struct harness *h)
{
    place_make_light(&h->place);
    h->truth = shared_memory(sizeof(*h->truth));
    h->score = shared_memory(sizeof(*h->score));
    pid_t child = fork();
    if (child == 0) {
        make_template(&h->place, h->truth, copy_open);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        give_up("the template could not be made");
    h->closed.db = take_file(&h->place, "db", &h->closed.db_len);
    h->closed.keys = take_file(&h->place, "parley.keys", &h->closed.keys_len);
    h->open.db = take_file(&h->place, "open-db", &h->open.db_len);
    h->open.wal = take_file(&h->place, "open-wal", &h->open.wal_len);
    if (h->closed.db_len < 2 * PAGE || !h->closed.keys || h->open.wal_len < PAGE)
        give_up("the template is not what it should be");
}

static void finish(struct harness *h)
{
    free(h->closed.db);
    free(h->closed.keys);
    free(h->open.db);
    free(h->open.wal);
    munmap(h->truth, sizeof(*h->truth));
    munmap(h->score, sizeof(*h->score));
    place_remove(&h->place);
}

// ---- damage

static void flip_bit(struct chance *c, char *bytes, size_t len)
{
    bytes[draw(c, len)] ^= (char)(1u << draw(c, 8));
}

static void swap_pages(struct chance *c, char *bytes, size_t len)
{
    char page[PAGE];
    char *a = bytes + draw(c, len / PAGE) * PAGE, *b = bytes + draw(c, len / PAGE) * PAGE;
    memcpy(page, a, PAGE);
    memmove(a, b, PAGE);
    memcpy(b, page, PAGE);
}

// Returns how many flips it counts for.
static unsigned damage_bytes(struct chance *c, enum kind kind, char *bytes, size_t *len)
{
    char *sector = bytes + draw(c, *len / SECTOR) * SECTOR;
    switch (kind) {
    case FLIP:
    case WAL_FLIP:
        flip_bit(c, bytes, *len);
        return 1;
    case FLIPS:
        for (unsigned i = 0; i < 10; i++)
            bytes[draw(c, *len)] = (char)draw(c, 256);
        return 10;
    case SECTOR_ZERO:
        memset(sector, 0, SECTOR);
        return 0;
    case SECTOR_NOISE:
        for (unsigned i = 0; i < SECTOR; i++)
            sector[i] = (char)draw(c, 256);
        return 0;
    case SWAP:
        swap_pages(c, bytes, *len);
        return 0;
    default:
        *len = draw(c, *len);
        return 0;
    }
}

static enum kind damage(struct harness *h, struct chance *c)
{
    static const enum kind mix[] = {FLIP, FLIP,  FLIP,        FLIP,         FLIPS, FLIPS,
                                    FLIPS, FLIPS, SECTOR_ZERO, SECTOR_NOISE, SWAP,  CUT,
                                    WAL_FLIP};
    enum kind kind = h->control ? FLIPS : mix[draw(c, sizeof(mix) / sizeof(mix[0]))];
    const struct image *from = kind == WAL_FLIP ? &h->open : &h->closed;
    char path[NAME_BYTES];
    size_t len = kind == WAL_FLIP ? from->wal_len : from->db_len;
    char *bytes = malloc(len);
    if (!bytes)
        give_up("out of memory");
    memcpy(bytes, kind == WAL_FLIP ? from->wal : from->db, len);
    h->score->flips += damage_bytes(c, kind, bytes, &len);
    place_clean(&h->place);
    if (kind == WAL_FLIP) {
        write_whole(place_path(&h->place, "db-wal", path), bytes, len);
        write_whole(place_path(&h->place, "db", path), from->db, from->db_len);
    } else {
        write_whole(place_path(&h->place, "db", path), bytes, len);
    }
    write_whole(place_path(&h->place, "parley.keys", path), h->closed.keys, h->closed.keys_len);
    free(bytes);
    return kind;
}

// ---- a case

static void judge(struct harness *h, enum kind kind, const struct look *l)
{
    struct score *s = h->score;
    unsigned unseen = 0;
    for (unsigned i = 0; i < SESSIONS; i++)
        unseen += !l->listed[i] || !l->whole[i];
    s->wrong += l->wrong;
    s->sessions += SESSIONS;
    s->unlike += unseen;
    s->quarantined += l->quarantined;
    s->sent += l->sent;
    s->refused += l->refused;
    s->lost += l->lost;
    bool told = l->problems != 0 || l->refused;
    if (told)
        s->told++;
    else if (!unseen)
        s->untouched++;
    else if (kind == WAL_FLIP)
        s->rolled_back++;
    else
        s->silent++;
    if (!told && unseen && kind != WAL_FLIP)
        fprintf(stderr, "case %llu (%s): %u sessions are not whole, and nothing says so\n",
                (unsigned long long)s->at, kind_words[kind], unseen);
    if (l->wrong && !h->control)
        fprintf(stderr, "case %llu (%s): %llu texts are wrong: %s\n", (unsigned long long)s->at,
                kind_words[kind], (unsigned long long)l->wrong, l->last);
}

static void one_case(struct harness *h)
{
    struct chance c = {h->seed * 1000003 + h->score->at};
    struct look l = {0};
    struct engine_wish wish = {.trace = look_at_request, .user = &l};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e = NULL;
    enum kind kind = damage(h, &c);
    h->score->cases++;
    h->score->of_kind[kind]++;
    if (place_open(&h->place, &wish, &e, &error) < 0) {
        h->score->not_opened++;
        h->score->not_opened_no_word += error.message[0] == '\0';
        return;
    }
    l.earlier = kind == WAL_FLIP;
    look_at_all(&l, e, h->truth);
    look_by_sending(&l, e, h->truth);
    parley_close(e);
    judge(h, kind, &l);
}

static void run_batch(struct harness *h, uint64_t end)
{
    seals_are_off = h->control;
    for (; h->score->at < end; h->score->at++) {
        alarm(CASE_SECONDS_MAX);
        one_case(h);
    }
    _exit(0);
}

static void run(struct harness *h, uint64_t flips_wanted)
{
    while (h->score->flips < flips_wanted) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            run_batch(h, h->score->at + BATCH);
        if (child < 0 || waitpid(child, &status, 0) != child)
            give_up("fork: %s", strerror(errno));
        if (status == 0)
            continue;
        bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
        h->score->hung += hung;
        h->score->crashed += !hung;
        fprintf(stderr, "case %llu: the process ended with status %d (seed %llu)\n",
                (unsigned long long)h->score->at, status, (unsigned long long)h->seed);
        h->score->at++;
        if (h->score->crashed + h->score->hung > 20)
            return;
    }
}

static void tell(const struct harness *h, const char *what)
{
    const struct score *s = h->score;
    summary("%s: %llu byte-flips in %llu cases: crashed %llu, hung %llu, wrong text %llu, "
            "loss that nothing tells %llu; untouched %llu, told %llu, not opened %llu (without a "
            "word %llu), WAL cut short unseen %llu; of %llu sessions %llu not whole, %llu "
            "quarantined; turns sent %llu, refused %llu, taken by a damaged page %llu (seed %llu)",
            what, (unsigned long long)s->flips, (unsigned long long)s->cases,
            (unsigned long long)s->crashed, (unsigned long long)s->hung,
            (unsigned long long)s->wrong, (unsigned long long)s->silent,
            (unsigned long long)s->untouched, (unsigned long long)s->told,
            (unsigned long long)s->not_opened, (unsigned long long)s->not_opened_no_word,
            (unsigned long long)s->rolled_back, (unsigned long long)s->sessions,
            (unsigned long long)s->unlike, (unsigned long long)s->quarantined,
            (unsigned long long)s->sent, (unsigned long long)s->refused,
            (unsigned long long)s->lost,
            (unsigned long long)h->seed);
}

// ---- the tests

static void test_flips__no_wrong_text_and_no_crash(void **state)
{
    (void)state;
    struct harness h = {.seed = fault_seed()};
    prepare(&h);
    run(&h, fault_long() ? 100000 : 1000);
    tell(&h, "damaged bytes");
    assert_int_equal(h.score->crashed, 0);
    assert_int_equal(h.score->hung, 0);
    assert_int_equal(h.score->wrong, 0);
    assert_int_equal(h.score->silent, 0);
    assert_int_equal(h.score->not_opened_no_word, 0);
    assert_true(h.score->untouched && h.score->told && h.score->sent);
    finish(&h);
}

// Without authentication the same damage shows texts that nobody wrote.
static void test_flips__control_seals_that_hold_nothing(void **state)
{
    (void)state;
    struct harness h = {.seed = fault_seed(), .control = true};
    prepare(&h);
    run(&h, fault_long() ? 5000 : 500);
    tell(&h, "control, seals that hold nothing");
    assert_true(h.score->wrong > 0);
    finish(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flips__no_wrong_text_and_no_crash),
        cmocka_unit_test(test_flips__control_seals_that_hold_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
