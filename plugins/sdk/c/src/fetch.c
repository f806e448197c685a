/* HTTP by wasi:http. Resources are dropped children first, as wasi:io demands. */
#include "internal.h"

#include <bindings.h>
#include <string.h>

static bindings_string_t lend(pelton_text text) { return (bindings_string_t){(uint8_t *)text.at, text.size}; }

/* In the order of wasi:http's error-code. */
static const char *const codes[] = {
    "DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable", "destination-IP-prohibited", "destination-IP-unroutable",
    "connection-refused", "connection-terminated", "connection-timeout", "connection-read-timeout", "connection-write-timeout",
    "connection-limit-reached", "TLS-protocol-error", "TLS-certificate-error", "TLS-alert-received",
    "HTTP-request-denied: the operator's rules and the processor's egress rules must both name the request's host",
    "HTTP-request-length-required", "HTTP-request-body-size", "HTTP-request-method-invalid", "HTTP-request-URI-invalid", "HTTP-request-URI-too-long",
    "HTTP-request-header-section-size", "HTTP-request-header-size", "HTTP-request-trailer-section-size", "HTTP-request-trailer-size",
    "HTTP-response-incomplete", "HTTP-response-header-section-size", "HTTP-response-header-size", "HTTP-response-body-size",
    "HTTP-response-trailer-section-size", "HTTP-response-trailer-size", "HTTP-response-transfer-coding", "HTTP-response-content-coding",
    "HTTP-response-timeout", "HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected", "configuration-error", "internal-error",
};

static pelton_text joined(const char *first, pelton_text second) {
    size_t size = strlen(first);
    char *at = pelton_alloc(size + second.size);
    memcpy(at, first, size);
    if (second.size) memcpy(at + size, second.at, second.size);
    return (pelton_text){at, size + second.size};
}

static bool failed(wasi_http_types_error_code_t *code) {
    pelton_text reason = joined("the request failed: ", pelton_text_of(codes[code->tag]));
    if (code->tag == WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR && code->val.internal_error.is_some) {
        bindings_string_t detail = code->val.internal_error.val;
        reason = joined(pelton_string(joined(pelton_string(reason), PELTON_TEXT(": "))), (pelton_text){(const char *)detail.ptr, detail.len});
    }
    wasi_http_types_error_code_free(code);
    return pelton_fail(reason);
}

static bool stream_failed(wasi_io_streams_stream_error_t *error) {
    if (error->tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED) return pelton_fail(PELTON_TEXT("the request failed: the connection was closed"));
    wasi_http_types_error_code_t code;
    bool is_http = wasi_http_types_http_error_code(wasi_io_error_borrow_error(error->val.last_operation_failed), &code);
    wasi_io_streams_stream_error_free(error);
    return is_http ? failed(&code) : pelton_fail(PELTON_TEXT("the request failed: the connection broke"));
}

static bool same_name(pelton_text name, const char *other) {
    if (strlen(other) != name.size) return false;
    for (size_t i = 0; i < name.size; i++) {
        char a = name.at[i], b = other[i];
        if (a >= 'A' && a <= 'Z') a |= 32;
        if (b >= 'A' && b <= 'Z') b |= 32;
        if (a != b) return false;
    }
    return true;
}

pelton_text pelton_header_of(const pelton_response *response, const char *name) {
    for (size_t i = 0; i < response->header_count; i++)
        if (same_name(response->headers[i].name, name)) return response->headers[i].value;
    return (pelton_text){0};
}

static wasi_http_types_method_t method_of(const char *name) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_GET};
    if (!name) return method;
    for (uint8_t i = 0; i < 9; i++) {
        method.tag = i;
        if (strcmp(name, names[i]) == 0) return method;
    }
    method.tag = WASI_HTTP_TYPES_METHOD_OTHER;
    method.val.other = lend(pelton_text_of(name));
    return method;
}

struct url {
    bool is_https;
    pelton_text authority, path;
};

