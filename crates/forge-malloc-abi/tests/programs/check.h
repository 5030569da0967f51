/* What every test program of this directory shares: checks that end the process, numbers from a seed, and patterns. */
#ifndef CHECK_H
#define CHECK_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(2, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);           \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Ends the process unless `malloc` is that of the shared object. */
static inline void check_preloaded(void) {
    Dl_info info;
    void *own = dlsym(RTLD_DEFAULT, "malloc");
    CHECK(own && dladdr(own, &info) && strstr(info.dli_fname, "libforge_malloc"));
    own = dlsym(RTLD_DEFAULT, "free");
    CHECK(own && dladdr(own, &info) && strstr(info.dli_fname, "libforge_malloc"));
}

static inline uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Mostly small sizes, some of pages, few of megabytes; at least 16 bytes. */
static inline size_t some_size(uint64_t *state) {
    uint64_t kind = next(state) % 1000;
    if (kind < 900) return 16 + next(state) % 500;
    if (kind < 990) return 16 + next(state) % 16384;
    if (kind < 999) return 16 + next(state) % (256 << 10);
    return 16 + next(state) % (3 << 20);
}

/* A block begins with its size and a seed; all bytes after them follow from the seed. */
struct block {
    uint64_t size, seed;
    unsigned char bytes[];
};

static inline void fill_from(struct block *block, size_t from) {
    uint64_t word = block->seed * 0x9E3779B97F4A7C15u;
    for (size_t at = from; at < block->size - sizeof *block; at++) {
        block->bytes[at] = (unsigned char)((word >> (at % 8 * 8)) + at);
    }
}

static inline void fill(struct block *block, size_t size, uint64_t seed) {
    block->size = size;
    block->seed = seed;
    fill_from(block, 0);
}

static inline void verify_until(const struct block *block, size_t size) {
    uint64_t word = block->seed * 0x9E3779B97F4A7C15u;
    for (size_t at = 0; at < size - sizeof *block; at++) {
        CHECK(block->bytes[at] == (unsigned char)((word >> (at % 8 * 8)) + at));
    }
}

static inline void verify(const struct block *block) {
    CHECK(malloc_usable_size((void *)block) >= block->size);
    verify_until(block, block->size);
}

/* The resident set in KiB. */
static inline long resident(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;
    CHECK(file && fscanf(file, "%ld %ld", &size, &pages) == 2);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}
#endif
