/* Between the generated bindings, which know no types but the contract's, and the program's `pelton_this`. */
#include "internal.h"

#include <bindings.h>
#include <stdlib.h>
#include <string.h>

/* ---- What the adapter that stands for preview 1 asks for ---- */

__attribute__((import_module("wasi_snapshot_preview1"), import_name("pelton_scratch"))) void give_scratch(void *start, size_t size);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("pelton_flush"))) void flush(void);

__attribute__((constructor)) static void begin(void) {
    /* For what the host answers, and for a line of output that is not yet complete. */
    static _Alignas(16) char scratch[1024];
    give_scratch(scratch, sizeof scratch);
}

/* ---- The state of a call ---- */

static pelton_text reason;
static pelton_refusal refusal;

bool pelton_fail(pelton_text text) {
    reason = text;
    return false;
}

bool pelton_failf(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pelton_fail(pelton_vformat(format, arguments));
    va_end(arguments);
    return false;
}

pelton_refusal pelton_refused(void) { return refusal; }

/* What the bindings allocated moves to the memory of the call. */
static pelton_text taken(bindings_string_t *string) {
    pelton_text text = {(const char *)string->ptr, string->len};
    text.at = pelton_string(text);
    bindings_string_free(string);
    return text;
}

static void end_call(void) {
    reason = (pelton_text){0};
    pelton_free_all();
    flush();
}

/* The bindings free what is returned. */
static void give(bindings_string_t *to, pelton_text text) { bindings_string_dup_n(to, text.at ? text.at : "", text.size); }

/* A string that is only read, and not kept. */
static bindings_string_t lend(pelton_text text) { return (bindings_string_t){(uint8_t *)text.at, text.size}; }

/* ---- Events ---- */

static pelton_text text_of(bindings_string_t string) { return (pelton_text){(const char *)string.ptr, string.len}; }

static pelton_json json_of(bindings_string_t string) { return (pelton_json){(const char *)string.ptr, string.len}; }

static pelton_event event_of(const pelton_processor_types_event_t *raw) {
    pelton_event event = {
        .stream_path = text_of(raw->stream_path),
        .offset = raw->offset,
        .type = text_of(raw->event_type),
        .payload = json_of(raw->payload),
        .created_at = raw->created_at,
    };
    if (raw->metadata.is_some) event.metadata = json_of(raw->metadata.val);
    if (raw->idempotency_key.is_some) event.idempotency_key = text_of(raw->idempotency_key.val);
    if (raw->source.is_some) {
        pelton_source *source = pelton_alloc(sizeof *source);
        *source = (pelton_source){
            .slug = text_of(raw->source.val.slug),
            .digest = text_of(raw->source.val.digest),
            .stream_path = text_of(raw->source.val.stream_path),
            .offset = raw->source.val.offset,
            .depth = raw->source.val.depth,
        };
        event.source = source;
    }
    return event;
}

/* ---- What the component exports ---- */

static void put_list(pelton_writer *out, const char *key, const char *const *list) {
    if (!list) return;
    pelton_put_array(out, key);
    for (; *list; list++) pelton_put_text(out, NULL, pelton_text_of(*list));
    pelton_end(out);
}

void exports_pelton_processor_processor_describe(bindings_string_t *ret) {
    const pelton_processor *this = &pelton_this;
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_text(&out, "name", pelton_text_of(this->name));
    if (this->version) pelton_put_text(&out, "version", pelton_text_of(this->version));
    if (this->description) pelton_put_text(&out, "description", pelton_text_of(this->description));
    put_list(&out, "consumes", this->consumes);
    put_list(&out, "emits", this->emits);
    pelton_put_u64(&out, "stateVersion", this->state_version ? this->state_version : 1);
    pelton_text initial = pelton_text_of(this->initial_state ? this->initial_state : "{}");
    pelton_put_json(&out, "initialState", (pelton_json){initial.at, initial.size});
    pelton_end(&out);
    pelton_json json = pelton_written(&out);
    give(ret, (pelton_text){json.at, json.size});
    end_call();
}

static void *read_state(bindings_string_t json) {
    void *state = pelton_alloc(pelton_this.state_size);
    if (pelton_this.read_state && !pelton_this.read_state(json_of(json), state)) {
        if (!reason.at) pelton_fail(PELTON_TEXT("the state is not of the shape that read_state expects; has it changed without a new state_version?"));
        return NULL;
    }
    return state;
}

static bool fold(bindings_string_t json, const exports_pelton_processor_processor_list_event_t *events, pelton_text *folded) {
    if (!pelton_this.reduce || !pelton_this.write_state) {
        *folded = text_of(json);
        return true;
    }
    void *state = read_state(json);
    if (!state) return false;
    for (size_t i = 0; i < events->len; i++) {
        pelton_event event = event_of(&events->ptr[i]);
        if (!pelton_this.reduce(state, &event)) return false;
    }
    pelton_writer out = {0};
    pelton_this.write_state(state, &out);
    pelton_json written = pelton_written(&out);
    if (written.size == 0) return pelton_fail(PELTON_TEXT("write_state has not written one JSON value: something is open, has no key, or is not a finite number"));
    *folded = (pelton_text){written.at, written.size};
    return true;
}

static pelton_text reason_or_none(void) { return reason.at ? reason : PELTON_TEXT("it failed without saying why; pelton_fail is for that"); }

