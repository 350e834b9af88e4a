/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "pam": whether a module is in the stacks of services, with an argument. "@include", "include" and
 * "substack" are followed. Every service of the list that is there must have it; of the lines with
 * the module one must fit, since a module may stand in a stack more than once for different ends.
 */
#include "probe_priv.h"

#include <stdio.h>

#define INCLUDES_MAX 16u
#define FILES_MAX 128u

struct search {
    struct context *context;
    const struct json *args;
    const char *service;
    bool found;  /* the module */
    bool fits;   /* and its argument */
    bool failed; /* the search itself */
    unsigned files;
    struct why why;
};

static void search_file(struct search *search, const char *name, unsigned depth, bool *ret_there);

/* ---- one line -------------------------------------------------------------------------------- */

/* A word, or what stands in brackets, which may hold blanks. */
static bool next_field(struct span *rest, struct span *ret_field)
{
    *rest = span_trim(*rest);
    if (rest->len == 0 || rest->ptr[0] != '[')
        return next_word(rest, ret_field);
    size_t end = span_find(*rest, ']');
    *ret_field = span_first(*rest, end + 1);
    *rest = span_from(*rest, end + 1);
    return true;
}

/* Judges one argument of a line. Only a number is ever shown. */
static bool fits_value(struct search *search, const struct json *asked, struct span value)
{
    const char *equals = arg_text(asked, "equals");
    const char *name = arg_text(asked, "name");
    char what[200];
    uint64_t number;
    if (equals != NULL && !span_is(value, equals)) {
        why_set(&search->why, "%s of %s in the service %s is not %s", name,
            arg_text(search->args, "module"), search->service, equals);
        return false;
    }
    if (json_find_text(asked, "at_most") == NULL && json_find_text(asked, "at_least") == NULL)
        return true;
    snprintf(what, sizeof(what), "%.40s of %.60s in the service %.60s", name,
        arg_text(search->args, "module"), search->service);
    bool negative = value.len > 1 && value.ptr[0] == '-';
    if (!span_u64(span_from(value, negative), INT64_MAX, &number)) {
        why_set(&search->why, "%s is no number", what);
        return false;
    }
    return judge_number(asked, what, negative ? -(int64_t)number : (int64_t)number, &search->why) ==
           BASELINE_PASS;
}

static bool fits_arguments(struct search *search, struct span rest)
{
    const struct json *asked = json_find_text(search->args, "argument");
    struct span word;
    if (asked == NULL)
        return true;
    const char *name = arg_text(asked, "name");
    bool wanted = arg_bool(asked, "present", true);
    while (next_field(&rest, &word)) {
        size_t at = span_find(word, '=');
        if (!span_is(span_first(word, at), name))
            continue;
        if (wanted)
            return fits_value(search, asked, span_from(word, at + 1));
        why_set(&search->why, "%s in the service %s has %s", arg_text(search->args, "module"),
            search->service, name);
        return false;
    }
    if (wanted)
        why_set(&search->why, "%s in the service %s has no %s", arg_text(search->args, "module"),
            search->service, name);
    return !wanted;
}

static bool is_module(struct span text, const char *module)
{
    for (size_t slash; (slash = span_find(text, '/')) < text.len;)
        text = span_from(text, slash + 1);
    return span_is(text, module);
}

