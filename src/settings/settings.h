/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of the micro agent: what there is (the table, settings.def, one row a setting) and
 * what is in force (struct settings). Everything else follows from the rows: judging a document
 * (verdict.h), what is reported, the JSON Schema and the reference page (settings_doc.h).
 *
 * A `struct settings` always holds a valid value for every setting: it begins as the defaults and
 * only judging puts other values in. It owns its texts. Lists are kept as "a,b,c": trimmed, without
 * empty or repeated items.
 *
 * No I/O, no clock, no global state. Different objects may be used from different threads.
 */
#ifndef GEMEL_SETTINGS_H
#define GEMEL_SETTINGS_H

#include "err.h"
#include "span.h"

/* What a setting belongs to, and so what must start again when it changes. */
enum setting_part {
#define PART(id, name, title) PART_##id,
#define SETTING(id, setting_name, ...)
#include "settings.def"
#undef SETTING
#undef PART
    PART_COUNT
};

#define PART_BIT(part) (UINT32_C(1) << (part))
#define PART_ALL (PART_BIT(PART_COUNT) - 1)

enum setting_id {
#define PART(id, name, title)
#define SETTING(id, setting_name, ...) SETTING_##id,
#include "settings.def"
#undef SETTING
#undef PART
    SETTING_COUNT
};

enum setting_kind {
    SETTING_KIND_BOOL,      /* true or false */
    SETTING_KIND_INT,       /* an integer from `smallest` to `largest` */
    SETTING_KIND_WORD,      /* one of `choices`; the number is the index there */
    SETTING_KIND_TEXT,      /* UTF-8 without control characters; at most `largest` bytes */
    SETTING_KIND_LIST,      /* one string, split at commas, trimmed; at most `largest` bytes */
    SETTING_KIND_INTERVALS, /* "<High>,<Medium>,<Low>": minutes */
};

/* The number of a WORD setting that has the words of settings_frequencies. */
enum frequency { FREQUENCY_LOW, FREQUENCY_MEDIUM, FREQUENCY_HIGH, FREQUENCY_COUNT };

/* What IothubModule_TransportProtocol says: the index of its word. AMQP is accepted with a note,
 * and MQTT is spoken on the way that the word names. */
enum transport {
    TRANSPORT_MQTT,
    TRANSPORT_MQTT_WEBSOCKET,
    TRANSPORT_AMQP,
    TRANSPORT_AMQP_WEBSOCKET
};

/* What LogCollector_Level says: the index of its word. */
enum log_collector_level {
    LOG_COLLECTOR_LEVEL_ERROR,
    LOG_COLLECTOR_LEVEL_WARN,
    LOG_COLLECTOR_LEVEL_INFO,
    LOG_COLLECTOR_LEVEL_DEBUG
};

/* The form that a text, or each item of a list, must have. */
struct setting_form {
    const char *allowed; /* for sentences: "absolute paths" */
    const char *pattern; /* the same as a regular expression (ECMA 262), for the JSON Schema; NULL
                            where only local settings have the form */
    size_t largest_bytes;
    bool (*fits)(struct span item); /* the length is checked before */
};

struct setting {
    const char *name;  /* "Process_CacheSize": the key in desired, reported and conf.json */
    const char *alias; /* a second name that is accepted, or NULL */
    const char *title; /* "Cache size": for a form */
    enum setting_part part;
    enum setting_kind kind;
    bool optional; /* reported only when it is set (not the empty text) */
    bool local;    /* belongs in conf.json; unknown in desired, never reported */
    bool secret;   /* never shown */
    int64_t smallest;
    int64_t largest;
    size_t items_max;           /* of a list */
    const char *const *choices; /* words, or what the numbers of a choice mean; NULL-terminated */
    const struct setting_form *form;
    int64_t default_number;   /* of BOOL, INT, WORD */
    const char *default_text; /* of TEXT, LIST, INTERVALS */
    const char *unit;         /* "minutes", or NULL */
    const char *help;
};

struct setting_part_row {
    const char *name;  /* "Process": as in the keys */
    const char *title; /* "Processes" */
};

/* Return a row; never NULL. The rows stand in alphabetical order of their names. */
const struct setting *setting_row(enum setting_id id);
const struct setting_part_row *setting_part_row(enum setting_part part);

/* Finds a setting by its exact name or alias. False: there is none. */
bool setting_find(struct span name, enum setting_id *ret_id);

struct setting_value {
    int64_t number; /* BOOL 0 or 1, INT itself, WORD the index of its word */
    char *text;     /* TEXT, LIST, INTERVALS: owned; NULL: the row's default */
    bool given;     /* said by conf.json or by desired; else the default */
};

struct settings {
    struct setting_value values[SETTING_COUNT];
};

/* Begins with the defaults of the table; allocates nothing. */
void settings_init(struct settings *ret_settings);

/* Frees the texts, wiping the secret ones; the settings are the defaults afterwards. */
void settings_done(struct settings *settings);

/* Makes a copy in storage that holds nothing yet. ERR_MEMORY. */
enum err settings_copy(const struct settings *settings, struct settings *ret_copy) MUST_USE;

/* Get a value. Asking for a setting of another kind is a bug of the caller's. */
bool settings_bool(const struct settings *settings, enum setting_id id);
int64_t settings_int(const struct settings *settings, enum setting_id id);
enum frequency settings_frequency(const struct settings *settings, enum setting_id id);
enum transport settings_transport(const struct settings *settings);
enum log_collector_level settings_log_collector_level(const struct settings *settings);

/* The text of a TEXT, LIST or INTERVALS setting; "" when it is not set, never NULL. Borrowed. */
const char *settings_text(const struct settings *settings, enum setting_id id);

/*
 * The items of a list, for span_cut(); nothing to cut when the list is empty:
 *
 *     struct span rest = settings_list(settings, SETTING_NETWORK_ACTIVITY_DEVICES), item;
 *     while (span_cut(&rest, ',', &item)) …
 */
struct span settings_list(const struct settings *settings, enum setting_id id);
bool settings_list_has(const struct settings *settings, enum setting_id id, struct span item);

/* How long a frequency is, by CollectorsCore_PriorityIntervals. */
int64_t settings_interval_seconds(const struct settings *settings, enum frequency frequency);

/* Whether a setting has different values. */
bool settings_differ(const struct settings *a, const struct settings *b, enum setting_id id);

/* Returns the parts (PART_BIT) whose settings have different values. */
uint32_t settings_difference(const struct settings *a, const struct settings *b);

extern const char *const settings_frequencies[]; /* "Low", "Medium", "High", NULL */

#endif
