/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a probe is: one question to the machine, asked with arguments from a check file. Each ends
 * in one `const struct probe`, named in one line of probes.def. The reader (reader.c) refuses a
 * file whose arguments are not those of the probe's table, so that a probe may rely on them.
 *
 * A probe reads below context->root only, writes nothing, starts nothing, and says in every case
 * what it found: a rule may turn its answer around.
 */
#ifndef GEMEL_BASELINE_PROBE_PRIV_H
#define GEMEL_BASELINE_PROBE_PRIV_H

#include "accounts_priv.h"
#include "baseline.h"
#include "json.h"
#include "root_priv.h"

#include <regex.h>

enum arg_kind {
    ARG_TEXT,  /* "default": any */
    ARG_WORD,  /* without blanks */
    ARG_WORDS, /* one or more of them */
    ARG_NAMES, /* a word, or words */
    ARG_PATH,  /* absolute, no pattern */
    ARG_PATHS, /* absolute, patterns allowed */
    ARG_MODE,  /* "0644" */
    ARG_BOOL,
    ARG_COUNT,   /* an integer from 0 on */
    ARG_PATTERN, /* a POSIX extended regular expression */
    ARG_CHOICE,
    ARG_OBJECT, /* with arguments of its own */
};

struct probe_arg {
    const char *name; /* NULL ends a table */
    enum arg_kind kind;
    bool required;
    const char *const *choices;    /* of ARG_CHOICE, NULL-terminated */
    const struct probe_arg *parts; /* of ARG_OBJECT */
    char group;                    /* of those with the same letter: a capital needs exactly one, a
                                      small letter at least one; 0: none */
};

/* What a scan keeps for its probes. */
struct context {
    struct root root;
    struct arena arena;   /* lives as long as the scan */
    struct arena scratch; /* cleared before each check */
    const struct clock *clock;
    const char *kernel_release;
    struct accounts accounts; /* see accounts_priv.h */
    /* Read by the first probe that needs it. */
    const struct packages *packages; /* probe_packages.c */
    const struct services *services; /* probe_service.c */
    const struct ports *ports;       /* probe_port.c */
    struct baseline_tree *tree;
    int64_t tree_limit_us;
};

struct probe {
    const char *name;
    const struct probe_arg *args;
    enum baseline_result (*run)(struct context *context, const struct json *args, struct why *why);
};

/* NULL: there is none. */
const struct probe *probe_find(struct span name);

/* Judges a rule; writes what was found. */
enum baseline_result rule_judge(struct context *context, const struct json *rule, struct why *why);

/* Compiles a pattern: at most PATTERN_BYTES_MAX bytes, no references back and no large repetitions
 * (both can take a matcher ages). ERR_FORMAT. */
#define PATTERN_BYTES_MAX 2048u
#define PATTERN_REPEAT_MAX 255u
enum err pattern_compile(const char *text, int flags, regex_t *ret_regex, struct why *why) MUST_USE;

/* Matches a span that need not end in NUL. `ret_capture` may be NULL; it is the first group's. */
bool pattern_match(const regex_t *regex, struct span text, struct span *ret_capture);

/* Finds a value of /etc/login.defs; LOOKED_MISSING also when the file is not there. */
enum looked login_defs_find(struct context *context, const char *key, char *ret_value, size_t size,
    struct why *why) MUST_USE;

/* An argument's text ends in NUL. */
static inline const char *arg_text(const struct json *args, const char *name)
{
    return json_string_of(args, name).ptr;
}

static inline bool arg_bool(const struct json *args, const char *name, bool otherwise)
{
    const struct json *value = json_find_text(args, name);
    return value == NULL ? otherwise : value->truth;
}

static inline bool arg_int(const struct json *args, const char *name, int64_t *ret_value)
{
    return json_int64(json_find_text(args, name), ret_value);
}

/* Walks a text or the texts of an array: `arg_each(item, args, "names")`. A single text has no
 * sibling that matters: its own `next` is the next argument. */
static inline const struct json *arg_first(const struct json *args, const char *name)
{
    const struct json *value = json_find_text(args, name);
    return json_is(value, JSON_ARRAY) ? value->first : value;
}
static inline const struct json *arg_next(
    const struct json *args, const char *name, const struct json *item)
{
    return json_is(json_find_text(args, name), JSON_ARRAY) ? item->next : NULL;
}
#define arg_each(item, args, name)                                                                 \
    for (const struct json *item = arg_first(args, name); item != NULL;                            \
         item = arg_next(args, name, item))

/* The paths of "path" (as it is) and of "paths" (patterns). ERR_MEMORY. */
enum err arg_paths(
    struct context *context, const struct json *args, struct paths *ret_paths) MUST_USE;

/* Judges a number by "equals"-less bounds "at_most" and "at_least"; `what` is named in the
 * sentence.
 */
enum baseline_result judge_number(
    const struct json *args, const char *what, int64_t number, struct why *why);

static inline enum baseline_result pass_if(bool good)
{
    return good ? BASELINE_PASS : BASELINE_FAIL;
}

/* The answer when looking failed for want of memory. */
enum baseline_result no_memory(struct why *why);

#define PROBE(name) extern const struct probe name##_probe;
#include "probes.def"
#undef PROBE

#endif
