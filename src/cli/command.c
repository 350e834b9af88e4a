/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "commands.h"

#include <stdio.h>

const struct option_row option_rows[OPTION_COUNT] = {
#define OPTION(id, name, alias, letter, value, choices, help)                                      \
    [OPTION_##id] = {name, alias, letter, value, choices, help},
#include "options.def"
#undef OPTION
};

static const struct column columns_nothing[] = {{0}};
static const struct column columns_device[] = {
    {"DeviceId", "deviceId", 0},
    {"Status", "status", 0},
    {"Connection", "connectionState", 0},
    {"Authentication", "authentication.type", 0},
    {"LastActivity", "lastActivityTime", 0},
    {0},
};
static const struct column columns_module[] = {
    {"DeviceId", "deviceId", 0},
    {"ModuleId", "moduleId", 0},
    {"Connection", "connectionState", 0},
    {"Authentication", "authentication.type", 0},
    {"LastActivity", "lastActivityTime", 0},
    {0},
};
static const struct column columns_device_twin[] = {
    {"DeviceId", "deviceId", 0},
    {"Status", "status", 0},
    {"Connection", "connectionState", 0},
    {"Version", "version", 0},
    {"Desired", "properties.desired.$version", 0},
    {"Reported", "properties.reported.$version", 0},
    {"Etag", "etag", 0},
    {0},
};
static const struct column columns_module_twin[] = {
    {"DeviceId", "deviceId", 0},
    {"ModuleId", "moduleId", 0},
    {"Connection", "connectionState", 0},
    {"Version", "version", 0},
    {"Desired", "properties.desired.$version", 0},
    {"Reported", "properties.reported.$version", 0},
    {"Verdict", "properties.reported.latest_state", 0},
    {"Etag", "etag", 0},
    {0},
};
static const struct column columns_history[] = {
    {"Id", "id", 0},
    {"Time", "time", 0},
    {"Author", "author", 0},
    {"From", "from", 0},
    {"Address", "address", 0},
    {"Kind", "kind", 0},
    {"Changed", "changed", 0},
    {0},
};
static const struct column columns_connection_string[] = {
    {"ConnectionString", "connectionString", 0},
    {0},
};
static const struct column columns_event[] = {
    {"Sequence", "sequenceNumber", 10},
    {"Enqueued", "enqueuedTime", 28},
    {"DeviceId", "deviceId", 16},
    {"ModuleId", "moduleId", 22},
    {"Body", "body", 4},
    {0},
};
static const struct column columns_method[] = {
    {"Status", "status", 0},
    {"Payload", "payload", 0},
    {0},
};
static const struct column columns_hub[] = {
    {"Name", "name", 0},
    {"HostNames", "hostNames", 0},
    {"Created", "createdTime", 0},
    {0},
};

const struct command command_rows[] = {
#define GROUP(path, help) {path, NULL, LOGIN_NOBODY, columns_nothing, 0, 0, help, NULL},
#define COMMAND(path, run, login, columns, needs, takes, help, example)                            \
    {path, run, LOGIN_##login, columns_##columns, needs, takes, help, example},
#include "commands.def"
#undef GROUP
#undef COMMAND
};
const size_t command_count = COUNT_OF(command_rows);

const struct command *command_find(struct span path)
{
    for (size_t i = 0; i < command_count; i++)
        if (span_is(path, command_rows[i].path))
            return &command_rows[i];
    return NULL;
}

bool command_is_below(const struct command *command, const struct command *group)
{
    struct span path = span_of(command->path);
    if (group != NULL) {
        struct span start = span_of(group->path);
        if (!span_starts(path, start) || path.len <= start.len || path.ptr[start.len] != ' ')
            return false;
        path = span_from(path, start.len + 1);
    }
    return span_find(path, ' ') == path.len;
}

/* ---- parsing --------------------------------------------------------------------------------- */

struct parser {
    int count;
    char *const *words;
    int at;
    bool only_words; /* behind "--" */
    char path[PATH_MAX_BYTES];
    struct arguments *arguments;
    struct why *why;
};

static bool find_option(struct span name, enum option *ret_option)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        bool by_letter =
            name.len == 2 && name.ptr[0] == '-' && row->letter != 0 && name.ptr[1] == row->letter;
        if (by_letter || span_is(name, row->name) ||
            (row->alias != NULL && span_is(name, row->alias))) {
            *ret_option = (enum option)i;
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *choices, const char *value)
{
    struct span rest = span_of(choices);
    struct span word;
    while (span_cut(&rest, ' ', &word))
        if (span_is(word, value))
            return true;
    return false;
}

static enum err put_value(struct parser *parser, enum option option, const char *value)
{
    struct arguments *arguments = parser->arguments;
    const struct option_row *row = &option_rows[option];
    if (row->choices != NULL && !is_choice(row->choices, value))
        return fail(ERR_ARGUMENT, parser->why, "%s is \"%s\", allowed are: %s", row->name, value,
            row->choices);
    if (row->value != NULL && value[0] == '\0')
        return fail(ERR_ARGUMENT, parser->why, "%s is empty", row->name);
    if (option == OPTION_HOST_NAME || option == OPTION_PROPERTY) {
        if (arguments->repeated_count == REPEATED_MAX)
            return fail(ERR_ARGUMENT, parser->why, "more than %d times one option", REPEATED_MAX);
        arguments->repeated[arguments->repeated_count++] = value;
    } else if (has_option(arguments, option) && row->value != NULL) {
        return fail(ERR_ARGUMENT, parser->why, "%s is given twice", row->name);
    }
    arguments->values[option] = value;
    return ERR_NONE;
}

/* Reads "--name value", "--name=value", "-n value" or "-nvalue". */
static enum err read_option(struct parser *parser, const char *word)
{
    bool is_long = word[1] == '-';
    struct span text = span_of(word);
    struct span name = is_long ? span_first(text, span_find(text, '=')) : span_first(text, 2);
    enum option option;
    if (!find_option(name, &option))
        return fail(ERR_ARGUMENT, parser->why, "there is no option %.*s", SPAN_ARG(name));
    const struct option_row *row = &option_rows[option];
    bool attached = name.len < text.len;
    if (row->value == NULL && attached)
        return fail(ERR_ARGUMENT, parser->why, "%s takes no value", row->name);
    if (row->value == NULL)
        return put_value(parser, option, "");
    if (attached)
        return put_value(parser, option, word + name.len + (is_long ? 1 : 0));
    const char *next = parser->at < parser->count ? parser->words[parser->at] : NULL;
    if (next == NULL || strncmp(next, "--", 2) == 0)
        return fail(ERR_ARGUMENT, parser->why, "%s needs a value: %s", row->name, row->value);
    parser->at++;
    return put_value(parser, option, next);
}

/* Adds a word to the path; it must lead on in the tree. */
static enum err read_word(struct parser *parser, const char *word)
{
    struct arguments *arguments = parser->arguments;
    char path[PATH_MAX_BYTES];
    int len = snprintf(
        path, sizeof(path), "%s%s%s", parser->path, parser->path[0] == '\0' ? "" : " ", word);
    const struct command *found =
        len < 0 || (size_t)len >= sizeof(path) ? NULL : command_find(span_of(path));
    if (found == NULL && arguments->command != NULL && arguments->command->run != NULL)
        return fail(ERR_ARGUMENT, parser->why, "\"%s\" has no place behind \"%s\"", word,
            arguments->command->path);
    if (found == NULL)
        return fail(ERR_ARGUMENT, parser->why, "there is no command \"%s%s%s\"", parser->path,
            parser->path[0] == '\0' ? "" : " ", word);
    memcpy(parser->path, path, sizeof(path));
    arguments->command = found;
    return ERR_NONE;
}

static enum err read_all(struct parser *parser)
{
    while (parser->at < parser->count) {
        const char *word = parser->words[parser->at++];
        enum err err = ERR_NONE;
        bool first = parser->arguments->command == NULL;
        if (parser->only_words || word[0] != '-' || word[1] == '\0')
            if (first && strcmp(word, "help") == 0)
                parser->arguments->values[OPTION_HELP] = "";
            else
                err = read_word(parser, word);
        else if (strcmp(word, "--") == 0)
            parser->only_words = true;
        else
            err = read_option(parser, word);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

static enum err check_options(const struct arguments *arguments, struct why *why)
{
    const struct command *command = arguments->command;
    unsigned long long known = command->needs | command->takes | GLOBALS;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        bool given = arguments->values[i] != NULL;
        if (given && (known >> i & 1) == 0)
            return fail(
                ERR_ARGUMENT, why, "\"%s\" takes no %s", command->path, option_rows[i].name);
        if (!given && (command->needs >> i & 1) != 0)
            return fail(ERR_ARGUMENT, why, "\"%s\" needs %s", command->path, option_rows[i].name);
    }
    return ERR_NONE;
}

enum err arguments_parse(
    int count, char *const *words, struct arguments *ret_arguments, struct why *why)
{
    struct parser parser = {.count = count, .words = words, .arguments = ret_arguments, .why = why};
    *ret_arguments = (struct arguments){0};
    enum err err = read_all(&parser);
    if (err != ERR_NONE || has_option(ret_arguments, OPTION_HELP) ||
        has_option(ret_arguments, OPTION_VERSION))
        return err;
    if (ret_arguments->command == NULL)
        return fail(ERR_ARGUMENT, why, "no command is given");
    if (ret_arguments->command->run == NULL)
        return fail(
            ERR_ARGUMENT, why, "\"%s\" is a group of commands", ret_arguments->command->path);
    return check_options(ret_arguments, why);
}
