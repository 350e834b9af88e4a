/* SPDX-License-Identifier: Apache-2.0 */
#include "hub_config.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum config_kind { CONFIG_NUMBER, CONFIG_SIZE, CONFIG_TEXT, CONFIG_LEVEL, CONFIG_CHOICE };

/* One row of hub_config.def. The number's C type is told by its size and sign. */
struct config_row {
    const char *section;
    const char *key;
    enum config_kind kind;
    size_t offset;
    size_t size;
    const char *unit;
    int64_t min;
    int64_t max;
    int64_t number;   /* the default */
    const char *text; /* the default; of a choice its words */
    const char *help;
};

#define PLACE(member) offsetof(struct hub_config, member), sizeof(((struct hub_config *)0)->member)

static const struct config_row rows[] = {
#define SECTION(section, help)
#define NUMBER(section, key, member, unit, min, max, number, help)                                 \
    {#section, #key, CONFIG_NUMBER, PLACE(member), unit, min, max, number, NULL, help},
#define SIZE(section, key, member, min, max, number, help)                                         \
    {#section, #key, CONFIG_SIZE, PLACE(member), "bytes", min, max, number, NULL, help},
#define TEXT(section, key, member, text, help)                                                     \
    {#section, #key, CONFIG_TEXT, PLACE(member), "", 0, 0, 0, text, help},
#define LEVEL(section, key, member, level, help)                                                   \
    {#section, #key, CONFIG_LEVEL, PLACE(member), "", 0, 0, level, NULL, help},
#define CHOICE(section, key, member, words, word, help)                                            \
    {#section, #key, CONFIG_CHOICE, PLACE(member), "", 0, 0, word, words, help},
#include "hub_config.def"
#undef SECTION
#undef NUMBER
#undef SIZE
#undef TEXT
#undef LEVEL
#undef CHOICE
};

static const struct {
    const char *name;
    const char *help;
} sections[] = {
#define SECTION(section, help) {#section, help},
#define NUMBER(...)
#define SIZE(...)
#define TEXT(...)
#define LEVEL(...)
#define CHOICE(...)
#include "hub_config.def"
#undef SECTION
#undef NUMBER
#undef SIZE
#undef TEXT
#undef LEVEL
#undef CHOICE
};

/* ---- writing a value into its place ---------------------------------------------------------- */

static void put_number(struct hub_config *config, const struct config_row *row, int64_t value)
{
    char *place = (char *)config + row->offset;
    if (row->size == sizeof(unsigned)) {
        unsigned narrow = (unsigned)value;
        memcpy(place, &narrow, sizeof(narrow));
    } else {
        must(row->size == sizeof(value)); /* int64_t and size_t have the same bits for these */
        memcpy(place, &value, sizeof(value));
    }
}

static enum err put_text(
    struct hub_config *config, const struct config_row *row, const char *text, struct why *why)
{
    if (strlen(text) >= row->size)
        return fail(ERR_ARGUMENT, why, "%s.%s is longer than %zu bytes", row->section, row->key,
            row->size - 1);
    snprintf((char *)config + row->offset, row->size, "%s", text);
    return ERR_NONE;
}

static void put_default(struct hub_config *config, const struct config_row *row)
{
    if (row->kind == CONFIG_TEXT)
        must(put_text(config, row, row->text, NULL) == ERR_NONE);
    else
        put_number(config, row, row->number);
}

void hub_config_default(struct hub_config *ret_config)
{
    memset(ret_config, 0, sizeof(*ret_config));
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        put_default(ret_config, &rows[i]);
}

/* ---- reading a value ------------------------------------------------------------------------- */

static const struct {
    const char *suffix;
    int64_t factor;
} size_suffixes[] = {
    {"", 1},
    {"KiB", 1024},
    {"MiB", 1024 * 1024},
    {"GiB", 1024 * 1024 * 1024},
};

static bool read_number(enum config_kind kind, const char *text, int64_t *ret_value)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0)
        return false;
    while (*end == ' ')
        end++;
    size_t choices = kind == CONFIG_SIZE ? COUNT_OF(size_suffixes) : 1;
    for (size_t i = 0; i < choices; i++)
        if (strcmp(end, size_suffixes[i].suffix) == 0)
            return !__builtin_mul_overflow(value, size_suffixes[i].factor, ret_value);
    return false;
}

static struct span word_at(const struct config_row *row, int64_t place)
{
    struct span words = span_of(row->text);
    struct span word = SPAN_NONE;
    while (place-- >= 0 && span_cut(&words, ' ', &word)) {
    }
    return word;
}

static enum err put_choice(
    struct hub_config *config, const struct config_row *row, const char *text, struct why *why)
{
    struct span words = span_of(row->text);
    struct span word;
    for (int64_t place = 0; span_cut(&words, ' ', &word); place++) {
        if (!span_is(word, text))
            continue;
        put_number(config, row, place);
        return ERR_NONE;
    }
    return fail(ERR_ARGUMENT, why, "%s.%s is \"%s\": allowed are %s", row->section, row->key, text,
        row->text);
}

static enum err put_value(
    struct hub_config *config, const struct config_row *row, const char *text, struct why *why)
{
    if (row->kind == CONFIG_TEXT)
        return put_text(config, row, text, why);
    if (row->kind == CONFIG_LEVEL) {
        enum log_level level;
        if (!log_level_parse(text, &level))
            return fail(ERR_ARGUMENT, why, "%s.%s is \"%s\": allowed are error, warn, info, debug",
                row->section, row->key, text);
        put_number(config, row, level);
        return ERR_NONE;
    }
    if (row->kind == CONFIG_CHOICE)
        return put_choice(config, row, text, why);
    int64_t value = 0;
    if (!read_number(row->kind, text, &value) || value < row->min || value > row->max)
        return fail(ERR_ARGUMENT, why,
            "%s.%s is \"%s\": allowed are whole numbers from %" PRId64 " to %" PRId64 "%s",
            row->section, row->key, text, row->min, row->max,
            row->kind == CONFIG_SIZE ? ", also with KiB, MiB, GiB" : "");
    put_number(config, row, value);
    return ERR_NONE;
}

/* ---- finding a row --------------------------------------------------------------------------- */

/* Edits (insert, drop, change) that lead from one text to the other; texts here are short. */
static size_t distance(const char *from, const char *to)
{
    enum { LONGEST = 64 };
    size_t length = strlen(to);
    if (length >= LONGEST)
        return SIZE_MAX;
    size_t line[LONGEST];
    for (size_t k = 0; k <= length; k++)
        line[k] = k;
    for (size_t i = 0; from[i] != '\0'; i++) {
        size_t diagonal = line[0];
        line[0] = i + 1;
        for (size_t k = 0; k < length; k++) {
            size_t best = diagonal + (from[i] != to[k]);
            diagonal = line[k + 1];
            if (diagonal + 1 < best)
                best = diagonal + 1;
            if (line[k] + 1 < best)
                best = line[k] + 1;
            line[k + 1] = best;
        }
    }
    return line[length];
}

static enum err refuse_key(const char *section, const char *key, struct why *why)
{
    const struct config_row *nearest = &rows[0];
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        /* A wrong section weighs little: the key is what people remember. */
        size_t edits =
            2 * distance(key, rows[i].key) + (strcmp(section, rows[i].section) == 0 ? 0 : 1);
        if (edits < best) {
            best = edits;
            nearest = &rows[i];
        }
    }
    char hint[128] = ""; /* none where nothing is near */
    if (best / 2 <= strlen(key) / 2)
        snprintf(hint, sizeof(hint), " (the nearest is %s.%s)", nearest->section, nearest->key);
    if (section[0] == '\0')
        return fail(ERR_ARGUMENT, why, "%s stands before any [section]%s", key, hint);
    return fail(ERR_ARGUMENT, why, "there is no setting %s.%s%s", section, key, hint);
}

static enum err set_key(struct hub_config *config, const char *section, const char *key,
    const char *value, struct why *why)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i].section, section) == 0 && strcmp(rows[i].key, key) == 0)
            return put_value(config, &rows[i], value, why);
    return refuse_key(section, key, why);
}

