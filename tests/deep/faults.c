// SPDX-License-Identifier: MIT
// faults.c: what the tools must find: a race, a block that nobody frees, a byte that nobody wrote.
// Built by test_controls.sh.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void *add(void *arg)
{
    for (int i = 0; i < 1000; i++)
        shared++;
    return arg;
}

static void race(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, add, NULL);
    add(NULL);
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "race") == 0)
        race();
    if (strcmp(what, "leak") == 0) {
        char *volatile lost = malloc(4711);
        lost = NULL;
        (void)lost;
    }
    if (strcmp(what, "unwritten") == 0) {
        char *block = malloc(16);
        printf("# %s\n", block[argc] ? "one" : "none");
        free(block);
    }
    printf("1..1\nok 1 - %s\n", what);
    return 0;
}
