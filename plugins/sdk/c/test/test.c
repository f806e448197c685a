/* What this library does without a host. Prints nothing and ends with 0 if all is well. */
#include "../src/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(condition)                                                           \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            failures++;                                                            \
        }                                                                          \
    } while (0)

static pelton_json json(const char *text) { return (pelton_json){text, strlen(text)}; }

static bool is(pelton_json json, const char *text) { return pelton_equal((pelton_text){json.at, json.size}, text); }

static void members_are_found_by_their_unescaped_name(void) {
    pelton_json object = json("{\"a\":{\"b\":[1,{\"c\":\"}\"}]},\"q\\\"uote\":true,\"\\u00e9\":null,\"last\":-1.50e3}");
    CHECK(is(pelton_get(object, "a"), "{\"b\":[1,{\"c\":\"}\"}]}"));
    CHECK(is(pelton_get(pelton_get(object, "a"), "b"), "[1,{\"c\":\"}\"}]"));
    CHECK(is(pelton_get(object, "q\"uote"), "true"));
    CHECK(is(pelton_get(object, "\xc3\xa9"), "null"));
    CHECK(is(pelton_get(object, "last"), "-1.50e3"));
    CHECK(pelton_kind_of(pelton_get(object, "b")) == PELTON_ABSENT);
    CHECK(pelton_kind_of(pelton_get(json("[1]"), "0")) == PELTON_ABSENT);
    CHECK(pelton_kind_of(pelton_get((pelton_json){0}, "a")) == PELTON_ABSENT);
}

static void white_space_between_tokens_does_not_matter(void) {
    pelton_json object = json(" {\n \"a\" : [ 1 , \"x\" ] ,\t\"b\" : { } } ");
    CHECK(is(pelton_get(object, "a"), "[ 1 , \"x\" ]"));
    CHECK(pelton_kind_of(pelton_get(object, "b")) == PELTON_OBJECT);
    pelton_items items = pelton_items_of(pelton_get(object, "b"));
    CHECK(!pelton_next(&items));
}

static void items_come_in_the_order_of_the_text(void) {
    pelton_items items = pelton_items_of(json("[1,[2,3],\"a,b\",{}]"));
    const char *expected[] = {"1", "[2,3]", "\"a,b\"", "{}"};
    for (size_t i = 0; i < 4; i++) {
        CHECK(pelton_next(&items));
        CHECK(is(items.value, expected[i]) && items.key.size == 0);
    }
    CHECK(!pelton_next(&items) && !pelton_next(&items));
    items = pelton_items_of(json("{\"k\":1,\"l\":2}"));
    CHECK(pelton_next(&items) && pelton_equal(items.key, "k") && is(items.value, "1"));
    CHECK(pelton_next(&items) && pelton_equal(items.key, "l") && is(items.value, "2"));
    CHECK(!pelton_next(&items));
    items = pelton_items_of(json("7"));
    CHECK(!pelton_next(&items));
}

