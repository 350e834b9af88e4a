/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_priv.h"

static const struct probe *const probes[] = {
#define PROBE(name) &name##_probe,
#include "probes.def"
#undef PROBE
};

const struct probe *probe_find(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        if (span_is(name, probes[i]->name))
            return probes[i];
    return NULL;
}

enum baseline_result no_memory(struct why *why)
{
    why_set(why, "%s", err_row(ERR_MEMORY)->text);
    return BASELINE_ERROR;
}

enum err arg_paths(struct context *context, const struct json *args, struct paths *ret_paths)
{
    *ret_paths = (struct paths){.count = 0};
    const char *single = arg_text(args, "path");
    if (single != NULL) {
        ret_paths->items = arena_alloc(&context->scratch, sizeof(*ret_paths->items));
        if (ret_paths->items == NULL)
            return ERR_MEMORY;
        ret_paths->items[0] = single;
        ret_paths->count = 1;
        return ERR_NONE;
    }
    arg_each(item, args, "paths")
    {
        enum err err = root_glob(&context->root, &context->scratch, item->text.ptr, ret_paths);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

enum baseline_result judge_number(
    const struct json *args, const char *what, int64_t number, struct why *why)
{
    int64_t bound;
    if (arg_int(args, "at_most", &bound) && number > bound) {
        why_set(
            why, "%s is %lld, at most %lld is allowed", what, (long long)number, (long long)bound);
        return BASELINE_FAIL;
    }
    if (arg_int(args, "at_least", &bound) && number < bound) {
        why_set(why, "%s is %lld, at least %lld is asked for", what, (long long)number,
            (long long)bound);
        return BASELINE_FAIL;
    }
    why_set(why, "%s is %lld", what, (long long)number);
    return BASELINE_PASS;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Puts a sentence behind those that are there. */
static void add_reason(struct why *reasons, const char *more)
{
    if (reasons->text[0] == '\0') {
        why_set(reasons, "%s", more);
        return;
    }
    struct why before = *reasons;
    why_set(reasons, "%s; %s", before.text, more);
}

/*
 * What many answers are together. A skip says nothing either way. Of the answers that decide, the
 * first in the order for "all" is FAIL, ERROR, PASS, and for "any" PASS, ERROR, FAIL: an error
 * counts where it could have changed the answer.
 */
static enum baseline_result combine(const bool seen[4], bool all)
{
    static const enum baseline_result orders[2][4] = {
        {BASELINE_PASS, BASELINE_ERROR, BASELINE_FAIL, BASELINE_SKIP},
        {BASELINE_FAIL, BASELINE_ERROR, BASELINE_PASS, BASELINE_SKIP}};
    for (size_t i = 0; i < 3; i++)
        if (seen[orders[all][i]])
            return orders[all][i];
    return BASELINE_SKIP;
}

static enum baseline_result judge_many(
    struct context *context, const struct json *rules, bool all, struct why *why)
{
    struct why reasons[4] = {{""}};
    bool seen[4] = {false};
    json_each (rule, rules) {
        struct why reason = {""};
        enum baseline_result result = rule_judge(context, rule, &reason);
        seen[result] = true;
        add_reason(&reasons[result], reason.text);
        if (result == BASELINE_PASS && !all)
            break;
    }
    enum baseline_result result = combine(seen, all);
    *why = reasons[result];
    return result;
}

enum baseline_result rule_judge(struct context *context, const struct json *rule, struct why *why)
{
    const struct json *name = json_find_text(rule, "probe");
    if (name != NULL)
        return probe_find(name->text)->run(context, rule, why);
    const struct json *inner = rule->first;
    if (!span_is(inner->key, "not"))
        return judge_many(context, inner, span_is(inner->key, "all"), why);
    enum baseline_result result = rule_judge(context, inner, why);
    if (result == BASELINE_PASS)
        return BASELINE_FAIL;
    return result == BASELINE_FAIL ? BASELINE_PASS : result;
}