static bool take_apart(pelton_text text, struct url *url) {
    const char *at = text.at, *end = text.at + text.size;
    const char *fragment = text.size ? memchr(at, '#', text.size) : NULL;
    if (fragment) end = fragment;
    size_t size = (size_t)(end - at);
    url->is_https = size > 8 && memcmp(at, "https://", 8) == 0;
    if (!url->is_https && !(size > 7 && memcmp(at, "http://", 7) == 0)) return false;
    at += url->is_https ? 8 : 7;
    const char *path = at;
    while (path < end && *path != '/' && *path != '?') path++;
    url->authority = (pelton_text){at, (size_t)(path - at)};
    url->path = (pelton_text){path, (size_t)(end - path)};
    if (path == end || *path == '?') url->path = joined("/", url->path);
    return url->authority.size > 0 && !memchr(at, '@', url->authority.size);
}

static bool add_header(wasi_http_types_own_fields_t fields, pelton_text name, pelton_text value) {
    bindings_string_t key = lend(name);
    wasi_http_types_field_value_t bytes = {(uint8_t *)value.at, value.size};
    wasi_http_types_header_error_t error;
    if (wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(fields), &key, &bytes, &error)) return true;
    return pelton_fail(joined("not a header that a request may have: ", name));
}

static bool prepare(const pelton_request *request, wasi_http_types_own_outgoing_request_t *outgoing) {
    struct url url;
    if (!take_apart(request->url, &url)) return pelton_fail(joined("not an absolute URL of http or https: ", request->url));
    wasi_http_types_own_fields_t fields = wasi_http_types_constructor_fields();
    bool ok = true;
    for (size_t i = 0; ok && i < request->header_count; i++) ok = add_header(fields, request->headers[i].name, request->headers[i].value);
    if (ok && request->body.size) {
        pelton_writer length = {0};
        pelton_put_u64(&length, NULL, request->body.size);
        ok = add_header(fields, PELTON_TEXT("content-length"), (pelton_text){length.at, length.size});
    }
    if (!ok) {
        wasi_http_types_fields_drop_own(fields);
        return false;
    }
    *outgoing = wasi_http_types_constructor_outgoing_request(fields);
    wasi_http_types_borrow_outgoing_request_t head = wasi_http_types_borrow_outgoing_request(*outgoing);
    wasi_http_types_method_t method = method_of(request->method);
    wasi_http_types_scheme_t scheme = {.tag = url.is_https ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP};
    bindings_string_t authority = lend(url.authority), path = lend(url.path);
    if (wasi_http_types_method_outgoing_request_set_method(head, &method) && wasi_http_types_method_outgoing_request_set_scheme(head, &scheme) &&
        wasi_http_types_method_outgoing_request_set_authority(head, &authority) &&
        wasi_http_types_method_outgoing_request_set_path_with_query(head, &path))
        return true;
    wasi_http_types_outgoing_request_drop_own(*outgoing);
    return pelton_fail(joined("not a valid method, host or path: ", request->url));
}

static bool handle(
    const pelton_request *request, wasi_http_types_own_outgoing_request_t outgoing, wasi_http_types_own_future_incoming_response_t *future) {
    wasi_http_types_own_request_options_t options;
    bool has_options = request->timeout_ms > 0;
    if (has_options) {
        options = wasi_http_types_constructor_request_options();
        wasi_http_types_borrow_request_options_t timeouts = wasi_http_types_borrow_request_options(options);
        wasi_http_types_duration_t nanoseconds = request->timeout_ms > UINT64_MAX / 1000000 ? UINT64_MAX : request->timeout_ms * 1000000;
        wasi_http_types_method_request_options_set_connect_timeout(timeouts, &nanoseconds);
        wasi_http_types_method_request_options_set_first_byte_timeout(timeouts, &nanoseconds);
        wasi_http_types_method_request_options_set_between_bytes_timeout(timeouts, &nanoseconds);
    }
    wasi_http_types_error_code_t error;
    return wasi_http_outgoing_handler_handle(outgoing, has_options ? &options : NULL, future, &error) || failed(&error);
}

/* A connection that takes no more has ended, or has been answered before all was sent; the future knows which. */
static void send(wasi_http_types_own_outgoing_body_t body, pelton_text bytes) {
    bool ok = true;
    if (bytes.size) {
        wasi_http_types_own_output_stream_t stream;
        wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream);
        wasi_io_streams_stream_error_t error;
        /* As much as wasi:io takes at once. */
        for (size_t at = 0; ok && at < bytes.size; at += 4096) {
            bindings_list_u8_t chunk = {(uint8_t *)bytes.at + at, bytes.size - at < 4096 ? bytes.size - at : 4096};
            ok = wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream), &chunk, &error);
            if (!ok) wasi_io_streams_stream_error_free(&error);
        }
        wasi_io_streams_output_stream_drop_own(stream);
    }
    wasi_http_types_error_code_t error;
    if (!ok) {
        wasi_http_types_outgoing_body_drop_own(body);
    } else if (!wasi_http_types_static_outgoing_body_finish(body, NULL, &error)) {
        wasi_http_types_error_code_free(&error);
    }
}

