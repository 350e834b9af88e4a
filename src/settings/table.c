/* SPDX-License-Identifier: Apache-2.0 */
#include "form_priv.h"
#include "settings.h"

/* A list fills at most this much, its key included, of the 4,096 bytes of a twin's property; all
 * lists, the texts and the verdict together stay below the 32 KB of a reported section. */
#define LIST_BYTES 4000
#define NAME_BYTES 256

#define A_SWITCH(truth) .kind = SETTING_KIND_BOOL, .default_number = (truth)
#define AN_INTEGER(from, to, number)                                                               \
    .kind = SETTING_KIND_INT, .smallest = (from), .largest = (to), .default_number = (number)
#define A_WORD(words, number)                                                                      \
    .kind = SETTING_KIND_WORD, .choices = (words), .default_number = (number)
#define A_FREQUENCY(which) A_WORD(settings_frequencies, FREQUENCY_##which)
#define A_TEXT(the_form, bytes)                                                                    \
    .kind = SETTING_KIND_TEXT, .form = &(the_form), .largest = (bytes), .default_text = ""
#define A_LIST(the_form, bytes, items, text)                                                       \
    .kind = SETTING_KIND_LIST, .form = &(the_form), .largest = (bytes), .items_max = (items),      \
    .default_text = (text)
#define THE_INTERVALS(from, to, text)                                                              \
    .kind = SETTING_KIND_INTERVALS, .smallest = (from), .largest = (to), .default_text = (text)

#define A_CACHE AN_INTEGER(1, 65536, 256), .unit = "events"
#define A_CACHE_HELP                                                                               \
    "How many different events are kept between two messages; when it is full the oldest is "      \
    "dropped and counted. Without room for one event nothing could be sent; 65536 of them take "   \
    "some ten megabytes, which is what a small device can spare."
#define A_NAME_HELP(what)                                                                          \
    "Overrides the " what                                                                          \
    " on devices that do not tell it themselves (no DMI). The empty text is "                      \
    "the same as none. 256 bytes are four times what DMI strings usually hold."

const char *const settings_frequencies[] = {
    [FREQUENCY_LOW] = "Low", [FREQUENCY_MEDIUM] = "Medium", [FREQUENCY_HIGH] = "High", NULL};

static const char *const transports[] = {[TRANSPORT_MQTT] = "MQTT_Protocol",
    [TRANSPORT_MQTT_WEBSOCKET] = "MQTT_WebSocket_Protocol",
    [TRANSPORT_AMQP] = "AMQP_Protocol",
    [TRANSPORT_AMQP_WEBSOCKET] = "AMQP_WebSocket_Protocol",
    NULL};

static const char *const log_levels[] = {[LOG_COLLECTOR_LEVEL_ERROR] = "Error",
    [LOG_COLLECTOR_LEVEL_WARN] = "Warn",
    [LOG_COLLECTOR_LEVEL_INFO] = "Info",
    [LOG_COLLECTOR_LEVEL_DEBUG] = "Debug",
    NULL};

static const char *const process_modes[] = {"Auto", "Netlink", "Polling", NULL};

static const struct setting rows[SETTING_COUNT] = {
#define PART(id, part_name, part_title)
#define SETTING(id, setting_name, ...) [SETTING_##id] = {.name = setting_name, __VA_ARGS__},
#include "settings.def"
#undef SETTING
#undef PART
};

static const struct setting_part_row parts[PART_COUNT] = {
#define PART(id, part_name, part_title) [PART_##id] = {.name = part_name, .title = part_title},
#define SETTING(id, setting_name, ...)
#include "settings.def"
#undef SETTING
#undef PART
};

_Static_assert(PART_COUNT < 32, "a mask of parts is 32 bits wide");

const struct setting *setting_row(enum setting_id id)
{
    must((unsigned)id < SETTING_COUNT);
    return &rows[id];
}

const struct setting_part_row *setting_part_row(enum setting_part part)
{
    must((unsigned)part < PART_COUNT);
    return &parts[part];
}

bool setting_find(struct span name, enum setting_id *ret_id)
{
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        const struct setting *row = &rows[id];
        if (span_is(name, row->name) || (row->alias != NULL && span_is(name, row->alias))) {
            *ret_id = (enum setting_id)id;
            return true;
        }
    }
    return false;
}
