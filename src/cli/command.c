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
static const struct column columns_sent[] = {
    {"Sequence", "sequenceNumber", 0},
    {"MessageId", "messageId", 0},
    {"Enqueued", "enqueuedTimeUtc", 0},
    {"Expires", "expiryTimeUtc", 0},
    {"Outcome", "statusCode", 0},
    {0},
};
static const struct column columns_received[] = {
    {"MessageId", "messageId", 0},
    {"Etag", "etag", 0},
    {"Deliveries", "deliveryCount", 0},
    {"Ack", "ack", 0},
    {"Data", "data", 0},
    {"Properties", "properties", 0},
    {0},
};
static const struct column columns_purged[] = {
    {"DeviceId", "deviceId", 0},
    {"ModuleId", "moduleId", 0},
    {"Purged", "totalMessagesPurged", 0},
    {0},
};
static const struct column columns_feedback[] = {
    {"Sequence", "sequenceNumber", 0},
    {"DeviceId", "deviceId", 0},
    {"MessageId", "originalMessageId", 0},
    {"Outcome", "statusCode", 0},
    {"Time", "enqueuedTimeUtc", 0},
    {0},
};
static const struct column columns_configuration[] = {
    {"Id", "id", 0},
    {"Priority", "priority", 0},
    {"TargetCondition", "targetCondition", 0},
    {"Targeted", "systemMetrics.results.targetedCount", 0},
    {"Applied", "systemMetrics.results.appliedCount", 0},
    {"Updated", "lastUpdatedTimeUtc", 0},
    {0},
};
static const struct column columns_certificate[] = {
    {"Name", "name", 0},
    {"Subject", "properties.subject", 0},
    {"Expiry", "properties.expiry", 0},
    {"Thumbprint", "properties.thumbprint", 0},
    {"Etag", "etag", 0},
    {0},
};
static const struct column columns_enrollment[] = {
    {"Id", "registrationId", 0},
    {"DeviceId", "deviceId", 0},
    {"Attestation", "attestation.type", 0},
    {"Status", "provisioningStatus", 0},
    {"Registered", "registrationState.lastUpdatedDateTimeUtc", 0},
    {"Updated", "lastUpdatedDateTimeUtc", 0},
    {0},
};
static const struct column columns_enrollment_group[] = {
    {"Id", "enrollmentGroupId", 0},
    {"Attestation", "attestation.type", 0},
    {"Status", "provisioningStatus", 0},
    {"Updated", "lastUpdatedDateTimeUtc", 0},
    {"Etag", "etag", 0},
    {0},
};
static const struct column columns_registration[] = {
    {"Id", "registrationId", 0},
    {"DeviceId", "deviceId", 0},
    {"Status", "status", 0},
    {"Hub", "assignedHub", 0},
    {"Created", "createdDateTimeUtc", 0},
    {"Updated", "lastUpdatedDateTimeUtc", 0},
    {0},
};
static const struct column columns_device_key[] = {
    {"DeviceKey", "deviceKey", 0},
    {0},
};
static const struct column columns_job[] = {
    {"JobId", "jobId", 0},
    {"Type", "type", 0},
    {"Status", "status", 0},
    {"Devices", "deviceJobStatistics.deviceCount", 0},
    {"Succeeded", "deviceJobStatistics.succeededCount", 0},
    {"Failed", "deviceJobStatistics.failedCount", 0},
    {"Running", "deviceJobStatistics.runningCount", 0},
    {"Pending", "deviceJobStatistics.pendingCount", 0},
    {0},
};
static const struct column columns_exported[] = {
    {"Devices", "devices", 0},
    {"Modules", "modules", 0},
    {"Keys", "keys", 0},
    {0},
};
static const struct column columns_imported[] = {
    {"Done", "done", 0},
    {"Skipped", "skipped", 0},
    {"Refused", "refused", 0},
    {"Warnings", "warnings", 0},
    {"NewKeys", "newKeys", 0},
    {"Seconds", "seconds", 0},
    {"Complete", "complete", 0},
    {0},
};
static const struct column columns_statistics[] = {
    {"Devices", "totalDeviceCount", 0},
    {"Enabled", "enabledDeviceCount", 0},
    {"Disabled", "disabledDeviceCount", 0},
    {"Connected", "connectedDeviceCount", 0},
    {0},
};
static const struct column columns_hub[] = {
    {"Name", "name", 0},
    {"HostNames", "hostNames", 0},
    {"Created", "createdTime", 0},
    {0},
};

