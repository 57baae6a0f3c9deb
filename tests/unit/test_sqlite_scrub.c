// SPDX-License-Identifier: MIT
// test_sqlite_scrub.c: unused bytes of pages are zeroed, all others stay; what is not as SQLite's
// file format has it is left as it is. On files in memory, made byte by byte, that can fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "store/sqlite_int.h"

enum { PAGE = 4096, LEAF = 13, INNER = 5, JUNK = 0xa5 };

struct file {
    sqlite3_file base;  // first
    unsigned char *bytes;
    sqlite3_int64 len, told;  // told: what it says its size is; 0: len
    int fail_size, fail_read, fail_write, fail_sync;  // the n-th call of each; 0: none
    int writes;
    unsigned char *piece;
};

static struct file *file_of(sqlite3_file *f)
{
    return (struct file *)(void *)f;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *out)
{
    *out = file_of(f)->told ? file_of(f)->told : file_of(f)->len;
    return file_of(f)->fail_size ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int file_read(sqlite3_file *f, void *out, int bytes, sqlite3_int64 at)
{
    if (file_of(f)->fail_read && --file_of(f)->fail_read == 0)
        return SQLITE_IOERR_READ;
    assert_true(at + bytes <= file_of(f)->len);
    memcpy(out, file_of(f)->bytes + at, (size_t)bytes);
    return SQLITE_OK;
}

static int file_write(sqlite3_file *f, const void *from, int bytes, sqlite3_int64 at)
{
    file_of(f)->writes++;
    if (file_of(f)->fail_write)
        return SQLITE_IOERR_WRITE;
    assert_true(at + bytes <= file_of(f)->len);
    memcpy(file_of(f)->bytes + at, from, (size_t)bytes);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *f, int flags)
{
    assert_int_equal(flags, SQLITE_SYNC_NORMAL);
    return file_of(f)->fail_sync ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 1, .xRead = file_read, .xWrite = file_write,
                                           .xSync = file_sync, .xFileSize = file_size};

static void put_two(unsigned char *at, unsigned n)
{
    at[0] = (unsigned char)(n >> 8);
    at[1] = (unsigned char)n;
}

// Pages of junk; the file's header says how long they are.
static void make(struct file *f, unsigned page_bytes, sqlite3_int64 len)
{
    *f = (struct file){.base.pMethods = &methods, .len = len};
    f->bytes = mem_alloc((size_t)len);
    f->piece = mem_alloc(SCRUB_PIECE_BYTES);
    assert_true(f->bytes && f->piece);
    memset(f->bytes, JUNK, (size_t)len);
    put_two(f->bytes + 16, page_bytes == 65536 ? 1 : page_bytes);
    f->bytes[20] = 0;
}

static void drop(struct file *f)
{
    mem_free(f->bytes);
    mem_free(f->piece);
}

// The header of a b-tree's page.
static void page_at(unsigned char *at, unsigned flag, unsigned block, unsigned cells,
                    unsigned start)
{
    at[0] = (unsigned char)flag;
    put_two(at + 1, block);
    put_two(at + 3, cells);
    put_two(at + 5, start);
}

static int scrub(struct file *f)
{
    f->writes = 0;
    return sqlite_scrub_file(&f->base, f->piece);
}

static void assert_bytes(const struct file *f, sqlite3_int64 from, sqlite3_int64 to, int want)
{
    for (sqlite3_int64 i = from; i < to; i++)
        if (f->bytes[i] != want)
            fail_msg("byte %lld is %02x, not %02x", (long long)i, f->bytes[i], (unsigned)want);
}

static void test_scrub__what_is_unused_is_zeroed(void **state)
{
    struct file f;

    (void)state;
    make(&f, PAGE, 3 * PAGE);
    page_at(f.bytes + 100, LEAF, 0, 2, 4000);
    unsigned char *inner = f.bytes + PAGE;
    page_at(inner, INNER, 3000, 3, 3000);  // two free blocks, of 100 and of 50 bytes
    put_two(inner + 3000, 3200);
    put_two(inner + 3002, 100);
    put_two(inner + 3200, 0);
    put_two(inner + 3202, 50);
    assert_int_equal(scrub(&f), SQLITE_OK);
    assert_int_equal(f.writes, 2);
    assert_bytes(&f, 100 + 8, 100 + 8 + 4, JUNK);  // where two cells are
    assert_bytes(&f, 100 + 8 + 4, 4000, 0);
    assert_bytes(&f, 4000, PAGE, JUNK);
    assert_bytes(&f, PAGE + 12, PAGE + 12 + 6, JUNK);
    assert_bytes(&f, PAGE + 12 + 6, PAGE + 3000, 0);
    assert_bytes(&f, PAGE + 3004, PAGE + 3100, 0);
    assert_bytes(&f, PAGE + 3100, PAGE + 3200, JUNK);
    assert_bytes(&f, PAGE + 3204, PAGE + 3250, 0);
    assert_bytes(&f, PAGE + 3250, 3 * PAGE, JUNK);  // the third page is no b-tree's
    assert_int_equal(scrub(&f), SQLITE_OK);
    assert_int_equal(f.writes, 0);  // there is nothing left to do
    drop(&f);
}

// The longest page there is says 0 of where its cells begin, and 1 of its length.
static void test_scrub__the_longest_page(void **state)
{
    struct file f;

    (void)state;
    make(&f, 65536, 65536);
    page_at(f.bytes + 100, LEAF, 0, 0, 0);
    assert_int_equal(scrub(&f), SQLITE_OK);
    assert_bytes(&f, 108, 65536, 0);
    drop(&f);
}

static void test_scrub__a_page_that_is_not_as_it_should_be(void **state)
{
    static const struct {
        unsigned block, cells, start, next, size;  // of the free block
        int zeroed;                                // bytes of it, after its header
    } odd[] = {
        {0, 0, PAGE + 1, 0, 0, -1},     {0, 2000, 3000, 0, 0, -1},  // cells that cannot be
        {3000, 0, 3000, 0, 3, 0},       {3000, 0, 3000, 0, 2000, 0},
        {3000, 0, 3000, 3010, 100, 96},                             // the next one is in this one
        {PAGE - 2, 0, 3000, 0, 0, 0},   {2000, 0, 3000, 0, 100, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        unsigned char *at;
        struct file f;

        make(&f, PAGE, 2 * PAGE);
        at = f.bytes + PAGE;
        page_at(at, LEAF, odd[i].block, odd[i].cells, odd[i].start);
        put_two(at + 3000, odd[i].next);
        put_two(at + 3002, odd[i].size);
        assert_int_equal(scrub(&f), SQLITE_OK);
        assert_int_equal(f.writes, odd[i].zeroed >= 0);
        assert_bytes(&f, PAGE + 8, PAGE + 3000, odd[i].zeroed < 0 ? JUNK : 0);
        assert_bytes(&f, PAGE + 3004, PAGE + 3004 + (odd[i].zeroed < 0 ? 0 : odd[i].zeroed), 0);
        assert_bytes(&f, PAGE + 3004 + (odd[i].zeroed < 0 ? 0 : odd[i].zeroed), 2 * PAGE, JUNK);
        drop(&f);
    }
}

static void test_scrub__a_file_that_is_none(void **state)
{
    struct file f;

    (void)state;
    make(&f, PAGE, PAGE);
    page_at(f.bytes + 100, LEAF, 0, 0, 4000);
    f.told = 511;  // too short to be one: there is nothing in it
    assert_int_equal(scrub(&f), SQLITE_OK);
    f.told = PAGE + 1;
    assert_int_equal(scrub(&f), SQLITE_CORRUPT);
    f.told = 0;
    put_two(f.bytes + 16, 256);
    assert_int_equal(scrub(&f), SQLITE_CORRUPT);
    put_two(f.bytes + 16, 3000);
    assert_int_equal(scrub(&f), SQLITE_CORRUPT);
    put_two(f.bytes + 16, 512);
    f.told = (sqlite3_int64)512 << 25;
    assert_int_equal(scrub(&f), SQLITE_TOOBIG);
    assert_int_equal(f.writes, 0);
    assert_bytes(&f, 108, PAGE, JUNK);
    drop(&f);
}

// Longer than a piece; and a disk that fails anywhere is told.
static void test_scrub__piece_by_piece(void **state)
{
    struct file f;

    (void)state;
    make(&f, PAGE, SCRUB_PIECE_BYTES + 2 * PAGE);
    page_at(f.bytes + SCRUB_PIECE_BYTES + PAGE, LEAF, 0, 0, 4000);
    f.fail_size = 1;
    assert_int_equal(scrub(&f), SQLITE_IOERR_FSTAT);
    f.fail_size = 0;
    for (int n = 1; n <= 3; n++) {  // the header, the first piece, the second
        f.fail_read = n;
        assert_int_equal(scrub(&f), SQLITE_IOERR_READ);
    }
    f.fail_read = 0;
    f.fail_write = 1;
    assert_int_equal(scrub(&f), SQLITE_IOERR_WRITE);
    f.fail_write = 0;
    f.fail_sync = 1;
    assert_int_equal(scrub(&f), SQLITE_IOERR_FSYNC);
    assert_bytes(&f, SCRUB_PIECE_BYTES + PAGE + 8, SCRUB_PIECE_BYTES + PAGE + 4000, 0);
    f.fail_sync = 0;
    assert_int_equal(scrub(&f), SQLITE_OK);
    drop(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_scrub__##name)
    static const struct CMUnitTest tests[] = {TEST(what_is_unused_is_zeroed),
                                              TEST(the_longest_page),
                                              TEST(a_page_that_is_not_as_it_should_be),
                                              TEST(a_file_that_is_none), TEST(piece_by_piece)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
