/*
 * JSON that the host has checked, read in place. Every loop is bounded by the end of the text all the same: a processor may give in anything.
 */
#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading ---- */

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

/* After the string that begins here. */
static const char *skip_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\' && at + 1 < end) at++;
    return at < end ? at + 1 : end;
}

/* After the value that begins here. */
static const char *skip_value(const char *at, const char *end) {
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
            continue;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0) return at;
            depth--;
            at++;
        } else if (depth == 0 && (*at == ',' || *at == ':')) {
            return at;
        } else if (depth > 0) {
            at++;
            continue;
        } else {
            while (at < end && !strchr(",:]} \n\r\t", *at)) at++;
        }
        if (depth == 0) return at;
    }
    return end;
}

static pelton_json trim(pelton_json json) {
    const char *end = json.at + json.size;
    const char *at = skip_space(json.at, end);
    while (end > at && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r' || end[-1] == '\t')) end--;
    return (pelton_json){at, (size_t)(end - at)};
}

pelton_kind pelton_kind_of(pelton_json json) {
    json = trim(json);
    if (json.size == 0) return PELTON_ABSENT;
    switch (*json.at) {
    case '{': return PELTON_OBJECT;
    case '[': return PELTON_ARRAY;
    case '"': return PELTON_STRING;
    case 't':
    case 'f': return PELTON_BOOL;
    case 'n': return PELTON_NULL;
    default: return *json.at == '-' || (*json.at >= '0' && *json.at <= '9') ? PELTON_NUMBER : PELTON_ABSENT;
    }
}

static uint32_t hex4(const char *at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        value = value * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value;
}

static char *put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* What stands between a string's quotes, without escapes. No escape is shorter than what it stands for. */
static pelton_text unescape(const char *at, const char *end) {
    if (!memchr(at, '\\', (size_t)(end - at))) return (pelton_text){at, (size_t)(end - at)};
    char *text = pelton_alloc((size_t)(end - at));
    char *to = text;
    while (at < end) {
        if (*at != '\\' || at + 1 == end) {
            *to++ = *at++;
            continue;
        }
        char escape = at[1];
        at += 2;
        switch (escape) {
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'n': *to++ = '\n'; break;
        case 'r': *to++ = '\r'; break;
        case 't': *to++ = '\t'; break;
        case 'u': {
            if (end - at < 4) return (pelton_text){text, (size_t)(to - text)};
            uint32_t c = hex4(at);
            at += 4;
            if (c >= 0xd800 && c < 0xdc00 && end - at >= 6) {
                c = 0x10000 + ((c - 0xd800) << 10) + (hex4(at + 2) - 0xdc00);
                at += 6;
            }
            to = put_utf8(to, c);
            break;
        }
        default: *to++ = escape;
        }
    }
    return (pelton_text){text, (size_t)(to - text)};
}

pelton_items pelton_items_of(pelton_json json) {
    pelton_kind kind = pelton_kind_of(json);
    if (kind != PELTON_ARRAY && kind != PELTON_OBJECT) return (pelton_items){0};
    json = trim(json);
    return (pelton_items){.rest = json.at, .end = json.at + json.size};
}

bool pelton_next(pelton_items *items) {
    const char *at = items->rest, *end = items->end;
    if (at == end) return false;
    /* A bracket before the first, a comma before the others, a closing bracket after the last. */
    bool is_closing = *at == ']' || *at == '}';
    at = skip_space(at + 1, end);
    if (is_closing || at == end || *at == ']' || *at == '}') {
        items->rest = end;
        return false;
    }
    const char *after = skip_value(at, end);
    const char *colon = skip_space(after, end);
    items->key = (pelton_text){0};
    if (colon < end && *colon == ':' && after - at >= 2) {
        items->key = unescape(at + 1, after - 1);
        at = skip_space(colon + 1, end);
        after = skip_value(at, end);
    }
    items->value = (pelton_json){at, (size_t)(after - at)};
    items->rest = skip_space(after, end);
    return true;
}

pelton_json pelton_get(pelton_json object, const char *key) {
    if (pelton_kind_of(object) != PELTON_OBJECT) return (pelton_json){0};
    pelton_items items = pelton_items_of(object);
    while (pelton_next(&items))
        if (pelton_equal(items.key, key)) return items.value;
    return (pelton_json){0};
}

bool pelton_read_text(pelton_json json, pelton_text *value) {
    if (pelton_kind_of(json) != PELTON_STRING) return false;
    json = trim(json);
    if (json.size < 2) return false;
    *value = unescape(json.at + 1, json.at + json.size - 1);
    return true;
}

bool pelton_read_bool(pelton_json json, bool *value) {
    if (pelton_kind_of(json) != PELTON_BOOL) return false;
    *value = *trim(json).at == 't';
    return true;
}

static bool read_digits(const char *at, const char *end, uint64_t max, uint64_t *value) {
    if (at == end) return false;
    uint64_t sum = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') return false;
        uint64_t digit = (uint64_t)(*at - '0');
        if (sum > (max - digit) / 10) return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

bool pelton_read_u64(pelton_json json, uint64_t *value) {
    json = trim(json);
    return read_digits(json.at, json.at + json.size, UINT64_MAX, value);
}

bool pelton_read_i64(pelton_json json, int64_t *value) {
    json = trim(json);
    bool is_negative = json.size > 0 && *json.at == '-';
    uint64_t magnitude;
    if (!read_digits(json.at + is_negative, json.at + json.size, (uint64_t)INT64_MAX + is_negative, &magnitude)) return false;
    *value = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool pelton_read_double(pelton_json json, double *value) {
    if (pelton_kind_of(json) != PELTON_NUMBER) return false;
    json = trim(json);
    *value = strtod(pelton_string((pelton_text){json.at, json.size}), NULL);
    return true;
}

/* ---- Writing ---- */

static void put(pelton_writer *out, const char *bytes, size_t size) {
    if (out->capacity - out->size < size) {
        size_t capacity = out->capacity * 2 + size + 64;
        char *at = pelton_alloc(capacity);
        if (out->size) memcpy(at, out->at, out->size);
        out->at = at;
        out->capacity = capacity;
    }
    if (size) memcpy(out->at + out->size, bytes, size);
    out->size += size;
}

static void put_quoted(pelton_writer *out, pelton_text text) {
    static const char hex[] = "0123456789abcdef";
    put(out, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        put(out, text.at + from, i - from);
        from = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        const char *short_form = c ? strchr("\bb\tt\nn\ff\rr\"\"\\\\", c) : NULL;
        if (short_form) {
            escape[1] = short_form[1];
            put(out, escape, 2);
        } else {
            put(out, escape, 6);
        }
    }
    put(out, text.at + from, text.size - from);
    put(out, "\"", 1);
}

/* What stands before a value. */
static void begin(pelton_writer *out, const char *key) {
    if (out->has_before) put(out, ",", 1);
    out->has_before = true;
    bool is_member = out->depth > 0 && (out->objects >> (out->depth - 1) & 1);
    /* A key where none belongs, or none where one does, would not be JSON. */
    if (is_member != (key != NULL) || (out->depth == 0 && out->size > 0)) out->is_bad = true;
    if (key) {
        put_quoted(out, pelton_text_of(key));
        put(out, ":", 1);
    }
}

static void open(pelton_writer *out, const char *key, bool is_object) {
    begin(out, key);
    if (out->depth == 64) abort();
    put(out, is_object ? "{" : "[", 1);
    uint64_t bit = (uint64_t)1 << out->depth++;
    out->objects = is_object ? out->objects | bit : out->objects & ~bit;
    out->has_before = false;
}

void pelton_put_object(pelton_writer *out, const char *key) { open(out, key, true); }

void pelton_put_array(pelton_writer *out, const char *key) { open(out, key, false); }

void pelton_end(pelton_writer *out) {
    if (out->depth == 0) {
        out->is_bad = true;
        return;
    }
    out->depth--;
    put(out, out->objects >> out->depth & 1 ? "}" : "]", 1);
    out->has_before = true;
}

void pelton_put_text(pelton_writer *out, const char *key, pelton_text value) {
    begin(out, key);
    put_quoted(out, value);
}

void pelton_put_bool(pelton_writer *out, const char *key, bool value) {
    begin(out, key);
    put(out, value ? "true" : "false", value ? 4 : 5);
}

static void put_digits(pelton_writer *out, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    put(out, digits + at, sizeof digits - at);
}

void pelton_put_u64(pelton_writer *out, const char *key, uint64_t value) {
    begin(out, key);
    put_digits(out, value);
}

void pelton_put_i64(pelton_writer *out, const char *key, int64_t value) {
    begin(out, key);
    if (value < 0) put(out, "-", 1);
    put_digits(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void pelton_put_double(pelton_writer *out, const char *key, double value) {
    begin(out, key);
    if (!isfinite(value)) {
        out->is_bad = true;
        return;
    }
    char digits[32];
    int size = 0;
    for (int precision = 15; precision <= 17; precision++) {
        size = snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    put(out, digits, (size_t)size);
}

void pelton_put_null(pelton_writer *out, const char *key) {
    begin(out, key);
    put(out, "null", 4);
}

void pelton_put_json(pelton_writer *out, const char *key, pelton_json value) {
    if (value.size == 0) {
        if (!key) pelton_put_null(out, NULL);
        return;
    }
    begin(out, key);
    put(out, value.at, value.size);
}

pelton_json pelton_written(const pelton_writer *out) {
    if (out->is_bad || out->depth > 0) return (pelton_json){0};
    return (pelton_json){out->at, out->size};
}