const struct command command_rows[] = {
#define GROUP(path, help) {path, NULL, LOGIN_NOBODY, columns_nothing, help, NULL},
#define COMMAND(path, run, login, columns, needs, takes, help, example)                            \
    {path, run, LOGIN_##login, columns_##columns, help, example},
#include "commands.def"
#undef GROUP
#undef COMMAND
};
const size_t command_count = COUNT_OF(command_rows);

/* The options of each command, as bits. There are more than one integer has: the rows are read once
 * for each word. */
#define WORD_BITS 64
#define WORDS 2
_Static_assert(OPTION_COUNT <= WORD_BITS * WORDS, "the options do not fit");

static const struct {
    unsigned long long needs;
    unsigned long long takes;
} command_options[WORDS][COUNT_OF(command_rows)] = {
#define GROUP(path, help) {0, 0},
#define COMMAND(path, run, login, columns, needs, takes, help, example) {needs, takes},
#define BIT(id) (OPTION_##id / WORD_BITS == WORD ? 1ull << OPTION_##id % WORD_BITS : 0)
    {
#define WORD 0
#include "commands.def"
#undef WORD
    },
    {
#define WORD 1
#include "commands.def"
#undef WORD
    },
#undef GROUP
#undef COMMAND
#undef BIT
};

bool command_needs(const struct command *command, enum option option)
{
    size_t at = (size_t)(command - command_rows);
    return (command_options[option / WORD_BITS][at].needs >> option % WORD_BITS & 1) != 0;
}

bool command_takes(const struct command *command, enum option option)
{
    size_t at = (size_t)(command - command_rows);
    return command_needs(command, option) ||
           (command_options[option / WORD_BITS][at].takes >> option % WORD_BITS & 1) != 0;
}

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

static bool has_name(const struct option_row *row, struct span name)
{
    bool by_letter =
        name.len == 2 && name.ptr[0] == '-' && row->letter != 0 && name.ptr[1] == row->letter;
    return by_letter || span_is(name, row->name) ||
           (row->alias != NULL && span_is(name, row->alias));
}

/* Options of different commands may have the same name: the one that the command takes is meant,
 * else any, so that the refusal can name it. */
static bool find_option(const struct command *command, struct span name, enum option *ret_option)
{
    bool found = false;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (!has_name(&option_rows[i], name))
            continue;
        bool taken = command != NULL && command_takes(command, i);
        if (taken || !found)
            *ret_option = (enum option)i;
        found = true;
        if (taken)
            break;
    }
    return found;
}

static bool may_have_several(const struct option_row *row)
{
    size_t len = row->value == NULL ? 0 : strlen(row->value);
    return len > 3 && strcmp(row->value + len - 3, "...") == 0;
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
    if (may_have_several(row)) {
        if (arguments->repeated_count == REPEATED_MAX)
            return fail(
                ERR_ARGUMENT, parser->why, "%s has more than %d values", row->name, REPEATED_MAX);
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
    enum option option = OPTION_COUNT;
    if (!find_option(parser->arguments->command, name, &option))
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
    enum err err = put_value(parser, option, next);
    /* As az has it: -d ONE TWO THREE. */
    while (err == ERR_NONE && may_have_several(row) && parser->arguments->command != NULL &&
           parser->arguments->command->run != NULL && parser->at < parser->count &&
           parser->words[parser->at][0] != '-')
        err = put_value(parser, option, parser->words[parser->at++]);
    return err;
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
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        bool given = arguments->values[i] != NULL;
        if (given && i < OPTION_FIRST_GLOBAL && !command_takes(command, i))
            return fail(
                ERR_ARGUMENT, why, "\"%s\" takes no %s", command->path, option_rows[i].name);
        if (!given && command_needs(command, i))
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