static bool await(wasi_http_types_borrow_future_incoming_response_t future, wasi_http_types_own_incoming_response_t *incoming) {
    wasi_http_types_result_result_own_incoming_response_error_code_void_t answer;
    while (!wasi_http_types_method_future_incoming_response_get(future, &answer)) {
        wasi_io_poll_own_pollable_t pollable = wasi_http_types_method_future_incoming_response_subscribe(future);
        wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
        wasi_io_poll_pollable_drop_own(pollable);
    }
    /* The outer result fails when the answer was taken before, which it was not. */
    if (answer.val.ok.is_err) return failed(&answer.val.ok.val.err);
    *incoming = answer.val.ok.val.ok;
    return true;
}

static void read_head(wasi_http_types_borrow_incoming_response_t incoming, pelton_response *response) {
    response->status = wasi_http_types_method_incoming_response_status(incoming);
    wasi_http_types_own_headers_t fields = wasi_http_types_method_incoming_response_headers(incoming);
    wasi_http_types_list_tuple2_field_name_field_value_t entries;
    wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(fields), &entries);
    response->headers = pelton_alloc(entries.len * sizeof *response->headers);
    response->header_count = entries.len;
    for (size_t i = 0; i < entries.len; i++) {
        pelton_header *header = &response->headers[i];
        header->name = (pelton_text){(const char *)entries.ptr[i].f0.ptr, entries.ptr[i].f0.len};
        header->name.at = pelton_string(header->name);
        header->value = (pelton_text){(const char *)entries.ptr[i].f1.ptr, entries.ptr[i].f1.len};
        header->value.at = pelton_string(header->value);
    }
    wasi_http_types_list_tuple2_field_name_field_value_free(&entries);
    wasi_http_types_fields_drop_own(fields);
}

static bool read_body(wasi_http_types_borrow_incoming_response_t incoming, pelton_text *body) {
    wasi_http_types_own_incoming_body_t content;
    wasi_http_types_own_input_stream_t stream;
    wasi_http_types_method_incoming_response_consume(incoming, &content);
    wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(content), &stream);
    size_t size = 0, capacity = 0;
    char *at = NULL;
    wasi_io_streams_stream_error_t error;
    bindings_list_u8_t chunk;
    while (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 16384, &chunk, &error)) {
        if (capacity - size < chunk.len) {
            capacity = capacity * 2 + chunk.len;
            char *larger = pelton_alloc(capacity);
            if (size) memcpy(larger, at, size);
            at = larger;
        }
        if (chunk.len) memcpy(at + size, chunk.ptr, chunk.len);
        size += chunk.len;
        bindings_list_u8_free(&chunk);
    }
    bool ok = error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED || stream_failed(&error);
    wasi_io_streams_input_stream_drop_own(stream);
    wasi_http_types_incoming_body_drop_own(content);
    *body = (pelton_text){at, size};
    return ok;
}

bool pelton_fetch(const pelton_request *request, pelton_response *response) {
    *response = (pelton_response){0};
    wasi_http_types_own_outgoing_request_t outgoing;
    if (!prepare(request, &outgoing)) return false;
    wasi_http_types_own_outgoing_body_t body;
    wasi_http_types_method_outgoing_request_body(wasi_http_types_borrow_outgoing_request(outgoing), &body);
    wasi_http_types_own_future_incoming_response_t future;
    if (!handle(request, outgoing, &future)) {
        wasi_http_types_outgoing_body_drop_own(body);
        return false;
    }
    wasi_http_types_own_incoming_response_t incoming;
    send(body, request->body);
    bool ok = await(wasi_http_types_borrow_future_incoming_response(future), &incoming);
    wasi_http_types_future_incoming_response_drop_own(future);
    if (!ok) return false;
    wasi_http_types_borrow_incoming_response_t head = wasi_http_types_borrow_incoming_response(incoming);
    read_head(head, response);
    ok = read_body(head, &response->body);
    wasi_http_types_incoming_response_drop_own(incoming);
    return ok;
}
