/*
 * Answers each `ping` with a `pong`: the smallest processor that does everything.
 *
 * - state: {"count": <pings so far>, "last": <the last ping's message, or null>}
 * - a ping's payload: {"message"?: any JSON}
 * - a pong's payload: {"to": <offset of the ping>, "count": <pings up to that one>, "message"?: <the ping's>}
 */
#include <pelton.h>

struct pings {
    uint64_t count;
    /* Absent is null. */
    pelton_json last;
};

static bool read_state(pelton_json json, void *state) {
    struct pings *pings = state;
    pings->last = pelton_get(json, "last");
    return pelton_read_u64(pelton_get(json, "count"), &pings->count);
}

static void write_state(const void *state, pelton_writer *out) {
    const struct pings *pings = state;
    pelton_put_object(out, NULL);
    pelton_put_u64(out, "count", pings->count);
    if (pings->last.size) {
        pelton_put_json(out, "last", pings->last);
    } else {
        pelton_put_null(out, "last");
    }
    pelton_end(out);
}

static bool reduce(void *state, const pelton_event *event) {
    struct pings *pings = state;
    pings->count++;
    pings->last = pelton_get(event->payload, "message");
    return true;
}

static bool after_append(const pelton_event *event, const void *state) {
    const struct pings *pings = state;
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_u64(&out, "to", event->offset);
    pelton_put_u64(&out, "count", pings->count);
    pelton_put_json(&out, "message", pelton_get(event->payload, "message"));
    pelton_end(&out);
    return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("pong"), .payload = pelton_written(&out)});
}

const pelton_processor pelton_this = {
    .name = "ping-pong",
    .version = "0.1.0",
    .description = "Answers each ping with a pong, and counts them.",
    .consumes = (const char *const[]){"ping", NULL},
    .emits = (const char *const[]){"pong", NULL},
    .initial_state = "{\"count\":0,\"last\":null}",
    .state_size = sizeof(struct pings),
    .read_state = read_state,
    .write_state = write_state,
    .reduce = reduce,
    .after_append = after_append,
};
