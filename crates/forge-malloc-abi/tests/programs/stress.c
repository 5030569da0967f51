/* Threads, forks, signals and limits. The first argument names what is run, the second multiplies it. */
#include "check.h"
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static int times = 1;
static char *self;
extern char **environ;

static void start(pthread_t *threads, int count, void *(*run)(void *)) {
    for (long i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, run, (void *)(i + 1)) == 0);
}

static void join(pthread_t *threads, int count) {
    for (int i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* What is live is a handful of blocks of the C library once everything was freed. */
static void check_nothing_lost(void) {
    malloc_trim(0);
    CHECK(mallinfo2().uordblks < 1 << 20);
}

/* ---- bytes: every byte of every block, whoever frees it ---- */

#define THREADS 64
#define HELD 100
#define MAILBOXES 256

static struct block *_Atomic mailboxes[MAILBOXES];
/* Blocks that are live when their thread ends. */
static struct block *left[THREADS][HELD];

static struct block *make(uint64_t *state) {
    size_t size = some_size(state);
    struct block *block = NULL;
    switch (next(state) % 8) {
    case 0:
        block = calloc(1, size);
        CHECK(block);
        for (size_t i = 0; i < size; i++) CHECK(((unsigned char *)block)[i] == 0);
        break;
    case 1: {
        size_t align = (size_t)16 << next(state) % 9;
        CHECK(posix_memalign((void **)&block, align, size) == 0 && (uintptr_t)block % align == 0);
        break;
    }
    default: block = malloc(size);
    }
    CHECK(block && (uintptr_t)block % 16 == 0);
    fill(block, size, next(state));
    return block;
}

static struct block *change(struct block *block, uint64_t *state) {
    size_t size = some_size(state), old = block->size;
    verify(block);
    block = realloc(block, size);
    CHECK(block);
    verify_until(block, size < old ? size : old);
    block->size = size;
    if (size > old) fill_from(block, old - sizeof *block);
    return block;
}

static void *verify_bytes(void *argument) {
    long number = (long)argument;
    uint64_t state = 0x1234567u * (uint64_t)number;
    struct block **held = left[number - 1];
    for (long step = 0; step < 4000L * times; step++) {
        struct block **place = &held[next(&state) % HELD];
        if (!*place) {
            *place = make(&state);
            continue;
        }
        switch (next(&state) % 4) {
        case 0: *place = change(*place, &state); break;
        case 1: {
            /* Whoever finds it frees it. */
            struct block *other = __atomic_exchange_n(&mailboxes[next(&state) % MAILBOXES], *place, __ATOMIC_ACQ_REL);
            *place = NULL;
            if (other) {
                verify(other);
                free(other);
            }
            break;
        }
        default:
            verify(*place);
            free(*place);
            *place = NULL;
        }
    }
    return NULL;
}

static void bytes(void) {
    pthread_t threads[THREADS];
    start(threads, THREADS, verify_bytes);
    join(threads, THREADS);
    for (int i = 0; i < THREADS; i++) {
        for (int j = 0; j < HELD; j++) {
            if (left[i][j]) {
                verify(left[i][j]);
                free(left[i][j]);
            }
        }
    }
    for (int i = 0; i < MAILBOXES; i++) {
        if (mailboxes[i]) {
            verify(mailboxes[i]);
            free(mailboxes[i]);
        }
    }
    check_nothing_lost();
}

/* ---- churn in the background ---- */

static _Atomic int stop;

static void *churn(void *argument) {
    uint64_t state = 0x9876543u * (uint64_t)(long)argument;
    struct block *held[32] = {0};
    while (!stop) {
        struct block **place = &held[next(&state) % 32];
        if (*place) {
            verify(*place);
            free(*place);
            *place = NULL;
        } else {
            *place = make(&state);
        }
    }
    for (int i = 0; i < 32; i++) free(held[i]);
    return NULL;
}

/* ---- forks: the child may allocate at once ---- */

static void *of_a_child(void *argument) {
    void *block = malloc(100);
    memset(block, 1, 100);
    free(block);
    return argument;
}

static void child(struct block **others, int depth) {
    uint64_t state = 99 + (uint64_t)depth;
    struct block *held[64];
    for (int i = 0; i < 64; i++) held[i] = make(&state);
    /* Blocks of a thread that is not here. */
    for (int i = 0; i < 64; i++) {
        verify(others[i]);
        free(others[i]);
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, of_a_child, NULL) == 0 && pthread_join(thread, NULL) == 0);
    if (depth == 0) {
        pid_t process = fork();
        CHECK(process >= 0);
        if (process == 0) {
            for (int i = 0; i < 64; i++) free(held[i]);
            _exit(0);
        }
        int status = 1;
        CHECK(waitpid(process, &status, 0) == process && status == 0);
    }
    for (int i = 0; i < 64; i++) {
        verify(held[i]);
        free(held[i]);
    }
    _exit(0);
}

static struct block *of_another[64];

static void *make_for_another(void *argument) {
    uint64_t state = 5;
    for (int i = 0; i < 64; i++) of_another[i] = make(&state);
    return argument;
}

static void forks(void) {
    pthread_t threads[4], other;
    start(&other, 1, make_for_another);
    join(&other, 1);
    start(threads, 4, churn);
    for (int i = 0; i < 40 * times; i++) {
        pid_t process = fork();
        CHECK(process >= 0);
        if (process == 0) {
            alarm(30);
            child(of_another, i % 8);
        }
        int status = 1;
        CHECK(waitpid(process, &status, 0) == process);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stop = 1;
    join(threads, 4);
    for (int i = 0; i < 64; i++) free(of_another[i]);
    check_nothing_lost();
}

/* ---- signals: handlers interrupt every instruction ---- */

static _Atomic long handled;
static _Thread_local volatile long own_handled;

static void handler(int signal) {
    int saved = errno;
    own_handled++;
    handled++;
    errno = saved;
    (void)signal;
}

static void signals(void) {
    pthread_t threads[4];
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    start(threads, 4, churn);
    for (int i = 0; i < 20000 * times; i++) {
        CHECK(pthread_kill(threads[i % 4], SIGUSR1) == 0);
        if (i % 4 == 3) usleep(50);
    }
    stop = 1;
    join(threads, 4);
    CHECK(handled > 1000);
    check_nothing_lost();
}

/* ---- handlers that allocate, resize and free, whatever they interrupt ---- */

static void exchange(uint64_t *state) {
    struct block **shelf = (struct block **)mailboxes;
    struct block *other = __atomic_exchange_n(&shelf[next(state) % MAILBOXES], NULL, __ATOMIC_ACQ_REL);
    if (other) {
        if (next(state) % 2) other = change(other, state);
        verify(other);
        free(other);
    }
    other = __atomic_exchange_n(&shelf[next(state) % MAILBOXES], make(state), __ATOMIC_ACQ_REL);
    if (other) {
        verify(other);
        CHECK(malloc_usable_size(other) >= other->size);
        free(other);
    }
}

static void allocating(int signal) {
    int saved = errno;
    uint64_t state = ((uint64_t)++handled << 20) + 77;
    exchange(&state);
    errno = saved;
    (void)signal;
}

static void *exchange_until_stopped(void *argument) {
    uint64_t state = 0x3456789u * (uint64_t)(long)argument;
    while (!stop) {
        exchange(&state);
        if (next(&state) % 64 == 0) {
            void *many[300];
            size_t size = 1 + next(&state) % 700;
            for (int i = 0; i < 300; i++) CHECK(many[i] = malloc(size));
            for (int i = 0; i < 300; i++) free(many[i]);
        }
    }
    return NULL;
}

static void handlers(void) {
    pthread_t threads[2];
    struct sigaction action = {.sa_handler = allocating, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    /* A program that waits for itself ends here. */
    alarm(60 + 20 * (unsigned)times);
    start(threads, 2, exchange_until_stopped);
    for (int i = 0; handled < 10000L * times; i++) {
        CHECK(pthread_kill(threads[i % 2], i % 3 ? SIGUSR1 : SIGUSR2) == 0);
        if (i % 8 == 7) usleep(20);
    }
    stop = 1;
    join(threads, 2);
    for (int i = 0; i < MAILBOXES; i++) free(mailboxes[i]);
    check_nothing_lost();
}

/* ---- threads that live shortly ---- */

#define AT_ONCE 50
static void *handed[AT_ONCE][20];

static void *live_shortly(void *argument) {
    long number = (long)argument - 1;
    void *held[40];
    for (int i = 0; i < 40; i++) {
        held[i] = malloc((size_t)(i * 37 % 900 + 1));
        memset(held[i], i, (size_t)(i * 37 % 900 + 1));
    }
    for (int i = 0; i < 20; i++) {
        free(held[i]);
        handed[number][i] = held[20 + i];
    }
    return NULL;
}

static void threads(void) {
    long early = 0;
    for (int round = 0; round < 200 * times; round++) {
        pthread_t living[AT_ONCE];
        start(living, AT_ONCE, live_shortly);
        join(living, AT_ONCE);
        for (int i = 0; i < AT_ONCE; i++) {
            for (int j = 0; j < 20; j++) {
                CHECK(*(unsigned char *)handed[i][j] == 20 + j);
                free(handed[i][j]);
            }
        }
        if (round == 40 * times) early = resident();
    }
    CHECK(resident() <= early + early / 20 + 1024);
    check_nothing_lost();
}

/* ---- destructors that allocate ---- */

static pthread_key_t keys[40];
static _Atomic long destroyed;

static void destroy(void *value) {
    long round = *(long *)value;
    free(value);
    void *more = malloc(3000);
    CHECK(more);
    memset(more, 1, 3000);
    free(more);
    destroyed++;
    if (round > 1) {
        long *again = malloc(sizeof *again);
        *again = round - 1;
        /* Any key: those with higher numbers make the C library allocate. */
        pthread_setspecific(keys[39], again);
    }
}

static void *with_destructors(void *argument) {
    for (int i = 0; i < 40; i++) {
        long *value = malloc(sizeof *value);
        *value = i == 39 ? 4 : 1;
        CHECK(pthread_setspecific(keys[i], value) == 0);
    }
    return argument;
}

static void destructors(void) {
    /* Half of the keys are older than the one of the allocator would be if nothing had been allocated yet. */
    for (int i = 0; i < 40; i++) CHECK(pthread_key_create(&keys[i], destroy) == 0);
    for (int round = 0; round < 50 * times; round++) {
        pthread_t living[8];
        start(living, 8, with_destructors);
        join(living, 8);
    }
    CHECK(destroyed >= 50L * times * 8 * 40);
    check_nothing_lost();
}

/* ---- little address space ---- */

static size_t fill_up(size_t size) {
    size_t total = 0;
    void **chain = NULL;
    for (;;) {
        errno = 0;
        void **block = malloc(size);
        if (!block) {
            CHECK(errno == ENOMEM);
            break;
        }
        memset(block, 1, size);
        *block = chain;
        chain = block;
        total += size;
    }
    while (chain) {
        void **block = *chain;
        free(chain);
        chain = block;
    }
    return total;
}

static void limited(void) {
    size_t sizes[] = {16, 100, 1000, 5000, 40000, 300000, 2 << 20, 5000, 16};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t total = fill_up(sizes[i]);
            /* Of the 64 MiB, some are the program's and the libraries', and sizes between classes leave addresses unused. */
            if (total < 30 << 20) dprintf(2, "%zu bytes in blocks of %zu\n", total, sizes[i]);
            CHECK(total >= 30 << 20);
        }
    }
}

static void limit(void) {
    pid_t process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        struct rlimit bytes = {64 << 20, 64 << 20};
        CHECK(setrlimit(RLIMIT_AS, &bytes) == 0);
        execl(self, self, "limited", NULL);
        _exit(2);
    }
    int status = 1;
    CHECK(waitpid(process, &status, 0) == process && status == 0);
    /* The limit comes while much is live already. */
    void *live = malloc(30 << 20);
    memset(live, 1, 30 << 20);
    struct rlimit bytes = {90 << 20, 90 << 20};
    CHECK(setrlimit(RLIMIT_AS, &bytes) == 0);
    CHECK(fill_up(1000) > 8 << 20);
    CHECK(fill_up(1 << 20) > 8 << 20);
    free(live);
    CHECK(fill_up(1000) > 32 << 20);
}

