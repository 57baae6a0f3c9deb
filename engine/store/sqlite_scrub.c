// SPDX-License-Identifier: MIT
// sqlite_scrub.c: what SQLite leaves in its pages is zeroed; see sqlite_int.h.
//
// secure_delete zeroes cells that are deleted, and pages that become free. But when b-tree pages
// are split or merged, cells are copied from one to another, and the copies that nobody needs any
// more stay in the unused stretch between a page's cell pointers and its cells (measured: the id of
// a session that was erased, in one of five small stores). SQLite never reads those bytes; here
// they are zeroed in the file, through SQLite's own handle of it, so that no lock is lost.
//
// What makes that safe: the WAL is empty, and our transaction keeps others from adding to it, so
// the file is all there is, and nobody writes to it. Caches still have the pages as they were: the
// commit that follows makes other connections drop theirs, and this one is opened anew.
// A page, by SQLite's file format: flag 1, first free block 2, cells 2, start of the cells 2 (0:
// 65536), fragments 1, and in inner pages the last child 4; then 2 for each cell. Free blocks: next
// 2, size 2.
#include "store/sqlite_int.h"

#include "base/mem.h"

enum {
    PAGE_BYTES_MIN = 512,
    FILE_HEADER_BYTES = 100,
    PAGE_SIZE_AT = 16,
    RESERVED_AT = 20,
    LEAF_HEADER = 8,
    INNER_HEADER = 12,
    // The first byte of a page that is no b-tree's is that of a page number, and 0 while there are
    // no more pages than this (128 GiB of 4 KiB each).
    PAGES_MAX = (1 << 25) - 1,
};

static unsigned two(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static bool zero(unsigned char *page, unsigned from, unsigned to)
{
    bool any = false;
    for (unsigned i = from; i < to; i++) {
        any |= page[i] != 0;
        page[i] = 0;
    }
    return any;
}

// Zeroes what is unused in a page of `usable` bytes whose header is at `at`. Whether anything was
// there. One that is not as it should be is left as it is: the check tells of it.
static bool scrub_page(unsigned char *page, unsigned at, unsigned usable)
{
    unsigned char flag = page[at];
    if (flag != 2 && flag != 5 && flag != 10 && flag != 13)
        return false;
    unsigned cells = at + (flag < 10 ? INNER_HEADER : LEAF_HEADER) + 2 * two(page + at + 3);
    unsigned start = two(page + at + 5), block = two(page + at + 1);
    start = start ? start : 65536;
    if (start > usable || cells > start)
        return false;
    bool any = zero(page, cells, start);
    while (block >= start && block + 4 <= usable) {
        unsigned next = two(page + block), size = two(page + block + 2);
        if (size < 4 || block + size > usable)
            break;
        any |= zero(page, block + 4, block + size);
        if (next && next < block + size)
            break;
        block = next;
    }
    return any;
}

// One piece of the file, of whole pages.
static int scrub_piece(sqlite3_file *file, unsigned char *piece, int64_t offset, int bytes,
                       unsigned page_bytes, unsigned usable)
{
    int rc = file->pMethods->xRead(file, piece, bytes, offset);
    for (int at = 0; rc == SQLITE_OK && at < bytes; at += (int)page_bytes) {
        unsigned header = offset + at == 0 ? FILE_HEADER_BYTES : 0;
        if (scrub_page(piece + at, header, usable))
            rc = file->pMethods->xWrite(file, piece + at, (int)page_bytes, offset + at);
    }
    return rc;
}

int sqlite_scrub_file(sqlite3_file *file, unsigned char *piece)
{
    sqlite3_int64 size = 0;
    int rc = file->pMethods->xFileSize(file, &size);
    if (rc == SQLITE_OK && size >= PAGE_BYTES_MIN)
        rc = file->pMethods->xRead(file, piece, FILE_HEADER_BYTES, 0);
    if (rc != SQLITE_OK || size < PAGE_BYTES_MIN)
        return rc;
    unsigned page_bytes = two(piece + PAGE_SIZE_AT), reserved = piece[RESERVED_AT];
    page_bytes = page_bytes == 1 ? 65536 : page_bytes;
    if (page_bytes < PAGE_BYTES_MIN || SCRUB_PIECE_BYTES % page_bytes || size % page_bytes)
        return SQLITE_CORRUPT;
    if (size / page_bytes > PAGES_MAX)
        return SQLITE_TOOBIG;
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += SCRUB_PIECE_BYTES) {
        sqlite3_int64 left = size - at;
        int bytes = left < SCRUB_PIECE_BYTES ? (int)left : SCRUB_PIECE_BYTES;
        rc = scrub_piece(file, piece, at, bytes, page_bytes, page_bytes - reserved);
    }
    return rc == SQLITE_OK ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : rc;
}

// Other programs do not know our lock: one may have written since the WAL was emptied.
static int expect_no_wal(sqlite3 *db)
{
    sqlite3_file *wal = NULL;
    sqlite3_int64 size = 0;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (rc == SQLITE_OK && wal && wal->pMethods)
        rc = wal->pMethods->xFileSize(wal, &size);
    return rc == SQLITE_OK && size ? SQLITE_BUSY : rc;
}

int sqlite_scrub(struct sqlite_conn *c)
{
    sqlite3_file *file = NULL;
    unsigned char *piece = mem_alloc(SCRUB_PIECE_BYTES);
    if (!piece)
        return SQLITE_NOMEM;
    int rc = conn_run(c, SQL_BEGIN_WRITE);
    if (rc == SQLITE_OK)
        rc = expect_no_wal(c->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (rc == SQLITE_OK && (!file || !file->pMethods))
        rc = SQLITE_IOERR;
    if (rc == SQLITE_OK)
        rc = sqlite_scrub_file(file, piece);
    if (rc == SQLITE_OK)
        rc = conn_run(c, SQL_MEND);
    if (rc == SQLITE_OK)
        rc = conn_run(c, SQL_COMMIT);
    mem_free(piece);
    return rc;
}
