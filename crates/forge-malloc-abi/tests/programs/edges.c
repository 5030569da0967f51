/* Every function of the interface in every case that its documentation names. */
#include "check.h"

/* Functions that the C library of the build may not export. */
static void (*free_old)(void *);
static void (*free_sized_)(void *, size_t);
static void (*free_aligned_sized_)(void *, size_t, size_t);
extern void *__libc_malloc(size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static void find_functions(void) {
    free_old = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
    free_sized_ = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    free_aligned_sized_ = (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    CHECK(free_old && free_sized_ && free_aligned_sized_);
}

#define ALIGNED(block, align) (((uintptr_t)(block) & ((align) - 1)) == 0)

/* The compiler must not know the sizes. */
static volatile size_t max = SIZE_MAX, large = (size_t)1 << 32;

static void keeps_errno(void) {
    size_t sizes[] = {0, 1, 8, 100, 5000, 40000, 300000, 2 << 20, 100 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 77;
        void *block = malloc(sizes[i]);
        CHECK(block && errno == 77);
        block = realloc(block, sizes[i] + 1000);
        CHECK(block && errno == 77);
        free(block);
        CHECK(errno == 77);
        block = calloc(1, sizes[i]);
        CHECK(block && errno == 77);
        free(block);
        block = aligned_alloc(4096, sizes[i]);
        CHECK(block && errno == 77);
        free(block);
        CHECK(errno == 77);
    }
    malloc_trim(0);
    CHECK(errno == 77);
}

static void sizes_of_nothing(void) {
    void *first = malloc(0), *second = malloc(0);
    CHECK(first && second && first != second);
    void *third = calloc(0, 5), *fourth = calloc(5, 0), *fifth = realloc(NULL, 0);
    CHECK(third && fourth && fifth && third != fourth);
    errno = 77;
    CHECK(realloc(first, 0) == NULL && errno == 77);
    CHECK(reallocarray(second, 0, 8) == NULL && errno == 77);
    free(third);
    free(fourth);
    free(fifth);
    void *place = NULL;
    CHECK(posix_memalign(&place, 64, 0) == 0 && place && ALIGNED(place, 64));
    free(place);
    place = aligned_alloc(64, 0);
    CHECK(place && ALIGNED(place, 64));
    free(place);
    place = pvalloc(0);
    CHECK(place && malloc_usable_size(place) >= (size_t)sysconf(_SC_PAGESIZE));
    free(place);
    free(NULL);
    free_old(NULL);
    free_sized_(NULL, 3);
    free_aligned_sized_(NULL, 16, 3);
    CHECK(malloc_usable_size(NULL) == 0);
}

#define FAILS(expression, code)                                                                    \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK((expression) == NULL && errno == (code));                                            \
    } while (0)

static void too_much(void) {
    for (size_t below = 0; below < 4200; below++) {
        FAILS(malloc(max - below), ENOMEM);
        FAILS(memalign(64, max - below), ENOMEM);
    }
    size_t half = (size_t)PTRDIFF_MAX;
    size_t sizes[] = {half + 1, half, half - 1, half - 16, max - 4095, max / 2 + 2};
    void *kept = malloc(100);
    memset(kept, 7, 100);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        FAILS(malloc(sizes[i]), ENOMEM);
        FAILS(calloc(sizes[i], 1), ENOMEM);
        FAILS(calloc(1, sizes[i]), ENOMEM);
        FAILS(realloc(kept, sizes[i]), ENOMEM);
        FAILS(realloc(NULL, sizes[i]), ENOMEM);
        FAILS(valloc(sizes[i]), ENOMEM);
        FAILS(pvalloc(sizes[i]), ENOMEM);
        FAILS(aligned_alloc(16, sizes[i]), ENOMEM);
        void *place = (void *)5;
        errno = 77;
        CHECK(posix_memalign(&place, 16, sizes[i]) == ENOMEM && place == (void *)5 && errno == 77);
    }
    FAILS(calloc(max / 2, 3), ENOMEM);
    FAILS(calloc(max / 16 + 1, 16), ENOMEM);
    FAILS(calloc(large, large), ENOMEM);
    FAILS(reallocarray(kept, max / 2, 3), ENOMEM);
    FAILS(reallocarray(kept, large, large), ENOMEM);
    FAILS(reallocarray(NULL, max, 2), ENOMEM);
    for (int i = 0; i < 100; i++) CHECK(((char *)kept)[i] == 7);
    free(kept);
}