bool exports_pelton_processor_processor_reduce(
    bindings_string_t *state, exports_pelton_processor_processor_list_event_t *events, bindings_string_t *ret, bindings_string_t *err) {
    pelton_text folded;
    bool ok = fold(*state, events, &folded);
    if (ok) {
        give(ret, folded);
    } else {
        give(err, reason_or_none());
    }
    bindings_string_free(state);
    exports_pelton_processor_processor_list_event_free(events);
    end_call();
    return ok;
}

static bool act(const pelton_processor_types_event_t *raw, bindings_string_t json) {
    if (!pelton_this.after_append) return true;
    void *state = read_state(json);
    if (!state) return false;
    pelton_event event = event_of(raw);
    return pelton_this.after_append(&event, state);
}

bool exports_pelton_processor_processor_after_append(exports_pelton_processor_processor_event_t *event, bindings_string_t *state, bindings_string_t *err) {
    bool ok = act(event, *state);
    if (!ok) give(err, reason_or_none());
    exports_pelton_processor_processor_event_free(event);
    bindings_string_free(state);
    end_call();
    return ok;
}

/* ---- What a processor can do ---- */

pelton_json pelton_config(void) {
    bindings_string_t config;
    pelton_processor_context_config(&config);
    pelton_text text = taken(&config);
    return (pelton_json){text.at, text.size};
}

pelton_text pelton_slug(void) {
    bindings_string_t slug;
    pelton_processor_context_slug(&slug);
    return taken(&slug);
}

void pelton_log(pelton_level level, pelton_text message) {
    bindings_string_t line = lend(message);
    pelton_processor_context_log((pelton_processor_context_level_t)level, &line);
}

void pelton_logf(pelton_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pelton_log(level, pelton_vformat(format, arguments));
    va_end(arguments);
}

static pelton_processor_types_new_event_t new_event(const pelton_new_event *event) {
    pelton_processor_types_new_event_t raw = {0};
    raw.event_type = lend(event->type);
    raw.payload = event->payload.at ? lend((pelton_text){event->payload.at, event->payload.size}) : lend(PELTON_TEXT("{}"));
    raw.metadata.is_some = event->metadata.at != NULL;
    raw.metadata.val = lend((pelton_text){event->metadata.at, event->metadata.size});
    raw.idempotency_key.is_some = event->idempotency_key.at != NULL;
    raw.idempotency_key.val = lend(event->idempotency_key);
    raw.expected_offset.is_some = event->expected_offset != NULL;
    if (event->expected_offset) raw.expected_offset.val = *event->expected_offset;
    return raw;
}

static bool refused(pelton_processor_types_append_error_t *error) {
    static const char *const cases[] = {"paused", "conflict", "denied", "invalid", "unavailable"};
    refusal = (pelton_refusal)error->tag;
    pelton_text text = taken(&error->val.paused);
    pelton_writer message = {0};
    const pelton_text parts[] = {PELTON_TEXT("append refused as "), pelton_text_of(cases[error->tag]), PELTON_TEXT(": "), text};
    size_t size = 0;
    for (size_t i = 0; i < 4; i++) size += parts[i].size;
    message.at = pelton_alloc(size);
    for (size_t i = 0; i < 4; i++) {
        memcpy(message.at + message.size, parts[i].at, parts[i].size);
        message.size += parts[i].size;
    }
    return pelton_fail((pelton_text){message.at, message.size});
}

bool pelton_append(const pelton_new_event *event) {
    pelton_processor_types_new_event_t raw = new_event(event);
    bindings_string_t to = lend(event->to);
    pelton_processor_types_append_error_t error;
    return pelton_processor_outbox_append(event->to.at ? &to : NULL, &raw, &error) || refused(&error);
}

/* The event's texts move to the memory of the call. */
static pelton_event recorded_of(pelton_processor_types_event_t *raw) {
    pelton_event event = event_of(raw);
    pelton_text *texts[] = {&event.stream_path, &event.type, (pelton_text *)&event.payload, (pelton_text *)&event.metadata, &event.idempotency_key};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i]->at) texts[i]->at = pelton_string(*texts[i]);
    if (event.source) {
        pelton_source *source = (pelton_source *)event.source;
        source->slug.at = pelton_string(source->slug);
        source->digest.at = pelton_string(source->digest);
        source->stream_path.at = pelton_string(source->stream_path);
    }
    pelton_processor_types_event_free(raw);
    return event;
}

bool pelton_append_now(const pelton_new_event *event, pelton_event *recorded) {
    pelton_processor_types_new_event_t raw = new_event(event);
    bindings_string_t to = lend(event->to);
    pelton_processor_types_event_t answer;
    pelton_processor_types_append_error_t error;
    if (!pelton_processor_appender_append(event->to.at ? &to : NULL, &raw, &answer, &error)) return refused(&error);
    pelton_event kept = recorded_of(&answer);
    if (recorded) *recorded = kept;
    return true;
}

bool pelton_env(const char *name, pelton_text *value) {
    bindings_list_tuple2_string_string_t variables;
    wasi_cli_environment_get_environment(&variables);
    bool is_set = false;
    for (size_t i = 0; i < variables.len; i++) {
        if (pelton_equal(text_of(variables.ptr[i].f0), name)) {
            *value = text_of(variables.ptr[i].f1);
            value->at = pelton_string(*value);
            is_set = true;
        }
    }
    bindings_list_tuple2_string_string_free(&variables);
    return is_set;
}

pelton_text pelton_secret(const char *name) {
    size_t size = strlen(name);
    char *at = pelton_alloc(size + 12);
    memcpy(at, "{{secret:", 9);
    memcpy(at + 9, name, size);
    memcpy(at + 9 + size, "}}", 3);
    return (pelton_text){at, size + 11};
}