/* ---- other programs ---- */

static void *run_another(void *argument) {
    char *arguments[] = {self, "hello", NULL};
    for (volatile int i = 0; i < 10 * times; i++) {
        pid_t process = -1;
        switch (i % 3) {
        case 0: CHECK(posix_spawn(&process, self, NULL, NULL, arguments, environ) == 0); break;
        case 1:
            process = fork();
            if (process == 0) {
                char *text = malloc(1000);
                memset(text, 1, 1000);
                free(text);
                execve(self, arguments, environ);
                _exit(2);
            }
            break;
        default:
            process = vfork();
            if (process == 0) {
                execve(self, arguments, environ);
                _exit(2);
            }
        }
        int status = 1;
        CHECK(process > 0 && waitpid(process, &status, 0) == process && status == 0);
    }
    return argument;
}

static void programs(void) {
    pthread_t busy[2], running[4];
    start(busy, 2, churn);
    start(running, 4, run_another);
    join(running, 4);
    /* The others are gone with the program that they ran in. */
    execl(self, self, "hello", NULL);
    CHECK(0);
}

static void hello(void) {
    void *block = malloc(10);
    CHECK(block);
    free(block);
}

/* ---- opened late, closed early ---- */

static void *(*late_malloc)(size_t);
static void (*late_free)(void *);

