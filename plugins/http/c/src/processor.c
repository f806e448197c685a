/* The HTTP client in C; ../../README.md says what it does. */
#include <pelton.h>

static pelton_text text_at(pelton_json json, const char *key) {
    pelton_text text = {0};
    pelton_read_text(pelton_get(json, key), &text);
    return text;
}

static bool after_append(const pelton_event *event, const void *state) {
    (void)state;
    pelton_header headers[8];
    size_t count = 0;
    pelton_items items = pelton_items_of(pelton_get(event->payload, "headers"));
    while (count < 8 && pelton_next(&items)) {
        headers[count].name = items.key;
        if (pelton_read_text(items.value, &headers[count].value)) count++;
    }
    pelton_request request = {
        .method = pelton_string(text_at(event->payload, "method")),
        .url = text_at(event->payload, "url"),
        .headers = headers,
        .header_count = count,
        .body = text_at(event->payload, "body"),
    };
    pelton_response response;
    if (!pelton_fetch(&request, &response)) return false;
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_u64(&out, "status", response.status);
    pelton_put_text(&out, "kind", pelton_header_of(&response, "X-Kind"));
    pelton_put_text(&out, "body", response.body);
    pelton_end(&out);
    return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("fetched"), .payload = pelton_written(&out)});
}

const pelton_processor pelton_this = {
    .name = "http-client",
    .version = "1.0.0",
    .consumes = (const char *const[]){"fetch", NULL},
    .emits = (const char *const[]){"began", "fetched", NULL},
    .after_append = after_append,
};
