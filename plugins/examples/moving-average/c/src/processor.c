/* The average of the latest readings of each sensor; ../../README.md says what is consumed, kept and appended. */
#include <math.h>
#include <string.h>

#include <pelton.h>

struct reading {
    uint64_t at;
    double value;
};

struct sensor {
    pelton_text name;
    struct reading *readings;
    size_t count;
    double average;
    /* 0 while it does not. */
    uint64_t exceeded_at;
    struct sensor *next;
};

/* The sensors, in the order in which they came. */
struct averages {
    struct sensor *first;
};

/* ---- The state ---- */

static struct sensor *find(const struct averages *averages, pelton_text name) {
    for (struct sensor *sensor = averages->first; sensor; sensor = sensor->next)
        if (sensor->name.size == name.size && memcmp(sensor->name.at, name.at, name.size) == 0) return sensor;
    return NULL;
}

static struct sensor *add(struct averages *averages, pelton_text name) {
    struct sensor **last = &averages->first;
    while (*last) last = &(*last)->next;
    *last = pelton_alloc(sizeof **last);
    (*last)->name = name;
    return *last;
}

static void push(struct sensor *sensor, struct reading reading) {
    struct reading *longer = pelton_alloc((sensor->count + 1) * sizeof *longer);
    if (sensor->count) memcpy(longer, sensor->readings, sensor->count * sizeof *longer);
    longer[sensor->count++] = reading;
    sensor->readings = longer;
}

static bool read_state(pelton_json json, void *to) {
    struct averages *averages = to;
    pelton_items sensors = pelton_items_of(pelton_get(json, "sensors"));
    while (pelton_next(&sensors)) {
        struct sensor *sensor = add(averages, sensors.key);
        pelton_items readings = pelton_items_of(pelton_get(sensors.value, "readings"));
        while (pelton_next(&readings)) {
            struct reading reading;
            if (!pelton_read_u64(pelton_get(readings.value, "at"), &reading.at)) return false;
            if (!pelton_read_double(pelton_get(readings.value, "value"), &reading.value)) return false;
            push(sensor, reading);
        }
        if (!pelton_read_double(pelton_get(sensors.value, "average"), &sensor->average)) return false;
        /* It may be null, which leaves 0. */
        pelton_read_u64(pelton_get(sensors.value, "exceededAt"), &sensor->exceeded_at);
    }
    return true;
}

static void write_state(const void *from, pelton_writer *out) {
    const struct averages *averages = from;
    pelton_put_object(out, NULL);
    pelton_put_object(out, "sensors");
    for (const struct sensor *sensor = averages->first; sensor; sensor = sensor->next) {
        pelton_put_object(out, pelton_string(sensor->name));
        pelton_put_array(out, "readings");
        for (size_t i = 0; i < sensor->count; i++) {
            pelton_put_object(out, NULL);
            pelton_put_u64(out, "at", sensor->readings[i].at);
            pelton_put_double(out, "value", sensor->readings[i].value);
            pelton_end(out);
        }
        pelton_end(out);
        pelton_put_double(out, "average", sensor->average);
        if (sensor->exceeded_at) {
            pelton_put_u64(out, "exceededAt", sensor->exceeded_at);
        } else {
            pelton_put_null(out, "exceededAt");
        }
        pelton_end(out);
    }
    pelton_end(out);
    pelton_end(out);
}

/* ---- The processor ---- */

struct config {
    uint64_t count;
    double seconds, limit;
};

static struct config config(void) {
    pelton_json json = pelton_config();
    struct config config = {.count = 10, .seconds = INFINITY, .limit = INFINITY};
    /* What is not there leaves what is. */
    pelton_read_u64(pelton_get(json, "count"), &config.count);
    pelton_read_double(pelton_get(json, "seconds"), &config.seconds);
    pelton_read_double(pelton_get(json, "limit"), &config.limit);
    return config;
}

static void take(struct sensor *sensor, struct reading reading, uint64_t offset, struct config config) {
    push(sensor, reading);
    while (sensor->count > config.count || (double)sensor->readings[0].at < (double)reading.at - config.seconds * 1000) {
        sensor->readings++;
        sensor->count--;
    }
    double sum = 0;
    for (size_t i = 0; i < sensor->count; i++) sum += sensor->readings[i].value;
    sensor->average = sum / (double)sensor->count;
    if (sensor->average <= config.limit) {
        sensor->exceeded_at = 0;
    } else if (!sensor->exceeded_at) {
        sensor->exceeded_at = offset;
    }
}

static bool reduce(void *state, const pelton_event *event) {
    struct averages *averages = state;
    if (!pelton_equal(event->type, "reading")) return true;
    pelton_text name;
    struct reading reading = {.at = event->created_at};
    if (!pelton_read_text(pelton_get(event->payload, "sensor"), &name) ||
        !pelton_read_double(pelton_get(event->payload, "value"), &reading.value)) {
        pelton_logf(PELTON_WARN, "skipped `reading` at offset %llu: no sensor or value", (unsigned long long)event->offset);
        return true;
    }
    struct sensor *sensor = find(averages, name);
    take(sensor ? sensor : add(averages, name), reading, event->offset, config());
    return true;
}

static bool answer(const pelton_event *event, pelton_json name, const struct sensor *sensor) {
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_json(&out, "sensor", name);
    if (sensor) {
        pelton_put_double(&out, "average", sensor->average);
    } else {
        pelton_put_null(&out, "average");
    }
    pelton_put_u64(&out, "readings", sensor ? sensor->count : 0);
    pelton_put_u64(&out, "to", event->offset);
    pelton_end(&out);
    return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("average"), .payload = pelton_written(&out)});
}

static bool warn(pelton_json name, const struct sensor *sensor) {
    pelton_writer out = {0};
    pelton_put_object(&out, NULL);
    pelton_put_json(&out, "sensor", name);
    pelton_put_double(&out, "average", sensor->average);
    pelton_put_double(&out, "limit", config().limit);
    pelton_end(&out);
    return pelton_append(&(pelton_new_event){.type = PELTON_TEXT("average/exceeded"), .payload = pelton_written(&out)});
}

static bool after_append(const pelton_event *event, const void *state) {
    pelton_json name = pelton_get(event->payload, "sensor");
    pelton_text text;
    const struct sensor *sensor = pelton_read_text(name, &text) ? find(state, text) : NULL;
    if (pelton_equal(event->type, "average/requested")) return answer(event, name, sensor);
    return !sensor || sensor->exceeded_at != event->offset || warn(name, sensor);
}

const pelton_processor pelton_this = {
    .name = "moving-average",
    .version = "0.1.0",
    .description = "The average of the latest readings of each sensor, when asked and when it exceeds a limit.",
    .consumes = (const char *const[]){"reading", "average/requested", NULL},
    .emits = (const char *const[]){"average", "average/exceeded", NULL},
    .initial_state = "{\"sensors\":{}}",
    .state_size = sizeof(struct averages),
    .read_state = read_state,
    .write_state = write_state,
    .reduce = reduce,
    .after_append = after_append,
};
