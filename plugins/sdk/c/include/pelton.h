/*
 * What a Pelton stream processor in C needs.
 *
 * A processor is state and two functions. `reduce` folds each event into the state and does nothing else, so that the host can rebuild,
 * inspect and verify any state. `after_append` acts on each new event: it appends, logs, calls out. The program defines `pelton_this`:
 *
 *     #include <pelton.h>
 *
 *     struct orders { uint64_t open; };
 *
 *     static bool read_state(pelton_json json, void *state) {
 *         struct orders *orders = state;
 *         return pelton_read_u64(pelton_get(json, "open"), &orders->open);
 *     }
 *
 *     static void write_state(const void *state, pelton_writer *out) {
 *         const struct orders *orders = state;
 *         pelton_put_object(out, NULL);
 *         pelton_put_u64(out, "open", orders->open);
 *         pelton_end(out);
 *     }
 *
 *     static bool reduce(void *state, const pelton_event *event) {
 *         struct orders *orders = state;
 *         orders->open += pelton_equal(event->type, "order/placed") ? 1 : -1;
 *         return true;
 *     }
 *
 *     static bool after_append(const pelton_event *event, const void *state) {
 *         if (!pelton_equal(event->type, "order/placed")) return true;
 *         pelton_writer out = {0};
 *         pelton_put_object(&out, NULL);
 *         pelton_put_json(&out, "customer", pelton_get(event->payload, "customer"));
 *         pelton_end(&out);
 *         return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("order/thanked"), .payload = pelton_written(&out)});
 *     }
 *
 *     const pelton_processor pelton_this = {
 *         .name = "order-desk",
 *         .version = "1.0.0",
 *         .consumes = (const char *const[]){"order/placed", "order/shipped", NULL},
 *         .emits = (const char *const[]){"order/thanked", NULL},
 *         .initial_state = "{\"open\":0}",
 *         .state_size = sizeof(struct orders),
 *         .read_state = read_state,
 *         .write_state = write_state,
 *         .reduce = reduce,
 *         .after_append = after_append,
 *     };
 *
 * What to know:
 *
 * - Nothing lasts in memory. The host drops instances between any two calls; what must last belongs into the state.
 * - All memory that these functions give out, and all text they take, belongs to the call: it is freed when the call ends, never by hand.
 * - `reduce` is pure: the same events and configuration always give the same state. Clocks stand still in it and randomness is constant.
 * - `after_append` may run twice for one event, after a crash or an error. What it appends with `pelton_append` is recorded once all the same.
 * - A function that returns false has failed, and has said why with `pelton_fail`; `return pelton_append(…)` passes a failure on. The reason is
 *   what the host shows when it parks the processor. A trap (`abort`, `__builtin_trap`, a failed `assert`) ends the instance.
 * - What is printed to stdout or stderr becomes lines of the host's log.
 *
 * C11 or newer, or C++20. The functions of libc that need files, sockets, threads or arguments fail.
 */
#ifndef PELTON_H
#define PELTON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PELTON_PRINTF(nth, first) __attribute__((format(printf, nth, first)))
#else
#define PELTON_PRINTF(nth, first)
#endif

/* ---- Text ---- */

/* UTF-8, without a NUL at its end, which it may hold anywhere. */
typedef struct {
    const char *at;
    size_t size;
} pelton_text;

/* The text of a string literal. */
#ifdef __cplusplus
#define PELTON_TEXT(literal) (pelton_text{("" literal), sizeof(literal) - 1})
#else
#define PELTON_TEXT(literal) ((pelton_text){("" literal), sizeof(literal) - 1})
#endif

/* The text of a C string; NULL is the empty text. */
pelton_text pelton_text_of(const char *string);

/* Whether the two are the same, byte for byte. */
bool pelton_equal(pelton_text text, const char *string);

/* A copy with a NUL at its end. What the text holds of NUL ends it earlier. */
char *pelton_string(pelton_text text);

/* As printf. */
pelton_text pelton_format(const char *format, ...) PELTON_PRINTF(1, 2);

/* Zeroed memory until the call ends. Where there is none left, the instance ends. */
void *pelton_alloc(size_t size);

/* ---- JSON: reading ---- */

/*
 * The text of one JSON value, or nothing, where a value was asked for that is not there; its size is then 0. The host has checked what it
 * hands over, so that reading cannot fail half-way: every function below may be given any value, also an absent one, and says false or absent if
 * the value is of another kind. A number keeps its text, which is at `at`.
 *
 * These functions read and write what a processor's events and states commonly are. For more, put the source of a JSON library into the
 * project's `src/` and give it `at` and `size`.
 */
typedef struct {
    const char *at;
    size_t size;
} pelton_json;

typedef enum {
    PELTON_ABSENT,
    PELTON_NULL,
    PELTON_BOOL,
    PELTON_NUMBER,
    PELTON_STRING,
    PELTON_ARRAY,
    PELTON_OBJECT,
} pelton_kind;

pelton_kind pelton_kind_of(pelton_json json);

/* The member of an object, or absent. */
pelton_json pelton_get(pelton_json object, const char *key);

