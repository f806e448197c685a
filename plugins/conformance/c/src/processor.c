/* The conformance processor in C; ../../README.md says what it does. */
#include <stdlib.h>
#include <string.h>

#include <pelton.h>

/* ---- The state ---- */

struct folded {
    bool is_null;
    uint64_t count;
    pelton_text sum;
    /* Absent is null. */
    pelton_json last;
    double total;
    pelton_text text;
    uint64_t chars;
    pelton_json kept;
    pelton_text echo;
    pelton_json seen;
};

static bool read_state(pelton_json json, void *to) {
    struct folded *folded = to;
    folded->is_null = pelton_kind_of(json) == PELTON_NULL;
    if (folded->is_null) {
        folded->sum = PELTON_TEXT("0");
        return true;
    }
    folded->last = pelton_get(json, "last");
    folded->kept = pelton_get(json, "kept");
    folded->seen = pelton_get(json, "seen");
    return pelton_read_u64(pelton_get(json, "count"), &folded->count) && pelton_read_text(pelton_get(json, "sum"), &folded->sum) &&
           pelton_read_double(pelton_get(json, "total"), &folded->total) && pelton_read_text(pelton_get(json, "text"), &folded->text) &&
           pelton_read_u64(pelton_get(json, "chars"), &folded->chars) && pelton_read_text(pelton_get(json, "echo"), &folded->echo);
}

static void put_json_or_null(pelton_writer *out, const char *key, pelton_json json) {
    if (json.size) {
        pelton_put_json(out, key, json);
    } else {
        pelton_put_null(out, key);
    }
}

static void put_text_or_null(pelton_writer *out, const char *key, pelton_text text) {
    if (text.at) {
        pelton_put_text(out, key, text);
    } else {
        pelton_put_null(out, key);
    }
}

static void write_state(const void *from, pelton_writer *out) {
    const struct folded *folded = from;
    if (folded->is_null) {
        pelton_put_null(out, NULL);
        return;
    }
    pelton_put_object(out, NULL);
    pelton_put_u64(out, "count", folded->count);
    pelton_put_text(out, "sum", folded->sum);
    put_json_or_null(out, "last", folded->last);
    pelton_put_double(out, "total", folded->total);
    pelton_put_text(out, "text", folded->text);
    pelton_put_u64(out, "chars", folded->chars);
    put_json_or_null(out, "kept", folded->kept);
    pelton_put_text(out, "echo", folded->echo);
    put_json_or_null(out, "seen", folded->seen);
    pelton_end(out);
}

/* ---- Parts of what it does ---- */

/* The sum of two texts of decimal digits. */
static bool add_digits(pelton_text a, pelton_text b, pelton_text *sum) {
    size_t size = (a.size > b.size ? a.size : b.size) + 1;
    char *digits = pelton_alloc(size);
    int carry = 0;
    for (size_t i = 0; i < size; i++) {
        char x = i < a.size ? a.at[a.size - 1 - i] : '0', y = i < b.size ? b.at[b.size - 1 - i] : '0';
        if (x < '0' || x > '9' || y < '0' || y > '9') return pelton_fail(PELTON_TEXT("not a number"));
        carry += x - '0' + y - '0';
        digits[size - 1 - i] = (char)('0' + carry % 10);
        carry /= 10;
    }
    while (size > 1 && *digits == '0') {
        digits++;
        size--;
    }
    *sum = (pelton_text){digits, size};
    return true;
}

static uint64_t code_points(pelton_text text) {
    uint64_t count = 0;
    for (size_t i = 0; i < text.size; i++) count += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    return count;
}

