/* SPDX-License-Identifier: Apache-2.0 */
#include "topic.h"

#define METHOD_MAX_BYTES 100

/* The fixed beginnings; what follows them differs. */
#define TWIN_GET "$iothub/twin/GET/"
#define TWIN_REPORTED "$iothub/twin/PATCH/properties/reported/"
#define TWIN_DESIRED "$iothub/twin/PATCH/properties/desired/"
#define TWIN_RES "$iothub/twin/res/"
#define METHOD_RES "$iothub/methods/res/"
#define METHOD_POST "$iothub/methods/POST/"

static bool take(struct span *rest, struct span start)
{
    if (!span_starts(*rest, start))
        return false;
    *rest = span_from(*rest, start.len);
    return true;
}

static enum err foreign(struct span text, struct why *why)
{
    return fail(ERR_NOT_FOUND, why, "\"%.*s\" is no topic of the hub", SPAN_ARG(text));
}

/* MQTT 3.1.1, 3.3.2-2, forbids them in what is published; but names of devices and modules may hold
 * them, and clients put those into topics as they are. */
static bool has_wildcard(struct span text)
{
    return span_find(text, '#') < text.len || span_find(text, '+') < text.len;
}

static enum err refuse_wildcard(struct why *why)
{
    return fail(ERR_ARGUMENT, why, "the topic has a wildcard outside of the name of its device");
}

/* ---- the text behind '?': "$rid=…&$version=…" ------------------------------------------------ */

/* What is no number matches no version, as one that never existed: the caller's comparison says so.
 */
static int64_t read_version(struct span text)
{
    uint64_t version = 0;
    return span_u64(text, INT64_MAX, &version) && version > 0 ? (int64_t)version : -1;
}

static enum err read_query(struct span rest, bool needs_rid, struct topic *topic, struct why *why)
{
    struct span part;
    if (!take(&rest, SPAN_LIT("?")))
        rest = SPAN_NONE;
    while (span_cut(&rest, '&', &part)) {
        struct span value = part;
        if (take(&value, SPAN_LIT("$rid=")) || take(&value, SPAN_LIT("%24rid=")))
            topic->rid = value;
        else if (take(&value, SPAN_LIT("$version=")) || take(&value, SPAN_LIT("%24version=")))
            topic->version = read_version(value);
    }
    if (needs_rid && topic->rid.len == 0)
        return fail(ERR_ARGUMENT, why, "the topic has no request id ($rid)");
    return ERR_NONE;
}

/* A decimal number that fits 32 bits, with a sign or not. */
static bool read_status(struct span text, int32_t *ret_status)
{
    bool negative = take(&text, SPAN_LIT("-"));
    uint64_t value = 0;
    if (!span_u64(text, negative ? 2147483648u : 2147483647u, &value))
        return false;
    *ret_status = (int32_t)(negative ? -(int64_t)value : (int64_t)value);
    return true;
}

/* Reads "{status}/?$rid=…". */
static enum err read_answer(struct span rest, struct topic *topic, struct why *why)
{
    struct span status;
    if (!span_cut(&rest, '/', &status) || !read_status(status, &topic->status))
        return fail(ERR_ARGUMENT, why, "the topic has no status, or one that is no number");
    return read_query(rest, true, topic, why);
}

/* ---- topics that name a device --------------------------------------------------------------- */

/* Reads "devices/{d}/" or "devices/{d}/modules/{m}/" where a filter may have "+" for an id. */
static enum err take_owner(
    struct span *rest, const struct topic_owner *owner, bool filter, struct why *why)
{
    struct span whole = *rest;
    struct span device;
    struct span module = SPAN_NONE;
    if (!take(rest, SPAN_LIT("devices/")) || !span_cut(rest, '/', &device))
        return foreign(whole, why);
    if (take(rest, SPAN_LIT("modules/")) && !span_cut(rest, '/', &module))
        return foreign(whole, why);
    bool own_device = span_eq(device, owner->device_id) || (filter && span_is(device, "+"));
    bool own_module = span_eq(module, owner->module_id) ||
                      (filter && owner->module_id.len > 0 && span_is(module, "+"));
    if (!own_device || !own_module)
        return fail(
            ERR_FORBIDDEN, why, "\"%.*s\" belongs to another device or module", SPAN_ARG(whole));
    return ERR_NONE;
}