/* ---- sources --------------------------------------------------------------------------------- */

/* What is read on, and who hears what is wrong with it. */
struct loading {
    struct hub_config config;
    hub_config_complaint *complain;
    void *self;
    enum err err; /* the first */
};

static void complain(struct loading *loading, enum err err, const struct why *why)
{
    if (loading->err == ERR_NONE)
        loading->err = err;
    loading->complain(loading->self, why);
}

struct ini_file {
    struct loading *loading;
    const char *path;
    FILE *stream;
    int line; /* that was read last */
};

/* inih asks for a line, and tells what it says before it asks for the next. */
static char *read_line(char *text, int size, void *self)
{
    struct ini_file *file = self;
    file->line++;
    return fgets(text, size, file->stream);
}

static int take_ini_value(void *user, const char *section, const char *key, const char *value)
{
    struct ini_file *file = user;
    struct why why = {""};
    enum err err = set_key(&file->loading->config, section, key, value == NULL ? "" : value, &why);
    if (err != ERR_NONE) {
        why_prefix(&why, "%s, line %d", file->path, file->line);
        complain(file->loading, err, &why);
    }
    return 1;
}

static void read_file(struct loading *loading, const char *path)
{
    struct why why = {""};
    struct ini_file file = {.loading = loading, .path = path, .stream = fopen(path, "re")};
    int line = file.stream == NULL ? 0 : ini_parse_stream(read_line, &file, take_ini_value, &file);
    if (file.stream == NULL || ferror(file.stream)) {
        enum err err = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
        why_set(&why, "%s: %s", path, strerror(errno));
        complain(loading, err, &why);
    } else if (line != 0) {
        why_set(&why, "%s, line %d: this is neither [section] nor key = value", path, line);
        complain(loading, ERR_ARGUMENT, &why);
    }
    if (file.stream != NULL)
        fclose(file.stream);
}

