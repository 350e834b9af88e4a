/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include "mem.h"

static const struct setting_value *value_of(
    const struct settings *settings, enum setting_id id, enum setting_kind kind)
{
    must(setting_row(id)->kind == kind);
    return &settings->values[id];
}

void settings_init(struct settings *ret_settings)
{
    for (unsigned id = 0; id < SETTING_COUNT; id++)
        ret_settings->values[id] =
            (struct setting_value){.number = setting_row((enum setting_id)id)->default_number};
}

void settings_done(struct settings *settings)
{
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        char *text = settings->values[id].text;
        if (text != NULL && setting_row((enum setting_id)id)->secret)
            mem_wipe(text, strlen(text));
        mem_free(text);
    }
    settings_init(settings);
}

enum err settings_copy(const struct settings *settings, struct settings *ret_copy)
{
    struct settings copy;
    settings_init(&copy);
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        const struct setting_value *value = &settings->values[id];
        copy.values[id].number = value->number;
        copy.values[id].given = value->given;
        if (value->text == NULL)
            continue;
        copy.values[id].text = mem_text(span_of(value->text));
        if (copy.values[id].text == NULL) {
            settings_done(&copy);
            return ERR_MEMORY;
        }
    }
    *ret_copy = copy;
    return ERR_NONE;
}

bool settings_bool(const struct settings *settings, enum setting_id id)
{
    return value_of(settings, id, SETTING_KIND_BOOL)->number != 0;
}

int64_t settings_int(const struct settings *settings, enum setting_id id)
{
    return value_of(settings, id, SETTING_KIND_INT)->number;
}

enum frequency settings_frequency(const struct settings *settings, enum setting_id id)
{
    must(setting_row(id)->choices == settings_frequencies);
    return (enum frequency)value_of(settings, id, SETTING_KIND_WORD)->number;
}

enum log_collector_level settings_log_collector_level(const struct settings *settings)
{
    return (enum log_collector_level)settings->values[SETTING_LOG_COLLECTOR_LEVEL].number;
}

enum transport settings_transport(const struct settings *settings)
{
    return (enum transport)settings->values[SETTING_IOTHUB_MODULE_TRANSPORT_PROTOCOL].number;
}

const char *settings_text(const struct settings *settings, enum setting_id id)
{
    const struct setting *row = setting_row(id);
    must(row->default_text != NULL);
    return settings->values[id].text == NULL ? row->default_text : settings->values[id].text;
}

struct span settings_list(const struct settings *settings, enum setting_id id)
{
    must(setting_row(id)->kind == SETTING_KIND_LIST);
    struct span list = span_of(settings_text(settings, id));
    return list.len == 0 ? SPAN_NONE : list;
}

bool settings_list_has(const struct settings *settings, enum setting_id id, struct span item)
{
    struct span rest = settings_list(settings, id);
    struct span part;
    while (span_cut(&rest, ',', &part))
        if (span_eq(part, item))
            return true;
    return false;
}

int64_t settings_interval_seconds(const struct settings *settings, enum frequency frequency)
{
    static const int place[FREQUENCY_COUNT] = {
        [FREQUENCY_HIGH] = 0, [FREQUENCY_MEDIUM] = 1, [FREQUENCY_LOW] = 2};
    must((unsigned)frequency < FREQUENCY_COUNT);
    struct span rest = span_of(settings_text(settings, SETTING_COLLECTORS_CORE_PRIORITY_INTERVALS));
    struct span part = SPAN_NONE;
    uint64_t minutes = 0;
    for (int i = 0; i <= place[frequency]; i++)
        must(span_cut(&rest, ',', &part));
    must(span_u64(part, INT32_MAX, &minutes));
    return (int64_t)minutes * 60;
}

bool settings_differ(const struct settings *a, const struct settings *b, enum setting_id id)
{
    if (setting_row(id)->default_text != NULL)
        return strcmp(settings_text(a, id), settings_text(b, id)) != 0;
    return a->values[id].number != b->values[id].number;
}

uint32_t settings_difference(const struct settings *a, const struct settings *b)
{
    uint32_t parts = 0;
    for (unsigned i = 0; i < SETTING_COUNT; i++)
        if (settings_differ(a, b, (enum setting_id)i))
            parts |= PART_BIT(setting_row((enum setting_id)i)->part);
    return parts;
}