static void strings_lose_their_escapes(void) {
    pelton_text text;
    CHECK(pelton_read_text(json("\"plain \xc3\xa9\""), &text) && pelton_equal(text, "plain \xc3\xa9"));
    CHECK(pelton_read_text(json("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), &text) && pelton_equal(text, "\"\\/\b\f\n\r\t"));
    CHECK(pelton_read_text(json("\"\\u0041\\u00e9\\u20ac\\uD83E\\udd80\""), &text) && pelton_equal(text, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x80"));
    CHECK(pelton_read_text(json("\"a\\u0000b\""), &text) && text.size == 3 && text.at[1] == 0);
    CHECK(pelton_read_text(json("\"\""), &text) && text.size == 0);
    CHECK(!pelton_read_text(json("1"), &text));
}

static void numbers_are_read_where_they_fit(void) {
    uint64_t u;
    int64_t i;
    double d;
    CHECK(pelton_read_u64(json("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(!pelton_read_u64(json("18446744073709551616"), &u));
    CHECK(!pelton_read_u64(json("-1"), &u) && !pelton_read_u64(json("1.0"), &u) && !pelton_read_u64(json("1e2"), &u));
    CHECK(!pelton_read_u64((pelton_json){0}, &u) && !pelton_read_u64(json("\"1\""), &u));
    CHECK(pelton_read_i64(json("-9223372036854775808"), &i) && i == INT64_MIN);
    CHECK(pelton_read_i64(json("9223372036854775807"), &i) && i == INT64_MAX);
    CHECK(!pelton_read_i64(json("9223372036854775808"), &i) && !pelton_read_i64(json("-"), &i));
    CHECK(pelton_read_double(json("-0.1e1"), &d) && d == -1.0);
    CHECK(!pelton_read_double(json("null"), &d));
}

static void text_that_is_no_json_is_not_read_past_its_end(void) {
    const char *texts[] = {"", "{", "[", "\"", "\"\\", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[1", "[1,", "\"\\u12", "{\"a\":1]", "}", ",", ":", "[:", "nul"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        /* In memory of its own, whose end a checker knows. */
        size_t size = strlen(texts[i]);
        char *at = malloc(size ? size : 1);
        memcpy(at, texts[i], size);
        pelton_json odd = {at, size};
        pelton_text text;
        pelton_items items = pelton_items_of(odd);
        for (size_t steps = 0; pelton_next(&items) && steps < 100; steps++) CHECK(steps < 10);
        pelton_read_text(odd, &text);
        pelton_get(odd, "a");
        free(at);
    }
}

static void what_is_written_has_its_commas(void) {
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_text(&out, "t", PELTON_TEXT("\"\\\b\f\n\r\t\x01\xc3\xa9"));
    pelton_put_array(&out, "a");
    pelton_put_u64(&out, NULL, UINT64_MAX);
    pelton_put_i64(&out, NULL, INT64_MIN);
    pelton_put_bool(&out, NULL, true);
    pelton_put_null(&out, NULL);
    pelton_put_json(&out, NULL, (pelton_json){0});
    pelton_put_array(&out, NULL);
    pelton_end(&out);
    pelton_end(&out);
    pelton_put_json(&out, "absent", (pelton_json){0});
    pelton_put_json(&out, "j", json("[1.50]"));
    pelton_put_object(&out, "o");
    pelton_end(&out);
    CHECK(pelton_kind_of(pelton_written(&out)) == PELTON_ABSENT);
    pelton_end(&out);
    CHECK(is(pelton_written(&out), "{\"t\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\xc3\xa9\",\"a\":[18446744073709551615,-9223372036854775808,true,null,null,[]],"
                                   "\"j\":[1.50],\"o\":{}}"));
}

static void doubles_have_digits_that_read_the_same(void) {
    const struct {
        double value;
        const char *text;
    } doubles[] = {{0, "0"}, {0.1, "0.1"}, {1.0 / 3, "0.333333333333333315"}, {1e21, "1e+21"}, {5e-324, "4.94065645841247e-324"}, {-2.5, "-2.5"}};
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        pelton_writer out = {0};
        double back;
        pelton_put_double(&out, NULL, doubles[i].value);
        CHECK(pelton_read_double(pelton_written(&out), &back) && back == doubles[i].value);
        CHECK(pelton_written(&out).size <= strlen(doubles[i].text));
    }
    pelton_writer out = {0};
    pelton_put_double(&out, NULL, NAN);
    CHECK(pelton_kind_of(pelton_written(&out)) == PELTON_ABSENT);
}

static void what_is_not_one_value_is_not_written(void) {
    pelton_writer two = {0}, keyless = {0}, keyed = {0};
    pelton_put_null(&two, NULL);
    pelton_put_null(&two, NULL);
    pelton_put_object(&keyless, NULL);
    pelton_put_null(&keyless, NULL);
    pelton_end(&keyless);
    pelton_put_array(&keyed, NULL);
    pelton_put_null(&keyed, "key");
    pelton_end(&keyed);
    CHECK(!pelton_written(&two).size && !pelton_written(&keyless).size && !pelton_written(&keyed).size);
}

static void memory_is_zeroed_and_lasts_as_long_as_the_call(void) {
    for (int call = 0; call < 3; call++) {
        char *small = pelton_alloc(100), *large = pelton_alloc(100000), *after = pelton_alloc(1);
        for (size_t i = 0; i < 100; i++) CHECK(small[i] == 0);
        memset(small, 1, 100);
        memset(large, 2, 100000);
        CHECK(*after == 0 && small[99] == 1);
        pelton_free_all();
    }
    CHECK(pelton_equal(pelton_format("%s-%d", "a", 7), "a-7"));
    CHECK(strcmp(pelton_string(PELTON_TEXT("abc")), "abc") == 0);
}

int main(void) {
    members_are_found_by_their_unescaped_name();
    white_space_between_tokens_does_not_matter();
    items_come_in_the_order_of_the_text();
    strings_lose_their_escapes();
    numbers_are_read_where_they_fit();
    text_that_is_no_json_is_not_read_past_its_end();
    what_is_written_has_its_commas();
    doubles_have_digits_that_read_the_same();
    what_is_not_one_value_is_not_written();
    memory_is_zeroed_and_lasts_as_long_as_the_call();
    return failures > 0;
}