static enum err read_set(struct hub_config *config, const char *text, struct why *why)
{
    struct span value = span_of(text);
    struct span name;
    struct span section;
    char section_text[64];
    char key_text[64];
    bool complete = span_find(value, '=') < value.len && span_cut(&value, '=', &name) &&
                    span_find(name, '.') < name.len && span_cut(&name, '.', &section) &&
                    span_copy(section, section_text, sizeof(section_text)) &&
                    span_copy(name, key_text, sizeof(key_text));
    if (!complete)
        return fail(ERR_ARGUMENT, why, "\"%s\" is not of the form section.key=value", text);
    return set_key(config, section_text, key_text, strchr(text, '=') + 1, why);
}

static void load(
    struct loading *loading, const char *file, const char *const *sets, size_t set_count)
{
    struct hub_config *config = &loading->config;
    struct why why = {""};
    hub_config_default(config);
    if (file != NULL)
        read_file(loading, file);
    for (size_t i = 0; i < set_count; i++) {
        enum err err = read_set(config, sets[i], &why);
        if (err != ERR_NONE)
            complain(loading, err, &why);
    }
    if (config->gateway.packet_bytes < config->limits.event_bytes + 4096) {
        why_set(&why,
            "gateway.packet_bytes (%zu) must be at least 4096 more than limits.event_bytes (%zu)",
            config->gateway.packet_bytes, config->limits.event_bytes);
        complain(loading, ERR_ARGUMENT, &why);
    }
}

enum err hub_config_check(const char *file, const char *const *sets, size_t set_count,
    hub_config_complaint *complain_to, void *self)
{
    struct loading loading = {.complain = complain_to, .self = self};
    load(&loading, file, sets, set_count);
    return loading.err;
}

static void keep_first(void *self, const struct why *why)
{
    struct why *first = self;
    if (first != NULL && first->text[0] == '\0')
        *first = *why;
}