/* Goes through an array or an object, in the order of the text:  pelton_items items = pelton_items_of(json); while (pelton_next(&items)) … */
typedef struct {
    /* The member's name; empty in an array. */
    pelton_text key;
    pelton_json value;
    /* For pelton_next alone. */
    const char *rest, *end;
} pelton_items;

/* Nothing to go through, if it is neither. */
pelton_items pelton_items_of(pelton_json json);
bool pelton_next(pelton_items *items);

/* A string's text, without quotes and escapes. */
bool pelton_read_text(pelton_json json, pelton_text *value);
bool pelton_read_bool(pelton_json json, bool *value);
/* A number that is written without fraction and exponent and fits. */
bool pelton_read_u64(pelton_json json, uint64_t *value);
bool pelton_read_i64(pelton_json json, int64_t *value);
/* Any number, as the nearest double. */
bool pelton_read_double(pelton_json json, double *value);

/* ---- JSON: writing ---- */

/*
 * A text in the making; {0} is an empty one. Commas are put where they belong. The key is a member's name in an object, and NULL in an array and
 * at the top:
 *
 *     pelton_writer out = {0};
 *     pelton_put_object(&out, NULL);
 *     pelton_put_text(&out, "name", PELTON_TEXT("Ada"));
 *     pelton_put_array(&out, "scores");
 *     pelton_put_u64(&out, NULL, 7);
 *     pelton_end(&out);
 *     pelton_end(&out);          // {"name":"Ada","scores":[7]}
 */
typedef struct {
    char *at;
    size_t size, capacity;
    /* Whether the next value needs a comma; whether a double was not a number. */
    bool has_before, is_bad;
    /* What is open, and whether it is an object. */
    uint32_t depth;
    uint64_t objects;
} pelton_writer;

/* Up to 64 deep. */
void pelton_put_object(pelton_writer *out, const char *key);
void pelton_put_array(pelton_writer *out, const char *key);
void pelton_end(pelton_writer *out);
/* Text is UTF-8. */
void pelton_put_text(pelton_writer *out, const char *key, pelton_text value);
void pelton_put_bool(pelton_writer *out, const char *key, bool value);
void pelton_put_u64(pelton_writer *out, const char *key, uint64_t value);
void pelton_put_i64(pelton_writer *out, const char *key, int64_t value);
/* Digits that read as the same double, as few as 15 where these will do. Infinities and NaN are not JSON: what is written then is absent. */
void pelton_put_double(pelton_writer *out, const char *key, double value);
/* A value as it stands. Where it is absent: null at the top and in an array, and no member in an object. */
void pelton_put_json(pelton_writer *out, const char *key, pelton_json value);
void pelton_put_null(pelton_writer *out, const char *key);
/* What has been written; absent if it cannot be JSON. */
pelton_json pelton_written(const pelton_writer *out);

/* ---- Events ---- */

/* Who appended an event, as stamped by the host. */
typedef struct {
    pelton_text slug;
    /* `sha256:` and 64 hexadecimal digits. */
    pelton_text digest;
    /* Which event it was handling. */
    pelton_text stream_path;
    uint64_t offset;
    /* 1 for an answer to an event from outside, 2 for an answer to such an answer, and so on. */
    uint32_t depth;
} pelton_source;

/* A recorded event. */
typedef struct {
    /* `/` or `/segment/segment`. */
    pelton_text stream_path;
    /* Its place in that stream: 1, 2, 3 and so on; 1 is the stream's own `stream/initialized`. */
    uint64_t offset;
    pelton_text type;
    /* An object, as it was recorded. */
    pelton_json payload;
    /* An object, or absent. */
    pelton_json metadata;
    /* The key under which a repeated append finds this event; without one `at` is NULL. */
    pelton_text idempotency_key;
    /* Milliseconds since the Unix epoch, UTC. */
    uint64_t created_at;
    /* The processor that appended it; NULL for an event from outside. */
    const pelton_source *source;
} pelton_event;

/* An event to be appended. */
typedef struct {
    /* 1 to 2048 characters, without white space at its ends. */
    pelton_text type;
    /* An object; absent is {}. */
    pelton_json payload;
    /* An object, or absent. */
    pelton_json metadata;
    /* Where `at` is not NULL: an append with a key that the stream has seen finds the event recorded then, and records nothing. */
    pelton_text idempotency_key;
    /* Where not NULL: the append is refused as a conflict unless the event gets this offset. */
    const uint64_t *expected_offset;
    /* The stream: an absolute path (`/orders`), or one relative to the stream of the event being handled (`./below`, `../beside`). Where `at` is
       NULL, that stream itself. */
    pelton_text to;
} pelton_new_event;

/* ---- A processor ---- */