static void alignments(void) {
    size_t wrong[] = {0, 3, 5, 12, 24, 100, 4095, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        void *place = (void *)5;
        errno = 77;
        CHECK(posix_memalign(&place, wrong[i], 12) == EINVAL && place == (void *)5 && errno == 77);
        FAILS(aligned_alloc(wrong[i], 12), EINVAL);
        FAILS(memalign(wrong[i], 12), EINVAL);
    }
    void *place = (void *)5;
    CHECK(posix_memalign(&place, 2, 8) == EINVAL && posix_memalign(&place, 4, 8) == EINVAL);
    /* No multiple of the alignment: C11 forbade it, and no system does. */
    place = aligned_alloc(64, 100);
    CHECK(place && ALIGNED(place, 64) && malloc_usable_size(place) >= 100);
    free_aligned_sized_(place, 64, 100);
    for (int shift = 0; shift <= 30; shift++) {
        size_t align = (size_t)1 << shift;
        size_t sizes[] = {1, 8, 24, 100, 1000, 5000, 70000, 1 << 20, (1 << 20) + 1};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            void *blocks[3] = {memalign(align, sizes[i]), aligned_alloc(align, sizes[i]), NULL};
            CHECK(posix_memalign(&blocks[2], align < 8 ? 8 : align, sizes[i]) == 0);
            for (int j = 0; j < 3; j++) {
                CHECK(blocks[j] && ALIGNED(blocks[j], align) && ALIGNED(blocks[j], 16));
                memset(blocks[j], j, sizes[i]);
            }
            for (int j = 0; j < 3; j++) {
                CHECK(((char *)blocks[j])[0] == j && ((char *)blocks[j])[sizes[i] - 1] == j);
                /* A block keeps its bytes and loses its alignment. */
                blocks[j] = realloc(blocks[j], sizes[i] + 1);
                CHECK(blocks[j] && ((char *)blocks[j])[sizes[i] - 1] == j);
                free(blocks[j]);
            }
        }
    }
    FAILS(memalign((size_t)1 << 62, 8), ENOMEM);
    FAILS(aligned_alloc((size_t)1 << 63, 8), ENOMEM);
    CHECK(posix_memalign(&place, (size_t)1 << 63, 8) == ENOMEM);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 3 * page; size += 511) {
        void *first = valloc(size), *second = pvalloc(size);
        CHECK(ALIGNED(first, page) && ALIGNED(second, page));
        CHECK(malloc_usable_size(second) >= (size + page - 1) / page * page);
        free(first);
        free_old(second);
    }
    for (size_t size = 0; size < 5000; size++) {
        void *block = malloc(size);
        CHECK(ALIGNED(block, 16));
        free_sized_(block, size);
    }
}

static void contents(void) {
    for (size_t size = 1; size < 6 << 20; size = size * 3 / 2 + 1) {
        for (int round = 0; round < 3; round++) {
            unsigned char *block = calloc(1, size);
            for (size_t i = 0; i < size; i++) CHECK(block[i] == 0);
            size_t usable = malloc_usable_size(block);
            CHECK(usable >= size);
            memset(block, 0xA5, usable);
            CHECK(malloc_usable_size(block) == usable);
            size_t other = round == 0 ? size / 2 + 1 : round == 1 ? size * 2 : size * 7;
            block = realloc(block, other);
            size_t kept = other < usable ? other : usable;
            for (size_t i = 0; i < kept; i++) CHECK(block[i] == 0xA5);
            memset(block, 0x5A, malloc_usable_size(block));
            free(block);
        }
    }
    /* One buffer that grows by little, and one that shrinks. */
    size_t size = 1;
    unsigned char *block = malloc(1);
    block[0] = 1;
    while (size < 3 << 20) {
        size_t larger = size + size / 9 + 1;
        block = reallocarray(block, 1, larger);
        CHECK(block && block[size - 1] == (unsigned char)size);
        size = larger;
        block[size - 1] = (unsigned char)size;
    }
    while (size > 1) {
        size -= size / 7 + 1;
        if (size == 0) break;
        block[size - 1] = (unsigned char)size;
        block = realloc(block, size);
        CHECK(block && block[size - 1] == (unsigned char)size);
    }
    free(block);
}

static void the_rest(void) {
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1 && mallopt(M_TRIM_THRESHOLD, 1) == 1);
    CHECK(mallopt(M_PERTURB, 1) == 0 && mallopt(12345, 1) == 0);
    struct mallinfo2 before = mallinfo2();
    void *block = malloc(50 << 20);
    memset(block, 1, 50 << 20);
    struct mallinfo2 during = mallinfo2();
    CHECK(during.uordblks >= before.uordblks + (50 << 20) && during.arena >= during.uordblks);
    free(block);
    CHECK(malloc_trim(0) == 1);
    struct mallinfo2 after = mallinfo2();
    CHECK(after.uordblks < during.uordblks && after.arena < during.arena && after.keepcost < 1 << 20);
    block = __libc_malloc(10);
    CHECK(block);
    free(block);
    block = __libc_memalign(64, 10);
    CHECK(ALIGNED(block, 64));
    __libc_free(block);
    char *text = NULL;
    CHECK(asprintf(&text, "%d", 12345) == 5 && strcmp(text, "12345") == 0);
    free(text);
    text = strdup("twelve");
    CHECK(malloc_usable_size(text) >= 7);
    free(text);
}

int main(void) {
    check_preloaded();
    find_functions();
    keeps_errno();
    sizes_of_nothing();
    too_much();
    alignments();
    contents();
    the_rest();
    return 0;
}