/* TYPE CONTROL MODULE ARGUMENT… ; the type may begin with '-': the module may be missing. */
static void search_line(struct search *search, struct span line, unsigned depth)
{
    struct span type, control, module;
    bool there;
    line = span_trim(span_first(line, span_find(line, '#')));
    if (!next_word(&line, &type) || !next_field(&line, &control))
        return;
    if (span_is(type, "@include")) {
        char name[256];
        if (span_copy(control, name, sizeof(name)))
            search_file(search, name, depth + 1, &there);
        return;
    }
    if (type.len > 0 && type.ptr[0] == '-')
        type = span_from(type, 1);
    if (!span_is(type, arg_text(search->args, "type")) || !next_word(&line, &module))
        return;
    if (span_is(control, "include") || span_is(control, "substack")) {
        char name[256];
        if (span_copy(module, name, sizeof(name)))
            search_file(search, name, depth + 1, &there);
        return;
    }
    if (!is_module(module, arg_text(search->args, "module")))
        return;
    bool fits = fits_arguments(search, line);
    /* An argument that must not be there must be in no line. */
    const struct json *asked = json_find_text(search->args, "argument");
    bool every = asked != NULL && !arg_bool(asked, "present", true);
    search->fits = !search->found ? fits : every ? search->fits && fits : search->fits || fits;
    search->found = true;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void give_up(struct search *search, const char *reason)
{
    if (!search->failed)
        why_set(&search->why, "the service %s cannot be judged: %s", search->service, reason);
    search->failed = true;
}

/* Joins a line with those that it goes on in ('\' at its end), then looks at it. */
static void search_lines(struct search *search, struct lines *lines, unsigned depth)
{
    char joined[LINE_BYTES_MAX];
    size_t len = 0;
    struct span line;
    while (!search->failed && lines_next(lines, &line)) {
        bool goes_on = line.len > 0 && line.ptr[line.len - 1] == '\\';
        struct span part = goes_on ? span_first(line, line.len - 1) : line;
        if (lines->cut || part.len >= sizeof(joined) - len) {
            give_up(search, "a line is too long");
            return;
        }
        memcpy(joined + len, part.ptr, part.len);
        len += part.len;
        joined[len++] = ' ';
        if (goes_on)
            continue;
        search_line(search, (struct span){joined, len}, depth);
        len = 0;
    }
    if (!search->failed && len > 0)
        search_line(search, (struct span){joined, len}, depth);
}

static void search_file(struct search *search, const char *name, unsigned depth, bool *ret_there)
{
    *ret_there = false;
    if (search->failed)
        return;
    if (depth > INCLUDES_MAX || search->files++ == FILES_MAX) {
        give_up(search, "it includes too many files, or itself");
        return;
    }
    const char *dirs[] = {name[0] == '/' ? "" : "/etc/pam.d/", "/usr/lib/pam.d/"};
    struct lines *lines = mem_alloc(sizeof(*lines));
    if (lines == NULL) {
        give_up(search, err_row(ERR_MEMORY)->text);
        return;
    }
    for (size_t i = 0; i < (name[0] == '/' ? 1u : 2u) && !*ret_there; i++) {
        char path[320];
        struct why why = {""};
        snprintf(path, sizeof(path), "%s%.250s", dirs[i], name);
        enum looked looked = lines_open(&search->context->root, path, lines, &why);
        if (looked == LOOKED_FAILED)
            give_up(search, why.text);
        *ret_there = looked != LOOKED_MISSING;
        if (looked != LOOKED_FOUND)
            continue;
        search_lines(search, lines, depth);
        if (!search->failed && !lines_check(lines, path, &why))
            give_up(search, why.text);
        lines_close(lines);
    }
    mem_free(lines);
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    bool any = false;
    arg_each(service, args, "services")
    {
        bool there;
        struct search search = {.context = context, .args = args, .service = service->text.ptr};
        search_file(&search, service->text.ptr, 0, &there);
        if (search.failed) {
            *why = search.why;
            return BASELINE_ERROR;
        }
        any = any || there;
        if (there && !search.found) {
            why_set(
                why, "the service %s does not have %s", search.service, arg_text(args, "module"));
            return BASELINE_FAIL;
        }
        if (there && !search.fits) {
            *why = search.why;
            return BASELINE_FAIL;
        }
    }
    const char *first = arg_first(args, "services")->text.ptr;
    why_set(why, any ? "%s%s has %s as it is asked for" : "no PAM service %s%s is on this system",
        first, json_find_text(args, "services")->count == 1 ? "" : " or the like",
        arg_text(args, "module"));
    return any ? BASELINE_PASS : BASELINE_SKIP;
}

static const char *const types[] = {"auth", "account", "password", "session", NULL};

static const struct probe_arg argument_parts[] = {
    {.name = "name", .kind = ARG_WORD, .required = true},
    {.name = "equals", .kind = ARG_WORD, .group = 'a'},
    {.name = "at_most", .kind = ARG_COUNT, .group = 'a'},
    {.name = "at_least", .kind = ARG_COUNT, .group = 'a'},
    {.name = "present", .kind = ARG_BOOL, .group = 'a'},
    {.name = NULL},
};

static const struct probe_arg args_table[] = {
    {.name = "services", .kind = ARG_WORDS, .required = true},
    {.name = "type", .kind = ARG_CHOICE, .choices = types, .required = true},
    {.name = "module", .kind = ARG_WORD, .required = true},
    {.name = "argument", .kind = ARG_OBJECT, .parts = argument_parts},
    {.name = NULL},
};

const struct probe pam_probe = {.name = "pam", .args = args_table, .run = run};
