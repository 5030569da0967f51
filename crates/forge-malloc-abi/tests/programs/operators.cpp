// The operators of C++: every form, what a failing `new` does, and destructors of thread-locals.
#include "check.h"
#include <cstdint>
#include <map>
#include <new>
#include <string>
#include <thread>
#include <vector>

// The compiler must not know the size.
static volatile size_t too_much = static_cast<size_t>(PTRDIFF_MAX);
static int handled = 0;

struct alignas(64) Wide {
    char bytes[100];
};

static bool aligned(const void *block, size_t align) {
    return block && reinterpret_cast<uintptr_t>(block) % align == 0;
}

static void every_form() {
    for (size_t size : {size_t(0), size_t(1), size_t(24), size_t(1000), size_t(70000), size_t(2) << 20}) {
        for (size_t align : {size_t(8), size_t(64), size_t(4096), size_t(1) << 20}) {
            auto at = std::align_val_t(align);
            void *blocks[] = {
                ::operator new(size),
                ::operator new[](size),
                ::operator new(size, std::nothrow),
                ::operator new[](size, std::nothrow),
                ::operator new(size, at),
                ::operator new[](size, at),
                ::operator new(size, at, std::nothrow),
                ::operator new[](size, at, std::nothrow),
            };
            for (int i = 0; i < 8; i++) {
                CHECK(aligned(blocks[i], i < 4 ? 16 : align));
                memset(blocks[i], i, size);
            }
            ::operator delete(blocks[0]);
            ::operator delete[](blocks[1], size);
            ::operator delete(blocks[2], std::nothrow);
            ::operator delete[](blocks[3], std::nothrow);
            ::operator delete(blocks[4], at);
            ::operator delete[](blocks[5], size, at);
            ::operator delete(blocks[6], at, std::nothrow);
            ::operator delete[](blocks[7], at, std::nothrow);
            ::operator delete(::operator new(size), size);
            ::operator delete[](::operator new[](size));
            ::operator delete(::operator new(size, at), size, at);
            ::operator delete[](::operator new[](size, at), at);
        }
    }
    ::operator delete(nullptr);
    auto *wide = new Wide[5];
    CHECK(aligned(wide, 64));
    delete[] wide;
    // What one interface allocated the other frees, as programs do.
    free(new int(5));
    ::operator delete(malloc(50));
}

template <class Make> static void throws(Make make) {
    bool caught = false;
    try {
        make();
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    CHECK(caught);
}

static void failure() {
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
    CHECK(::operator new[](too_much, std::align_val_t(64), std::nothrow) == nullptr);
    throws([] { return ::operator new(too_much); });
    throws([] { return ::operator new[](too_much); });
    throws([] { return ::operator new(too_much, std::align_val_t(128)); });
    throws([] {
        std::vector<char> vector;
        vector.reserve(too_much - 1);
        return vector.data();
    });
    // The handler is asked until it gives up, here by taking itself away.
    std::set_new_handler([] {
        if (++handled == 3) std::set_new_handler(nullptr);
    });
    throws([] { return ::operator new(too_much); });
    CHECK(handled == 3);
    struct Own : std::bad_alloc {};
    std::set_new_handler([] { throw Own(); });
    bool caught = false;
    try {
        (void)::operator new(too_much);
    } catch (const Own &) {
        caught = true;
    }
    CHECK(caught);
    std::set_new_handler(nullptr);
}

struct Local {
    std::map<int, std::string> words;
    ~Local() {
        for (int i = 0; i < 100; i++) words[i] = std::string(static_cast<size_t>(i * 3), 'x');
        CHECK(words.size() == 100);
    }
};

static thread_local Local local;

static void thread_locals() {
    for (int round = 0; round < 50; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; i++) threads.emplace_back([i] { local.words[i] = "first"; });
        for (auto &thread : threads) thread.join();
    }
    malloc_trim(0);
    CHECK(mallinfo2().uordblks < 1 << 20);
}

int main() {
    check_preloaded();
    every_form();
    failure();
    thread_locals();
    return 0;
}