enum err hub_config_load(const char *file, const char *const *sets, size_t set_count,
    struct hub_config *ret_config, struct why *why)
{
    struct why first = {""};
    struct loading loading = {.complain = keep_first, .self = &first};
    load(&loading, file, sets, set_count);
    if (loading.err != ERR_NONE)
        return fail(loading.err, why, "%s", first.text);
    *ret_config = loading.config;
    return ERR_NONE;
}

/* ---- reference and example ------------------------------------------------------------------- */

static void write_size(struct buf *out, int64_t bytes)
{
    size_t i = COUNT_OF(size_suffixes) - 1;
    while (i > 0 && (bytes == 0 || bytes % size_suffixes[i].factor != 0))
        i--;
    buf_add_format(out, "%" PRId64 "%s%s", bytes / size_suffixes[i].factor, i > 0 ? " " : "",
        size_suffixes[i].suffix);
}

static void write_default(struct buf *out, const struct config_row *row)
{
    if (row->kind == CONFIG_TEXT)
        buf_add_text(out, row->text);
    else if (row->kind == CONFIG_LEVEL)
        buf_add_text(out, log_level_name((enum log_level)row->number));
    else if (row->kind == CONFIG_CHOICE)
        buf_add(out, word_at(row, row->number));
    else if (row->kind == CONFIG_SIZE)
        write_size(out, row->number);
    else
        buf_add_format(out, "%" PRId64, row->number);
}

static void write_range(struct buf *out, const struct config_row *row)
{
    if (row->kind == CONFIG_TEXT) {
        buf_add_format(out, "text, up to %zu bytes", row->size - 1);
    } else if (row->kind == CONFIG_LEVEL) {
        buf_add_text(out, "a level");
    } else if (row->kind == CONFIG_CHOICE) {
        buf_add_text(out, row->text);
    } else if (row->kind == CONFIG_SIZE) {
        write_size(out, row->min);
        buf_add_text(out, " to ");
        if (row->max == INT64_MAX)
            buf_add_text(out, "any");
        else
            write_size(out, row->max);
    } else {
        buf_add_format(out, "%" PRId64 " to %" PRId64 "%s%s", row->min, row->max,
            row->unit[0] == '\0' ? "" : " ", row->unit);
    }
}

void hub_config_write_reference(struct buf *out)
{
    buf_add_text(out,
        "# Configuration of gemel-hub\n\n"
        "<!-- Written by gemel-hub check-config --reference from src/hub/hub_config.def: change it "
        "there. -->\n\n"
        "An INI file, given with `--config FILE`; single settings with `--set section.key=value`, "
        "which win. `gemel-hub check-config` judges both. Sizes may end in KiB, MiB or GiB.\n");
    for (size_t s = 0; s < COUNT_OF(sections); s++) {
        buf_add_format(out, "\n## [%s]\n\n%s\n\n| key | default | allowed | |\n|---|---|---|---|\n",
            sections[s].name, sections[s].help);
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            if (strcmp(rows[i].section, sections[s].name) != 0)
                continue;
            buf_add_format(out, "| `%s` | ", rows[i].key);
            write_default(out, &rows[i]);
            buf_add_text(out, " | ");
            write_range(out, &rows[i]);
            buf_add_format(out, " | %s |\n", rows[i].help);
        }
    }
}

void hub_config_write_example(struct buf *out)
{
    buf_add_text(
        out, "# Configuration of gemel-hub. Every setting stands here with its default.\n");
    for (size_t s = 0; s < COUNT_OF(sections); s++) {
        buf_add_format(out, "\n# %s\n[%s]\n", sections[s].help, sections[s].name);
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            if (strcmp(rows[i].section, sections[s].name) != 0)
                continue;
            buf_add_format(out, "# %s\n#%s = ", rows[i].help, rows[i].key);
            write_default(out, &rows[i]);
            buf_add_byte(out, '\n');
        }
    }
}