static struct span strip_bag(struct span bag)
{
    take(&bag, SPAN_LIT("?"));
    if (bag.len > 0 && bag.ptr[bag.len - 1] == '/')
        bag.len--;
    return bag;
}

/* Takes a word and then the '/' or the end. */
static bool take_word(struct span *rest, struct span word)
{
    struct span after = *rest;
    if (!take(&after, word) || (after.len > 0 && !take(&after, SPAN_LIT("/"))))
        return false;
    *rest = after;
    return true;
}

static enum err read_messages(struct span text, const struct topic_owner *owner, struct span word,
    struct topic *topic, struct why *why)
{
    struct span rest = text;
    enum err err = take_owner(&rest, owner, false, why);
    if (err != ERR_NONE)
        return err;
    if (!take_word(&rest, word))
        return foreign(text, why);
    if (has_wildcard(rest))
        return refuse_wildcard(why);
    topic->properties = strip_bag(rest);
    return ERR_NONE;
}

/* ---- parsing --------------------------------------------------------------------------------- */

enum err topic_parse_from_client(
    struct span text, const struct topic_owner *owner, struct topic *ret_topic, struct why *why)
{
    struct topic topic = {0};
    struct span rest = text;
    enum err err;
    if (take(&rest, SPAN_LIT("devices/"))) {
        topic.kind = TOPIC_EVENTS;
        err = read_messages(text, owner, SPAN_LIT("messages/events"), &topic, why);
    } else if (has_wildcard(text)) {
        err = refuse_wildcard(why);
    } else if (take(&rest, SPAN_LIT(TWIN_GET))) {
        topic.kind = TOPIC_TWIN_GET;
        err = read_query(rest, true, &topic, why);
    } else if (take(&rest, SPAN_LIT(TWIN_REPORTED))) {
        topic.kind = TOPIC_TWIN_REPORTED;
        err = read_query(rest, true, &topic, why);
    } else if (take(&rest, SPAN_LIT(METHOD_RES))) {
        topic.kind = TOPIC_METHOD_RESPONSE;
        err = read_answer(rest, &topic, why);
    } else {
        err = foreign(text, why);
    }
    if (err == ERR_NONE)
        *ret_topic = topic;
    return err;
}

static enum err read_method(struct span rest, struct topic *topic, struct why *why)
{
    if (!span_cut(&rest, '/', &topic->method) || topic->method.len == 0)
        return fail(ERR_ARGUMENT, why, "the topic has no method name");
    return read_query(rest, true, topic, why);
}

static enum err read_desired(struct span rest, struct topic *topic, struct why *why)
{
    enum err err = read_query(rest, false, topic, why);
    if (err == ERR_NONE && topic->version <= 0)
        return fail(ERR_ARGUMENT, why, "the topic has no $version");
    return err;
}

enum err topic_parse_from_hub(
    struct span text, const struct topic_owner *owner, struct topic *ret_topic, struct why *why)
{
    struct topic topic = {0};
    struct span rest = text;
    enum err err;
    if (take(&rest, SPAN_LIT(TWIN_RES))) {
        topic.kind = TOPIC_TWIN_RESPONSE;
        err = read_answer(rest, &topic, why);
    } else if (take(&rest, SPAN_LIT(TWIN_DESIRED))) {
        topic.kind = TOPIC_TWIN_DESIRED;
        err = read_desired(rest, &topic, why);
    } else if (take(&rest, SPAN_LIT(METHOD_POST))) {
        topic.kind = TOPIC_METHOD;
        err = read_method(rest, &topic, why);
    } else {
        topic.kind = TOPIC_C2D;
        err = read_messages(text, owner, SPAN_LIT("messages/devicebound"), &topic, why);
    }
    if (err == ERR_NONE)
        *ret_topic = topic;
    return err;
}

static const struct {
    const char *text;
    enum topic_filter filter;
} fixed_filters[] = {
    {TWIN_RES "#", TOPIC_FILTER_TWIN_RESPONSES},
    {TWIN_DESIRED "#", TOPIC_FILTER_TWIN_DESIRED},
    {METHOD_POST "#", TOPIC_FILTER_METHODS},
};

