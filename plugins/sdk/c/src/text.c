/* Text, and memory that lasts as long as a call. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
    struct chunk *next;
    size_t used, capacity;
    _Alignas(max_align_t) char bytes[];
};

static struct chunk *chunks;

void *pelton_alloc(size_t size) {
    size_t aligned = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (aligned < size) abort();
    if (!chunks || chunks->capacity - chunks->used < aligned) {
        size_t capacity = aligned > 8192 ? aligned : 8192;
        struct chunk *chunk = malloc(sizeof *chunk + capacity);
        if (!chunk) abort();
        *chunk = (struct chunk){.next = chunks, .capacity = capacity};
        chunks = chunk;
    }
    void *memory = chunks->bytes + chunks->used;
    chunks->used += aligned;
    return memset(memory, 0, aligned);
}

void pelton_free_all(void) {
    while (chunks && chunks->next) {
        struct chunk *next = chunks->next;
        free(chunks);
        chunks = next;
    }
    /* The first is kept for the next call, unless it was made for something large. */
    if (chunks && chunks->capacity > 8192) {
        free(chunks);
        chunks = NULL;
    }
    if (chunks) chunks->used = 0;
}

pelton_text pelton_text_of(const char *string) {
    return (pelton_text){string, string ? strlen(string) : 0};
}

bool pelton_equal(pelton_text text, const char *string) {
    return strlen(string) == text.size && (text.size == 0 || memcmp(text.at, string, text.size) == 0);
}

char *pelton_string(pelton_text text) {
    char *string = pelton_alloc(text.size + 1);
    if (text.size) memcpy(string, text.at, text.size);
    return string;
}

pelton_text pelton_vformat(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size < 0) abort();
    char *at = pelton_alloc((size_t)size + 1);
    vsnprintf(at, (size_t)size + 1, format, again);
    va_end(again);
    return (pelton_text){at, (size_t)size};
}

pelton_text pelton_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pelton_text text = pelton_vformat(format, arguments);
    va_end(arguments);
    return text;
}
