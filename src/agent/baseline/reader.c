/* SPDX-License-Identifier: Apache-2.0 */
#include "reader_priv.h"

#include "probe_priv.h"

#include <limits.h>
#include <stdio.h>

#define WORD_BYTES_MAX 256u
#define TEXT_BYTES_MAX 2000u

struct reader {
    struct arena *arena;
    struct span text;
    struct why *why;
};

/* ---- sentences ------------------------------------------------------------------------------- */

/* Refuses the file; the sentence begins with the place of a value. */
static enum err refuse(const struct reader *reader, const struct json *at, const char *format, ...)
    PRINTF_LIKE(3, 4);
static enum err refuse(const struct reader *reader, const struct json *at, const char *format, ...)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at->offset && i < reader->text.len; i++) {
        column++;
        if (reader->text.ptr[i] == '\n') {
            line++;
            column = 1;
        }
    }
    char sentence[sizeof(reader->why->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    return fail(ERR_FORMAT, reader->why, "line %zu, column %zu: %s", line, column, sentence);
}

static enum err lacks(const struct reader *reader, const struct json *object, const char *name)
{
    return refuse(reader, object, "\"%s\" is missing", name);
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool is_word(const struct json *value)
{
    if (!json_is(value, JSON_STRING) || value->text.len == 0 || value->text.len > WORD_BYTES_MAX)
        return false;
    for (size_t i = 0; i < value->text.len; i++)
        if (value->text.ptr[i] <= ' ' || value->text.ptr[i] > '~')
            return false;
    return true;
}

/* Words, or paths with patterns. */
static bool are_words(const struct json *value, bool paths)
{
    if (!json_is(value, JSON_ARRAY) || value->count == 0 || value->count > 64)
        return false;
    json_each (item, value)
        if (!is_word(item) || (paths && item->text.ptr[0] != '/'))
            return false;
    return true;
}

static bool is_path(const struct json *value)
{
    return is_word(value) && value->text.ptr[0] == '/' && !root_is_pattern(value->text.ptr);
}

static bool is_mode(const struct json *value)
{
    if (!json_is(value, JSON_STRING) || value->text.len != 4 || value->text.ptr[0] != '0')
        return false;
    for (size_t i = 1; i < 4; i++)
        if (value->text.ptr[i] < '0' || value->text.ptr[i] > '7')
            return false;
    return true;
}

/* A text of ours that is sent and shown: no control characters. */
static bool is_text(const struct json *value, size_t max)
{
    if (!json_is(value, JSON_STRING) || value->text.len > max)
        return false;
    for (size_t i = 0; i < value->text.len; i++)
        if ((unsigned char)value->text.ptr[i] < ' ' || value->text.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool is_count(const struct json *value)
{
    int64_t number;
    return value != NULL && json_int64(value, &number) && number >= 0 && number <= INT_MAX;
}

static bool is_choice(const struct json *value, const char *const *choices)
{
    if (!json_is(value, JSON_STRING))
        return false;
    for (; *choices != NULL; choices++)
        if (span_is(value->text, *choices))
            return true;
    return false;
}

static enum err check_pattern(const struct reader *reader, const struct json *value)
{
    if (!is_text(value, PATTERN_BYTES_MAX) || value->text.len == 0)
        return refuse(reader, value, "the pattern is no text of 1 to %u bytes", PATTERN_BYTES_MAX);
    regex_t regex;
    struct why why = {""};
    enum err err = pattern_compile(value->text.ptr, 0, &regex, &why);
    if (err == ERR_MEMORY)
        return err;
    if (err != ERR_NONE)
        return refuse(reader, value, "the pattern is not allowed: %s", why.text);
    regfree(&regex);
    return ERR_NONE;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static const char *const allowed[] = {
    [ARG_TEXT] = "a text without control characters",
    [ARG_WORD] = "a word without blanks",
    [ARG_WORDS] = "an array of words without blanks",
    [ARG_NAMES] = "a word, or an array of words",
    [ARG_PATH] = "an absolute path that is no pattern",
    [ARG_PATHS] = "an array of absolute paths",
    [ARG_MODE] = "a mode as in \"0644\"",
    [ARG_BOOL] = "true or false",
    [ARG_COUNT] = "an integer from 0 on",
    [ARG_CHOICE] = "one of the words in the guide",
    [ARG_OBJECT] = "an object",
};

static bool fits(const struct json *value, const struct probe_arg *arg)
{
    switch (arg->kind) {
    case ARG_TEXT:
        return is_text(value, TEXT_BYTES_MAX);
    case ARG_WORD:
        return is_word(value);
    case ARG_WORDS:
        return are_words(value, false);
    case ARG_NAMES:
        return is_word(value) || are_words(value, false);
    case ARG_PATH:
        return is_path(value);
    case ARG_PATHS:
        return are_words(value, true);
    case ARG_MODE:
        return is_mode(value);
    case ARG_BOOL:
        return json_is(value, JSON_BOOL);
    case ARG_COUNT:
        return is_count(value);
    case ARG_CHOICE:
        return is_choice(value, arg->choices);
    case ARG_OBJECT:
        return json_is(value, JSON_OBJECT);
    case ARG_PATTERN:
        break;
    }
    return false;
}

static const struct probe_arg *find_arg(const struct probe_arg *table, struct span name)
{
    for (; table->name != NULL; table++)
        if (span_is(name, table->name))
            return table;
    return NULL;
}

/* How many arguments of a group an object has; their names for a sentence. */
static size_t count_group(const struct json *object, const struct probe_arg *table, char group,
    char *ret_names, size_t size)
{
    size_t count = 0, len = 0;
    ret_names[0] = '\0';
    for (; table->name != NULL; table++) {
        if (table->group != group)
            continue;
        count += json_find_text(object, table->name) != NULL;
        int more =
            snprintf(ret_names + len, size - len, "%s\"%s\"", len == 0 ? "" : ", ", table->name);
        if (more > 0 && (size_t)more < size - len)
            len += (size_t)more;
    }
    return count;
}

static enum err check_groups(const struct reader *reader, const struct json *object,
    const struct probe_arg *table, const char *what)
{
    for (const struct probe_arg *arg = table; arg->name != NULL; arg++) {
        char names[200];
        if (arg->required && json_find_text(object, arg->name) == NULL)
            return lacks(reader, object, arg->name);
        if (arg->group == 0)
            continue;
        size_t count = count_group(object, table, arg->group, names, sizeof(names));
        bool just_one = arg->group >= 'A' && arg->group <= 'Z';
        if (count == 0 || (just_one && count > 1))
            return refuse(reader, object, "%s needs %s one of %s", what,
                just_one ? "just" : "at least", names);
    }
    return ERR_NONE;
}

/* `own` is a member that is not an argument ("probe"). */
static enum err check_args(const struct reader *reader, const struct json *object,
    const struct probe_arg *table, const char *what, const char *own)
{
    json_each (value, object) {
        if (own != NULL && span_is(value->key, own))
            continue;
        const struct probe_arg *arg = find_arg(table, value->key);
        if (arg == NULL)
            return refuse(reader, value, "%s has no argument \"%.*s\"", what, SPAN_ARG(value->key));
        enum err err = ERR_NONE;
        if (arg->kind == ARG_PATTERN)
            err = check_pattern(reader, value);
        else if (!fits(value, arg))
            err = refuse(reader, value, "\"%s\" is not %s", arg->name, allowed[arg->kind]);
        else if (arg->kind == ARG_OBJECT)
            err = check_args(reader, value, arg->parts, arg->name, NULL);
        if (err != ERR_NONE)
            return err;
    }
    return check_groups(reader, object, table, what);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static enum err check_rule(const struct reader *reader, const struct json *rule, unsigned depth);

static enum err check_rules(const struct reader *reader, const struct json *rules, unsigned depth)
{
    if (!json_is(rules, JSON_ARRAY) || rules->count == 0)
        return refuse(reader, rules, "\"%.*s\" is not an array of rules", SPAN_ARG(rules->key));
    json_each (rule, rules) {
        enum err err = check_rule(reader, rule, depth);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

static enum err check_probe(
    const struct reader *reader, const struct json *rule, const struct json *name)
{
    if (!json_is(name, JSON_STRING))
        return refuse(reader, name, "\"probe\" is not the name of a probe");
    const struct probe *probe = probe_find(name->text);
    if (probe == NULL)
        return refuse(reader, name, "there is no probe \"%.*s\"", SPAN_ARG(name->text));
    return check_args(reader, rule, probe->args, probe->name, "probe");
}

static enum err check_rule(const struct reader *reader, const struct json *rule, unsigned depth)
{
    if (depth == RULE_DEPTH_MAX)
        return refuse(reader, rule, "rules stand more than %u deep", RULE_DEPTH_MAX);
    if (!json_is(rule, JSON_OBJECT))
        return refuse(reader, rule, "a rule is an object, not %s", json_kind_name(rule));
    const struct json *probe = json_find_text(rule, "probe");
    if (probe != NULL)
        return check_probe(reader, rule, probe);
    if (rule->count != 1)
        return refuse(reader, rule, "a rule is a probe or has one of \"all\", \"any\", \"not\"");
    if (span_is(rule->first->key, "all") || span_is(rule->first->key, "any"))
        return check_rules(reader, rule->first, depth + 1);
    if (span_is(rule->first->key, "not"))
        return check_rule(reader, rule->first, depth + 1);
    return refuse(reader, rule->first, "a rule has no member \"%.*s\"", SPAN_ARG(rule->first->key));
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Refuses a member that is not in the list. */
static enum err check_members(
    const struct reader *reader, const struct json *object, const char *const *names)
{
    json_each (value, object) {
        const char *const *name = names;
        while (*name != NULL && !span_is(value->key, *name))
            name++;
        if (*name == NULL)
            return refuse(reader, value, "there is no member \"%.*s\" here", SPAN_ARG(value->key));
    }
    return ERR_NONE;
}

/* Reads a text of 1 to `max` bytes. */
static enum err read_text(const struct reader *reader, const struct json *object, const char *name,
    size_t max, struct span *ret_text)
{
    const struct json *value = json_find_text(object, name);
    if (value == NULL)
        return lacks(reader, object, name);
    if (!is_text(value, max) || value->text.len == 0)
        return refuse(reader, value,
            "\"%s\" is not a text of 1 to %zu bytes without control characters", name, max);
    *ret_text = value->text;
    return ERR_NONE;
}

static enum err read_severity(
    const struct reader *reader, const struct json *object, enum baseline_severity *ret_severity)
{
    struct span word;
    enum err err = read_text(reader, object, "severity", 16, &word);
    if (err != ERR_NONE)
        return err;
    for (size_t i = 0; i <= BASELINE_INFORMATIONAL; i++)
        if (span_is(word, baseline_severities[i])) {
            *ret_severity = (enum baseline_severity)i;
            return ERR_NONE;
        }
    return refuse(reader, json_find_text(object, "severity"),
        "\"severity\" is not CRITICAL, IMPORTANT, WARNING or INFORMATIONAL");
}

static enum err read_rules(
    const struct reader *reader, const struct json *object, struct check *ret_check)
{
    ret_check->when = json_find_text(object, "when");
    ret_check->pass = json_find_text(object, "pass");
    if (ret_check->pass == NULL)
        return lacks(reader, object, "pass");
    enum err err = ret_check->when == NULL ? ERR_NONE : check_rule(reader, ret_check->when, 0);
    return err == ERR_NONE ? check_rule(reader, ret_check->pass, 0) : err;
}

static enum err read_check(
    const struct reader *reader, const struct json *object, struct check *ret_check)
{
    static const char *const members[] = {
        "id", "group", "severity", "level", "description", "remediation", "when", "pass", NULL};
    if (!json_is(object, JSON_OBJECT))
        return refuse(reader, object, "a check is an object, not %s", json_kind_name(object));
    enum err err = check_members(reader, object, members);
    if (err == ERR_NONE)
        err = read_text(reader, object, "id", 64, &ret_check->id);
    if (err == ERR_NONE && !is_word(json_find_text(object, "id")))
        err = refuse(reader, json_find_text(object, "id"), "\"id\" holds a blank");
    if (err == ERR_NONE)
        err = read_text(reader, object, "group", 128, &ret_check->group);
    if (err == ERR_NONE)
        err = read_severity(reader, object, &ret_check->severity);
    if (err == ERR_NONE)
        err = read_text(reader, object, "description", TEXT_BYTES_MAX, &ret_check->description);
    if (err == ERR_NONE)
        err = read_text(reader, object, "remediation", TEXT_BYTES_MAX, &ret_check->remediation);
    const struct json *level = json_find_text(object, "level");
    if (err == ERR_NONE && level != NULL && !span_is(level->text, "1") &&
        !span_is(level->text, "2"))
        err = refuse(reader, level, "\"level\" is not 1 or 2");
    return err == ERR_NONE ? read_rules(reader, object, ret_check) : err;
}

static enum err read_checks(
    const struct reader *reader, const struct json *root, struct document *document)
{
    const struct json *checks = json_find_text(root, "checks");
    if (checks == NULL)
        return lacks(reader, root, "checks");
    if (!json_is(checks, JSON_ARRAY) || checks->count > CHECKS_MAX)
        return refuse(reader, checks, "\"checks\" is not an array of at most %u", CHECKS_MAX);
    document->checks = arena_alloc(reader->arena, (checks->count + 1u) * sizeof(struct check));
    if (document->checks == NULL)
        return ERR_MEMORY;
    json_each (object, checks) {
        struct check *check = &document->checks[document->count];
        enum err err = read_check(reader, object, check);
        if (err != ERR_NONE)
            return err;
        for (size_t i = 0; i < document->count; i++)
            if (span_eq(document->checks[i].id, check->id))
                return refuse(reader, object, "a second check %.*s", SPAN_ARG(check->id));
        document->count++;
    }
    return ERR_NONE;
}

static enum err read_applies(
    const struct reader *reader, const struct json *root, struct document *document)
{
    static const char *const members[] = {"id", "version", NULL};
    const struct json *applies = json_find_text(root, "applies");
    if (applies == NULL)
        return ERR_NONE;
    if (!json_is(applies, JSON_OBJECT))
        return refuse(reader, applies, "\"applies\" is not an object");
    enum err err = check_members(reader, applies, members);
    if (err == ERR_NONE)
        err = read_text(reader, applies, "id", 64, &document->applies_id);
    if (err == ERR_NONE && json_find_text(applies, "version") != NULL)
        err = read_text(reader, applies, "version", 64, &document->applies_version);
    return err;
}

static enum err read_head(
    const struct reader *reader, const struct json *root, struct document *document)
{
    static const char *const members[] = {
        "format", "name", "title", "extends", "applies", "remove", "checks", NULL};
    struct span title;
    enum err err = check_members(reader, root, members);
    const struct json *format = json_find_text(root, "format");
    if (err == ERR_NONE && format == NULL)
        err = lacks(reader, root, "format");
    if (err == ERR_NONE && !(json_is(format, JSON_NUMBER) && span_is(format->text, "1")))
        err = refuse(reader, format, "the format is not 1, the only one that is known");
    if (err == ERR_NONE)
        err = read_text(reader, root, "name", 64, &document->name);
    if (err == ERR_NONE)
        err = read_text(reader, root, "title", 256, &title);
    const struct json *extends = json_find_text(root, "extends");
    if (err == ERR_NONE && extends != NULL && !json_is(extends, JSON_NULL))
        err = read_text(reader, root, "extends", 64, &document->extends);
    if (err == ERR_NONE)
        err = read_applies(reader, root, document);
    document->remove = json_find_text(root, "remove");
    if (err == ERR_NONE && document->remove != NULL && !json_is(document->remove, JSON_ARRAY))
        err = refuse(reader, document->remove, "\"remove\" is not an array of ids");
    if (err == ERR_NONE && json_is(document->remove, JSON_ARRAY))
        json_each (id, document->remove)
            if (!is_word(id))
                return refuse(reader, id, "\"remove\" holds what is no id");
    return err;
}

enum err reader_read(
    struct arena *arena, struct span text, struct document *ret_document, struct why *why)
{
    struct why own = {""};
    const struct reader reader = {arena, text, why == NULL ? &own : why};
    struct json *root;
    enum err err = json_parse(arena, text, 0, &root, reader.why);
    if (err != ERR_NONE)
        return err;
    struct document document = {.count = 0};
    if (!json_is(root, JSON_OBJECT))
        return refuse(&reader, root, "a check file is an object, not %s", json_kind_name(root));
    err = read_head(&reader, root, &document);
    if (err == ERR_NONE)
        err = read_checks(&reader, root, &document);
    if (err == ERR_MEMORY)
        return fail(err, why, "%s", err_row(err)->text);
    if (err == ERR_NONE)
        *ret_document = document;
    return err;
}
