// SPDX-License-Identifier: MIT
// Files that appear whole or not at all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/newfile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[32], path[64], part[72], aside[64];
};

static int up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    strcpy(p->dir, "/tmp/parley-newfile-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/file", p->dir);
    snprintf(p->part, sizeof p->part, "%s.part", p->path);
    snprintf(p->aside, sizeof p->aside, "%s/aside", p->dir);
    *state = p;
    return 0;
}

static int down(void **state)
{
    struct place *p = *state;
    unlink(p->path);
    unlink(p->part);
    unlink(p->aside);
    assert_int_equal(rmdir(p->dir), 0);
    free(p);
    return 0;
}

static void add(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect(const char *path, const char *text)
{
    char bytes[64] = "";
    int fd = open(path, O_RDONLY);
    if (!text) {
        assert_true(fd < 0);
        return;
    }
    assert_true(fd >= 0);
    assert_true(read(fd, bytes, sizeof bytes - 1) >= 0);
    close(fd);
    assert_string_equal(bytes, text);
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    add(fd, text);
    close(fd);
}

static void test_newfile__appears_when_published(void **state)
{
    struct place *p = *state;
    struct newfile f;
    struct stat st;
    mode_t before = umask(0);
    assert_int_equal(newfile_make(&f, p->path, false, NULL), E_OK);
    umask(before);
    add(f.fd, "new");
    expect(p->path, NULL);
    assert_int_equal(newfile_publish(&f, NULL), E_OK);
    newfile_drop(&f);
    expect(p->path, "new");
    expect(p->part, NULL);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_newfile__dropped_is_gone(void **state)
{
    struct place *p = *state;
    struct newfile f;
    put(p->path, "old");
    assert_int_equal(newfile_make(&f, p->path, true, NULL), E_OK);
    add(f.fd, "new");
    newfile_drop(&f);
    expect(p->path, "old");
    expect(p->part, NULL);
}

static void test_newfile__replaces_only_when_told(void **state)
{
    struct place *p = *state;
    struct newfile f;
    struct err err = ERR_INIT;
    put(p->path, "old");
    assert_int_equal(newfile_make(&f, p->path, false, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "is there already"));
    expect(p->part, NULL);
    assert_int_equal(newfile_make(&f, p->path, true, NULL), E_OK);
    add(f.fd, "new");
    assert_int_equal(newfile_publish(&f, NULL), E_OK);
    newfile_drop(&f);
    expect(p->path, "new");
}

static void test_newfile__one_that_came_meanwhile_stays(void **state)
{
    struct place *p = *state;
    struct newfile f;
    assert_int_equal(newfile_make(&f, p->path, false, NULL), E_OK);
    add(f.fd, "new");
    put(p->path, "other");
    assert_int_equal(newfile_publish(&f, NULL), E_REFUSED);
    newfile_drop(&f);
    expect(p->path, "other");
    expect(p->part, NULL);
}

static void test_newfile__one_at_a_time(void **state)
{
    struct place *p = *state;
    struct newfile f, g;
    struct err err = ERR_INIT;
    assert_int_equal(newfile_make(&f, p->path, false, NULL), E_OK);
    add(f.fd, "first");
    assert_int_equal(newfile_make(&g, p->path, false, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "another process"));
    assert_int_equal(newfile_publish(&f, NULL), E_OK);
    newfile_drop(&f);
    expect(p->path, "first");
}

static void test_newfile__takes_over_what_a_crash_left(void **state)
{
    struct place *p = *state;
    struct newfile f;
    put(p->part, "half of a longer file");
    assert_int_equal(newfile_make(&f, p->path, false, NULL), E_OK);
    add(f.fd, "new");
    assert_int_equal(newfile_publish(&f, NULL), E_OK);
    newfile_drop(&f);
    expect(p->path, "new");
}

static void test_newfile__swaps(void **state)
{
    struct place *p = *state;
    struct newfile f;
    put(p->path, "old");
    assert_int_equal(newfile_make(&f, p->path, true, NULL), E_OK);
    add(f.fd, "new");
    assert_int_equal(newfile_swap(&f, p->aside, NULL), E_OK);
    newfile_drop(&f);
    expect(p->path, "new");
    expect(p->aside, "old");
    expect(p->part, NULL);
}

static void test_newfile__swap_needs_both_names(void **state)
{
    struct place *p = *state;
    struct newfile f;
    put(p->aside, "somebody's");
    put(p->path, "old");
    assert_int_equal(newfile_make(&f, p->path, true, NULL), E_OK);
    assert_true(newfile_swap(&f, p->aside, NULL) < 0);
    newfile_drop(&f);
    expect(p->aside, "somebody's");
    unlink(p->aside);
    unlink(p->path);
    assert_int_equal(newfile_make(&f, p->path, true, NULL), E_OK);
    assert_int_equal(newfile_swap(&f, p->aside, NULL), E_STORE);
    newfile_drop(&f);
    expect(p->aside, NULL);
    expect(p->path, NULL);
    expect(p->part, NULL);
}

static void test_newfile__names_what_is_wrong(void **state)
{
    struct place *p = *state;
    struct newfile f;
    struct err err = ERR_INIT;
    assert_int_equal(newfile_make(&f, p->dir, true, &err), E_USAGE);
    assert_non_null(strstr(err.message, "is a folder"));
    assert_int_equal(newfile_make(&f, "/tmp/parley-no-such-folder/x", false, &err), E_USAGE);
    assert_non_null(strstr(err.message, "a folder that exists"));
    assert_int_equal(newfile_make(&f, "/proc/parley-new", false, &err), E_USAGE);
    // A link that waits under the name of the part is not followed.
    assert_int_equal(symlink(p->aside, p->part), 0);
    assert_int_equal(newfile_make(&f, p->path, false, &err), E_USAGE);
    expect(p->aside, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_newfile__##name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(appears_when_published), TEST(dropped_is_gone), TEST(replaces_only_when_told),
        TEST(one_that_came_meanwhile_stays), TEST(one_at_a_time),
        TEST(takes_over_what_a_crash_left), TEST(swaps), TEST(swap_needs_both_names),
        TEST(names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
