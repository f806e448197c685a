/* Answers each `ping` with a `pong`, and counts them. */
#include <pelton.h>

/* What is known after the events so far, JSON between calls. */
struct state {
    uint64_t count;
};

static bool read_state(pelton_json json, void *to) {
    struct state *state = to;
    return pelton_read_u64(pelton_get(json, "count"), &state->count);
}

static void write_state(const void *from, pelton_writer *out) {
    const struct state *state = from;
    pelton_put_object(out, NULL);
    pelton_put_u64(out, "count", state->count);
    pelton_end(out);
}

static bool reduce(void *to, const pelton_event *event) {
    struct state *state = to;
    (void)event;
    state->count++;
    return true;
}

static bool after_append(const pelton_event *event, const void *from) {
    const struct state *state = from;
    pelton_logf(PELTON_INFO, "ping %llu", (unsigned long long)state->count);
    pelton_writer pong = {0};
    pelton_put_object(&pong, NULL);
    pelton_put_u64(&pong, "to", event->offset);
    pelton_put_u64(&pong, "count", state->count);
    pelton_end(&pong);
    return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("pong"), .payload = pelton_written(&pong)});
}

const pelton_processor pelton_this = {
    .name = "plugin-name",
    .version = "0.1.0",
    .consumes = (const char *const[]){"ping", NULL},
    .emits = (const char *const[]){"pong", NULL},
    .initial_state = "{\"count\":0}",
    .state_size = sizeof(struct state),
    .read_state = read_state,
    .write_state = write_state,
    .reduce = reduce,
    .after_append = after_append,
};