typedef struct {
    /* Required. */
    const char *name;
    const char *version;
    /* One or two sentences for people. */
    const char *description;
    /* The event types it wants, up to a NULL; `*` matches any run of characters. NULL means all. */
    const char *const *consumes;
    /* The event types it appends, up to a NULL, for people and tools; not enforced. NULL means unknown. */
    const char *const *emits;
    /* The JSON text of the state before the first event; NULL is {}. */
    const char *initial_state;
    /* From 1, which 0 stands for. Raise it whenever the shape of the state changes: the host then rebuilds the state from the events. */
    unsigned state_version;

    /* The size of the struct that `state` points to in the functions below. It is zeroed first. */
    size_t state_size;
    /* Fills in the state from its JSON. False without `pelton_fail` says that it has another shape. */
    bool (*read_state)(pelton_json json, void *state);
    /* Writes the state as one JSON value. */
    void (*write_state)(const void *state, pelton_writer *out);

    /*
     * Folds one event into the state. Pure. NULL leaves the state as it is.
     *
     * False discards the change and parks the processor at this event. So fail for what only a new version can mend, and step over what others may
     * send at any time, such as odd payloads from outside.
     */
    bool (*reduce)(void *state, const pelton_event *event);

    /*
     * Acts on one event; the state includes it. NULL does nothing.
     *
     * True commits what was appended, together with the processor's place in the stream. False discards it; the host calls again later with
     * the same event and state, and parks the processor after its last attempt.
     */
    bool (*after_append)(const pelton_event *event, const void *state);
} pelton_processor;

/* The program's. */
extern const pelton_processor pelton_this;

/* ---- What a processor can do ---- */

/* Says why, and returns false. The last one before the function returns counts. */
bool pelton_fail(pelton_text reason);
bool pelton_failf(const char *format, ...) PELTON_PRINTF(1, 2);

typedef enum { PELTON_DEBUG, PELTON_INFO, PELTON_WARN, PELTON_ERROR } pelton_level;

/* Writes one line to the host's log, which adds tenant, stream, slug and offset. The host cuts long lines, and drops those past its limit for one
   call. */
void pelton_log(pelton_level level, pelton_text message);
void pelton_logf(pelton_level level, const char *format, ...) PELTON_PRINTF(2, 3);

/* The processor's configuration, {} where none was given; the same for as long as this version of the processor is configured. */
pelton_json pelton_config(void);

/* The name under which this processor is configured. */
pelton_text pelton_slug(void);

/* Why an append was refused. */
typedef enum {
    /* The stream is paused. It may succeed later. */
    PELTON_PAUSED,
    /* The expected offset is not the next one. It will not succeed unchanged. */
    PELTON_CONFLICT,
    /* The processor may not do this: too deep in a chain of answers, or over a quota. It will not succeed unchanged. */
    PELTON_DENIED,
    /* The path, the type, the key, the payload or the metadata is malformed. It will not succeed unchanged. */
    PELTON_INVALID,
    /* The host cannot write now. It may succeed later. */
    PELTON_UNAVAILABLE,
} pelton_refusal;

/*
 * In `after_append` only. Appends: recorded when `after_append` returns true, exactly once, and not at all when it returns false.
 *
 * True means well formed and kept for the commit. False means that it was refused, as `pelton_refused` says and `pelton_fail` was told: PELTON_INVALID
 * and PELTON_DENIED show at once; a refusal that only the commit can show (an expected offset, a paused stream) fails the whole call, which the host
 * then repeats.
 */
bool pelton_append(const pelton_new_event *event);

/*
 * In `after_append` only. Records an event at once, whatever comes of this call. For what cannot wait, such as streamed output. `recorded`
 * may be NULL.
 *
 * Without an idempotency key the host derives one from the slug, the offset being handled and the number of this append in the call, so that a
 * repeated call finds what it recorded before. False means that it was refused, and every refusal is possible.
 */
bool pelton_append_now(const pelton_new_event *event, pelton_event *recorded);

/* How the last append was refused that was. */
pelton_refusal pelton_refused(void);

/* A variable that events of the stream have set, or false. In `after_append` only; elsewhere there are none. */
bool pelton_env(const char *name, pelton_text *value);

/* A placeholder for the tenant's secret of this name, to be put into the value of a request's header. The host puts the value in its place on the way
   out, if the secret may go to the request's host; else the request fails. */
pelton_text pelton_secret(const char *name);

typedef struct {
    pelton_text name, value;
} pelton_header;

typedef struct {
    /* NULL is GET. */
    const char *method;
    /* Absolute, http or https. */
    pelton_text url;
    const pelton_header *headers;
    size_t header_count;
    pelton_text body;
    /* Where not 0: bounds each of connecting, the wait for the first byte, and the wait between bytes. */
    uint64_t timeout_ms;
} pelton_request;

typedef struct {
    unsigned status;
    pelton_header *headers;
    size_t header_count;
    pelton_text body;
} pelton_response;

/*
 * In `after_append` only. Makes a request by wasi:http and reads the whole response, whatever its status. Redirects are not followed.
 *
 * False means that there is no complete response; `pelton_fail` was told why. A request has to pass the operator's rules and the processor's own egress
 * rules, else it is an HTTP-request-denied.
 */
bool pelton_fetch(const pelton_request *request, pelton_response *response);

/* The first header of this name, in any case, or a text whose `at` is NULL. */
pelton_text pelton_header_of(const pelton_response *response, const char *name);

#ifdef __cplusplus
}
#endif

#endif