enum err topic_parse_filter(struct span text, const struct topic_owner *owner,
    enum topic_filter *ret_filter, struct why *why)
{
    for (size_t i = 0; i < COUNT_OF(fixed_filters); i++) {
        if (span_is(text, fixed_filters[i].text)) {
            *ret_filter = fixed_filters[i].filter;
            return ERR_NONE;
        }
    }
    struct span rest = text;
    enum err err = take_owner(&rest, owner, true, why);
    if (err != ERR_NONE)
        return err;
    bool module = owner->module_id.len > 0;
    /* The C SDK writes "deviceBound" in some versions. */
    if (span_is(rest, "messages/devicebound/#") || span_is(rest, "messages/deviceBound/#"))
        *ret_filter = TOPIC_FILTER_C2D;
    else if (module && span_is(rest, "inputs/#"))
        *ret_filter = TOPIC_FILTER_INPUTS;
    else if (module && span_is(rest, "#"))
        *ret_filter = TOPIC_FILTER_MODULE;
    else
        return foreign(text, why);
    return ERR_NONE;
}

bool topic_is_will(struct span text, const struct topic_owner *owner, struct span *ret_properties)
{
    struct topic topic = {0};
    if (read_messages(text, owner, SPAN_LIT("messages/events"), &topic, NULL) != ERR_NONE)
        return false;
    *ret_properties = topic.properties;
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_owner(struct buf *out, const struct topic_owner *owner)
{
    buf_add_text(out, "devices/");
    buf_add(out, owner->device_id);
    if (owner->module_id.len > 0) {
        buf_add_text(out, "/modules/");
        buf_add(out, owner->module_id);
    }
    buf_add_byte(out, '/');
}

static void write_rid(struct buf *out, struct span rid)
{
    buf_add_text(out, "?$rid=");
    buf_add(out, rid);
}

static void write_version(struct buf *out, int64_t version)
{
    if (version > 0)
        buf_add_format(out, "&$version=%lld", (long long)version);
}

void topic_write_filter(struct buf *out, enum topic_filter filter, const struct topic_owner *owner)
{
    for (size_t i = 0; i < COUNT_OF(fixed_filters); i++) {
        if (fixed_filters[i].filter == filter) {
            buf_add_text(out, fixed_filters[i].text);
            return;
        }
    }
    write_owner(out, owner);
    buf_add_text(out, filter == TOPIC_FILTER_C2D      ? "messages/devicebound/#"
                      : filter == TOPIC_FILTER_INPUTS ? "inputs/#"
                                                      : "#");
}

void topic_write_twin_response(struct buf *out, int status, struct span rid, int64_t version)
{
    buf_add_format(out, TWIN_RES "%d/", status);
    write_rid(out, rid);
    write_version(out, version);
}

void topic_write_twin_desired(struct buf *out, int64_t version)
{
    buf_add_format(out, TWIN_DESIRED "?$version=%lld", (long long)version);
}

enum err topic_write_method(struct buf *out, struct span method, struct span rid, struct why *why)
{
    if (method.len == 0 || method.len > METHOD_MAX_BYTES)
        return fail(ERR_ARGUMENT, why, "the method name has %zu bytes, allowed are 1 to %d",
            method.len, METHOD_MAX_BYTES);
    if (!span_is_utf8(method))
        return fail(ERR_ARGUMENT, why, "the method name is not UTF-8");
    for (size_t i = 0; i < method.len; i++)
        if (memchr("/+#", method.ptr[i], sizeof("/+#")) != NULL)
            return fail(ERR_ARGUMENT, why, "the method name has a '/', '+', '#' or U+0000");
    buf_add_text(out, METHOD_POST);
    buf_add(out, method);
    buf_add_byte(out, '/');
    write_rid(out, rid);
    return ERR_NONE;
}

void topic_write_c2d(struct buf *out, const struct topic_owner *owner, struct span properties)
{
    write_owner(out, owner);
    buf_add_text(out, "messages/devicebound/");
    buf_add(out, properties);
}

void topic_write_events(struct buf *out, const struct topic_owner *owner, struct span properties)
{
    write_owner(out, owner);
    buf_add_text(out, "messages/events/");
    buf_add(out, properties);
}

void topic_write_twin_get(struct buf *out, struct span rid)
{
    buf_add_text(out, TWIN_GET);
    write_rid(out, rid);
}

void topic_write_twin_reported(struct buf *out, struct span rid, int64_t version)
{
    buf_add_text(out, TWIN_REPORTED);
    write_rid(out, rid);
    write_version(out, version);
}

void topic_write_method_response(struct buf *out, int32_t status, struct span rid)
{
    buf_add_format(out, METHOD_RES "%d/", (int)status);
    write_rid(out, rid);
}