static pelton_json details(const pelton_event *event) {
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_text(&out, "streamPath", event->stream_path);
    pelton_put_u64(&out, "offset", event->offset);
    pelton_put_text(&out, "type", event->type);
    pelton_put_json(&out, "payload", event->payload);
    put_json_or_null(&out, "metadata", event->metadata);
    put_text_or_null(&out, "idempotencyKey", event->idempotency_key);
    pelton_put_u64(&out, "createdAt", event->created_at);
    if (event->source) {
        pelton_put_object(&out, "source");
        pelton_put_text(&out, "slug", event->source->slug);
        pelton_put_text(&out, "digest", event->source->digest);
        pelton_put_text(&out, "streamPath", event->source->stream_path);
        pelton_put_u64(&out, "offset", event->source->offset);
        pelton_put_u64(&out, "depth", event->source->depth);
        pelton_end(&out);
    } else {
        pelton_put_null(&out, "source");
    }
    pelton_put_text(&out, "slug", pelton_slug());
    pelton_put_json(&out, "config", pelton_config());
    pelton_end(&out);
    return pelton_written(&out);
}

static pelton_text joined(const char *first, pelton_text second) {
    size_t size = strlen(first);
    char *at = pelton_alloc(size + second.size);
    memcpy(at, first, size);
    if (second.size) memcpy(at + size, second.at, second.size);
    return (pelton_text){at, size + second.size};
}

static bool log_message(const pelton_event *event, const char *phase) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    pelton_text level, message;
    if (!pelton_read_text(pelton_get(event->payload, "level"), &level) || !pelton_read_text(pelton_get(event->payload, "message"), &message))
        return pelton_fail(PELTON_TEXT("no level or message"));
    for (int i = 0; i < 4; i++)
        if (pelton_equal(level, levels[i])) pelton_log((pelton_level)i, joined(phase, message));
    return true;
}

static bool reject(const pelton_event *event) {
    pelton_text message;
    if (!pelton_read_text(pelton_get(event->payload, "message"), &message)) return pelton_fail(PELTON_TEXT("no message"));
    return pelton_fail(message);
}

/* There are no exceptions here: both log what there is to say and end. */
static bool end(const pelton_event *event, const char *phase) {
    pelton_text in, message;
    if (!pelton_read_text(pelton_get(event->payload, "in"), &in) || !pelton_equal(in, phase)) return true;
    if (pelton_read_text(pelton_get(event->payload, "message"), &message)) pelton_log(PELTON_ERROR, message);
    abort();
}

/* ---- The processor ---- */

static bool reduce(void *state, const pelton_event *event) {
    struct folded *folded = state;
    folded->is_null = false;
    folded->count++;
    pelton_json value = pelton_get(event->payload, "value");
    if (pelton_equal(event->type, "do/add")) {
        pelton_text amount;
        if (!pelton_read_text(pelton_get(event->payload, "amount"), &amount)) return pelton_fail(PELTON_TEXT("no amount"));
        return add_digits(folded->sum, amount, &folded->sum);
    }
    if (pelton_equal(event->type, "do/measure")) {
        double number;
        if (!pelton_read_double(value, &number)) return pelton_fail(PELTON_TEXT("no value"));
        pelton_writer out = {0};
        pelton_put_double(&out, NULL, number);
        folded->last = pelton_written(&out);
        folded->total += number;
    } else if (pelton_equal(event->type, "do/text")) {
        if (!pelton_read_text(value, &folded->text)) return pelton_fail(PELTON_TEXT("no value"));
        folded->chars = code_points(folded->text);
    } else if (pelton_equal(event->type, "do/keep")) {
        folded->kept = value;
    } else if (pelton_equal(event->type, "do/echo")) {
        folded->echo = (pelton_text){event->payload.at, event->payload.size};
    } else if (pelton_equal(event->type, "do/show")) {
        folded->seen = details(event);
    } else if (pelton_equal(event->type, "do/log")) {
        return log_message(event, "reduce: ");
    } else if (pelton_equal(event->type, "do/forget")) {
        *folded = (struct folded){.is_null = true, .sum = PELTON_TEXT("0")};
    } else if (pelton_equal(event->type, "do/reject")) {
        return reject(event);
    } else if (pelton_equal(event->type, "do/throw") || pelton_equal(event->type, "do/trap")) {
        return end(event, "reduce");
    } else if (pelton_equal(event->type, "do/spin")) {
        for (volatile int spin = 1; spin;) continue;
    } else if (pelton_equal(event->type, "do/hoard")) {
        for (;;) memset(pelton_alloc(1 << 20), 1, 1 << 20);
    }
    return true;
}