static void *use_late(void *argument) {
    for (int i = 0; i < 1000; i++) {
        void *block = late_malloc((size_t)i * 10);
        CHECK(block);
        memset(block, 1, (size_t)i * 10);
        late_free(block);
    }
    return argument;
}

static void *use_late_and_wait(void *argument) {
    use_late(argument);
    while (!stop) usleep(100);
    return argument;
}

static void open_late(void) {
    void *object = dlopen(getenv("FORGE_MALLOC_OBJECT"), RTLD_NOW | RTLD_LOCAL);
    if (!object) dprintf(2, "%s\n", dlerror());
    CHECK(object);
    late_malloc = (void *(*)(size_t))dlsym(object, "malloc");
    late_free = (void (*)(void *))dlsym(object, "free");
    CHECK(late_malloc && late_free && late_malloc != malloc);
    pthread_t living[8];
    start(living, 8, use_late_and_wait);
    void *kept = late_malloc(100);
    CHECK(dlclose(object) == 0);
    stop = 1;
    join(living, 8);
    start(living, 8, use_late);
    join(living, 8);
    late_free(kept);
    pid_t process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        use_late(NULL);
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(process, &status, 0) == process && status == 0);
}

int main(int count, char **arguments) {
    self = arguments[0];
    CHECK(count >= 2);
    if (count > 2) times = atoi(arguments[2]);
    struct {
        const char *name;
        void (*run)(void);
    } all[] = {
        {"bytes", bytes},     {"forks", forks},       {"signals", signals},   {"threads", threads},
        {"handlers", handlers},
        {"limit", limit},     {"limited", limited},   {"programs", programs}, {"hello", hello},
        {"destructors", destructors}, {"late", open_late},
    };
    if (strcmp(arguments[1], "late") != 0) check_preloaded();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(arguments[1], all[i].name) == 0) {
            all[i].run();
            return 0;
        }
    }
    return 2;
}
