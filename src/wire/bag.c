/* SPDX-License-Identifier: Apache-2.0 */
#include "bag.h"

#include "urlcode.h"

/* The names are those under which IoT Hub's event endpoint shows them. */
const struct bag_system bag_systems[] = {
    {"$.mid", "message-id", true},
    {"$.cid", "correlation-id", true},
    {"$.uid", "user-id", true},
    {"$.to", "to", true},
    {"$.exp", "absolute-expiry-time", true},
    {"$.ct", "content-type", true},
    {"$.ce", "content-encoding", true},
    {"$.ctime", "iothub-creation-time-utc", true},
    {"$.on", "iothub-outputname", true},
    {"$.ifid", "iothub-interface-id", true},
    {"$.sub", "dt-subject", true},
    {"$.schema", "iothub-message-schema", true},
    {"$.diagid", "Diagnostic-Id", true},
    {"$.diagctx", "Correlation-Context", true},
    {"$.cdid", "iothub-connection-device-id", false},
    {"$.cmid", "iothub-connection-module-id", false},
};
const size_t bag_system_count = COUNT_OF(bag_systems);

enum err bag_next(
    struct arena *arena, struct span *rest, struct bag_item *ret_item, struct why *why)
{
    struct span part;
    do {
        if (!span_cut(rest, '&', &part))
            return ERR_NOT_FOUND;
    } while (part.len == 0);
    size_t equals = span_find(part, '=');
    struct bag_item item = {.has_value = equals < part.len};
    if (equals == 0)
        return fail(ERR_FORMAT, why, "a property has no name");
    enum err err = url_decode_text(arena, span_first(part, equals), &item.key, why);
    if (err == ERR_NONE)
        err = url_decode_text(arena, span_from(part, equals + 1), &item.value, why);
    if (err != ERR_NONE) {
        why_prefix(why, "property \"%.*s\"", SPAN_ARG(span_first(part, equals)));
        return err;
    }
    *ret_item = item;
    return ERR_NONE;
}

void bag_add_null(struct bag_writer *writer, struct span key)
{
    if (writer->any)
        buf_add_byte(writer->out, '&');
    writer->any = true;
    url_encode(key, writer->out);
}

void bag_add(struct bag_writer *writer, struct span key, struct span value)
{
    bag_add_null(writer, key);
    buf_add_byte(writer->out, '=');
    url_encode(value, writer->out);
}

const struct bag_system *bag_system_by_key(struct span key)
{
    if (!span_starts(key, SPAN_LIT("$.")))
        return NULL;
    for (size_t i = 0; i < bag_system_count; i++)
        if (span_is(key, bag_systems[i].key))
            return &bag_systems[i];
    return NULL;
}

const struct bag_system *bag_system_by_name(struct span name)
{
    for (size_t i = 0; i < bag_system_count; i++)
        if (span_is(name, bag_systems[i].name))
            return &bag_systems[i];
    return NULL;
}