static bool append(pelton_json proposal);

static bool after_append(const pelton_event *event, const void *state) {
    const struct folded *folded = state;
    if (folded->is_null) return true;
    pelton_writer out = {0};
    if (pelton_equal(event->type, "do/text")) {
        pelton_put_object(&out, NULL);
        pelton_put_text(&out, "value", folded->text);
        pelton_put_u64(&out, "chars", folded->chars);
        pelton_end(&out);
        return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("did/text"), .payload = pelton_written(&out)});
    }
    if (pelton_equal(event->type, "do/keep")) {
        pelton_put_object(&out, NULL);
        put_json_or_null(&out, "value", folded->kept);
        pelton_end(&out);
        return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("did/keep"), .payload = pelton_written(&out)});
    }
    if (pelton_equal(event->type, "do/echo")) return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("did/echo"), .payload = event->payload});
    if (pelton_equal(event->type, "do/show")) return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("did/show"), .payload = details(event)});
    if (pelton_equal(event->type, "do/log")) return log_message(event, "after-append: ");
    if (pelton_equal(event->type, "do/fail"))
        return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("did/fail")}) && reject(event);
    if (pelton_equal(event->type, "do/throw") || pelton_equal(event->type, "do/trap")) return end(event, "after-append");
    if (pelton_equal(event->type, "do/append")) {
        pelton_items appends = pelton_items_of(pelton_get(event->payload, "appends"));
        while (pelton_next(&appends))
            if (!append(appends.value)) return false;
    }
    return true;
}

static bool record(const pelton_event *recorded) {
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_text(&out, "streamPath", recorded->stream_path);
    pelton_put_text(&out, "type", recorded->type);
    pelton_put_json(&out, "payload", recorded->payload);
    put_json_or_null(&out, "metadata", recorded->metadata);
    put_text_or_null(&out, "idempotencyKey", recorded->idempotency_key);
    pelton_end(&out);
    return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("did/record"), .payload = pelton_written(&out)});
}

static bool refused(void) {
    static const char *const cases[] = {"paused", "conflict", "denied", "invalid", "unavailable"};
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_text(&out, "case", pelton_text_of(cases[pelton_refused()]));
    pelton_end(&out);
    return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("did/refuse"), .payload = pelton_written(&out)});
}

static bool append(pelton_json proposal) {
    pelton_new_event event = {.payload = pelton_get(proposal, "payload"), .metadata = pelton_get(proposal, "metadata")};
    uint64_t offset;
    bool now = false;
    /* What is not there leaves what is. */
    pelton_read_text(pelton_get(proposal, "type"), &event.type);
    pelton_read_text(pelton_get(proposal, "idempotencyKey"), &event.idempotency_key);
    if (pelton_read_u64(pelton_get(proposal, "expectedOffset"), &offset)) event.expected_offset = &offset;
    pelton_read_text(pelton_get(proposal, "to"), &event.to);
    pelton_read_bool(pelton_get(proposal, "now"), &now);
    pelton_event recorded;
    if (!(now ? pelton_append_now(&event, &recorded) : pelton_append(&event))) return refused();
    return !now || record(&recorded);
}

const pelton_processor pelton_this = {
    .name = "conformance",
    .version = "1.0.0",
    .description = "Does what events tell it to, the same in every language.",
    .consumes = (const char *const[]){"do/*", NULL},
    .emits = (const char *const[]){"did/*", NULL},
    .initial_state = "null",
    .state_version = 2,
    .state_size = sizeof(struct folded),
    .read_state = read_state,
    .write_state = write_state,
    .reduce = reduce,
    .after_append = after_append,
};
