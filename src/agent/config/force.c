/* SPDX-License-Identifier: Apache-2.0 */
#include "config_priv.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>

void force_log_verdict(const char *what, const struct verdict *verdict)
{
    for (const struct verdict_field *field = verdict->fields; field != NULL; field = field->next)
        log_warn(PART, "%s: %.*s: %s", what, SPAN_ARG(field->name), field->sentence);
    for (const struct verdict_field *note = verdict->notes; note != NULL; note = note->next)
        log_warn(PART, "%s: %.*s: %s", what, SPAN_ARG(note->name), note->sentence);
}

static int64_t now_of(const struct config *config)
{
    return clock_mono_us(config->options.clock);
}

static void move_settings(struct settings *to, struct settings *from)
{
    settings_done(to);
    *to = *from;
    settings_init(from);
}

static void swap_texts(struct buf *a, struct buf *b)
{
    struct buf kept = *a;
    *a = *b;
    *b = kept;
}

/* Flushes and applies; on success `*candidate` moves to what is in force. */
static enum err put_in_force(
    struct config *config, struct settings *candidate, const char **ret_field, struct why *why)
{
    if (!config->applied || settings_difference(&config->in_force, candidate) != 0) {
        if (config->applied)
            config->options.flush(config->options.self);
        enum err err = config->options.apply(config->options.self, candidate, ret_field, why);
        if (err != ERR_NONE)
            return err;
    }
    move_settings(&config->in_force, candidate);
    config->applied = true;
    config->told = false;
    return ERR_NONE;
}

/* ---- probation ---- */

/* The larger of two values of Agent_ProbationSeconds, so that no change excuses itself. */
static int64_t probation_us(const struct settings *before, const struct settings *after)
{
    int64_t a = settings_int(before, SETTING_AGENT_PROBATION_SECONDS);
    int64_t b = settings_int(after, SETTING_AGENT_PROBATION_SECONDS);
    return (a > b ? a : b) * SECOND_US;
}

/* What is in force is good from now on. */
static void end_probation(struct config *config)
{
    probation_end(&config->probation);
    settings_done(&config->good);
    config->cache.on_probation = false;
    buf_done(&config->cache.proven);
    cache_stage(&config->cache);
}

/* What a failed attempt to put a document in force restores. */
struct earlier {
    struct buf desired;
    struct buf proven;
    bool on_probation;
    int64_t starts;
};

/* Writes down what is about to be put in force, and what to come back to, before it can do harm. */
static enum err write_ahead(struct config *config, const struct json *desired,
    const struct settings *candidate, struct earlier *ret_earlier)
{
    struct cache *cache = &config->cache;
    struct buf text = BUF_EMPTY;
    *ret_earlier = (struct earlier){.on_probation = cache->on_probation, .starts = cache->starts};
    if (!cache_set(&text, desired))
        return ERR_MEMORY;
    const struct settings *last = cache->on_probation ? &config->good : &config->in_force;
    bool again = cache->on_probation && settings_difference(last, candidate) != 0;
    bool proving =
        !again && settings_difference(last, candidate) != 0 && probation_us(last, candidate) > 0;
    if (proving) {
        struct settings good;
        enum err err = settings_copy(&config->in_force, &good);
        if (err != ERR_NONE) {
            buf_done(&text);
            return err;
        }
        move_settings(&config->good, &good);
    }
    swap_texts(&ret_earlier->desired, &cache->desired);
    swap_texts(&cache->desired, &text);
    buf_done(&text);
    if (proving) {
        buf_add(&cache->proven, ret_earlier->desired.len == 0 ? span_of(CACHE_NO_DOCUMENT)
                                                              : buf_span(&ret_earlier->desired));
    } else if (!again) {
        swap_texts(&ret_earlier->proven, &cache->proven);
    }
    cache->on_probation = proving || again;
    cache->starts = 1;
    cache_stage(cache);
    return ERR_NONE;
}

static void restore(struct config *config, struct earlier *earlier)
{
    struct cache *cache = &config->cache;
    swap_texts(&cache->desired, &earlier->desired);
    if (cache->on_probation && !earlier->on_probation)
        buf_done(&cache->proven);
    else if (!cache->on_probation && earlier->on_probation)
        swap_texts(&cache->proven, &earlier->proven);
    cache->on_probation = earlier->on_probation;
    cache->starts = earlier->starts;
    if (cache->desired.len > 0)
        cache_stage(cache);
}

static void begin_probation(struct config *config)
{
    if (!config->cache.on_probation) {
        probation_end(&config->probation);
        settings_done(&config->good);
        return;
    }
    int64_t length_us = probation_us(&config->good, &config->in_force);
    if (length_us == 0) {
        end_probation(config);
        return;
    }
    probation_begin(&config->probation, now_of(config), length_us);
    log_info(PART, "version %" PRId64 " of desired is on probation for %" PRId64 " s",
        config->in_force_version, length_us / SECOND_US);
}

/* ---- judging ---- */

static int64_t version_of(const struct json *desired)
{
    int64_t version;
    return json_int64(json_find_text(desired, "$version"), &version) ? version : 0;
}

/* A good document with other settings than those in force. */
static enum err change(struct config *config, const struct json *desired,
    struct settings *candidate, const char **ret_field, struct why *why)
{
    struct earlier earlier;
    enum err err = write_ahead(config, desired, candidate, &earlier);
    if (err != ERR_NONE)
        return fail(err, why, "%s", err_row(err)->text);
    err = put_in_force(config, candidate, ret_field, why);
    if (err != ERR_NONE) {
        restore(config, &earlier);
    } else {
        config->in_force_version = version_of(desired);
        begin_probation(config);
    }
    buf_done(&earlier.desired);
    buf_done(&earlier.proven);
    return err;
}

/* A good document that changes nothing: it takes the place of the one in force. */
static enum err keep(struct config *config, const struct json *desired, struct settings *candidate)
{
    if (!cache_set(&config->cache.desired, desired))
        return ERR_MEMORY;
    move_settings(&config->in_force, candidate);
    config->in_force_version = version_of(desired);
    cache_stage(&config->cache);
    return ERR_NONE;
}

static enum err judge_and_change(struct config *config, const struct json *desired)
{
    struct settings candidate;
    struct why why = {""};
    const char *field = NULL;
    settings_init(&candidate);
    enum err err = settings_judge(&config->base, desired, &candidate, &config->verdict);
    if (err == ERR_ARGUMENT)
        return ERR_NONE;
    if (err == ERR_NONE && config->applied &&
        settings_difference(&config->in_force, &candidate) == 0)
        err = keep(config, desired, &candidate);
    else if (err == ERR_NONE)
        err = change(config, desired, &candidate, &field, &why);
    settings_done(&candidate);
    if (err != ERR_NONE && field != NULL)
        return verdict_blame(&config->verdict, span_of(field), "cannot be put in force here: %s",
            why_text(&why, err));
    if (err != ERR_NONE)
        log_warn(PART, "the settings cannot be judged now: %s", why_text(&why, err));
    return err;
}

/* The verdict on a version that was taken back: no second attempt. */
static enum err repeat_refusal(struct config *config)
{
    struct arena arena;
    struct json *fields = NULL;
    struct why why = {""};
    arena_init(&arena, DOCUMENT_MAX_BYTES);
    verdict_done(&config->verdict);
    enum err err = json_parse(&arena, buf_span(&config->cache.refused), DEPTH_MAX, &fields, &why);
    if (err == ERR_NONE && json_is(fields, JSON_OBJECT)) {
        json_each (field, fields)
            if (err == ERR_NONE && field->kind == JSON_STRING)
                err = verdict_blame(&config->verdict, field->key, "%.*s", SPAN_ARG(field->text));
    }
    config->verdict.desired_version = config->cache.refused_version;
    arena_done(&arena);
    return err;
}

enum err force_judge(struct config *config)
{
    struct cache *cache = &config->cache;
    config->told = false;
    if (cache->refused_version > 0 && cache->refused_version == config->version) {
        log_info(
            PART, "version %" PRId64 " of desired was taken back and stays so", config->version);
        return repeat_refusal(config);
    }
    int64_t refused = cache->refused_version;
    cache->refused_version = 0;
    enum err err = judge_and_change(config, config->desired.root);
    if (err != ERR_NONE) {
        cache->refused_version = refused;
        return err;
    }
    if (refused > 0) {
        buf_done(&cache->refused);
        cache_stage(cache);
    }
    /* On trial was an earlier version. */
    if (config->probation.state == PROBATION_TRIAL)
        probation_end(&config->probation);
    force_log_verdict("desired", &config->verdict);
    if (verdict_ok(&config->verdict))
        log_info(PART, "version %" PRId64 " of desired is in force", config->version);
    else
        log_warn(PART, "version %" PRId64 " of desired is refused: what was in force stays",
            config->version);
    return ERR_NONE;
}

/* ---- taking back ---- */

/* Blames every setting whose value differs, and writes the sentences down. */
static bool blame_differences(
    struct config *config, const struct settings *candidate, int64_t version, const char *reason)
{
    struct arena arena;
    arena_init(&arena, DOCUMENT_MAX_BYTES);
    struct json *fields = json_new(&arena, JSON_OBJECT);
    bool done = fields != NULL;
    if (config->verdict.desired_version <= version) {
        verdict_done(&config->verdict);
        config->verdict.desired_version = version;
    }
    for (unsigned i = 0; i < SETTING_COUNT && done; i++) {
        enum setting_id id = (enum setting_id)i;
        if (!settings_differ(&config->good, candidate, id))
            continue;
        char sentence[400];
        const char *name = setting_row(id)->name;
        snprintf(sentence, sizeof(sentence), "was taken back to its last good value: %s", reason);
        done = verdict_blame(&config->verdict, span_of(name), "%s", sentence) == ERR_NONE &&
               json_set_text(&arena, fields, name, span_of(sentence));
    }
    done = done && cache_set(&config->cache.refused, fields);
    arena_done(&arena);
    return done;
}

/* Makes the last good document the one to start with, and remembers the other. */
static void write_back(
    struct config *config, const struct settings *candidate, int64_t version, const char *reason)
{
    struct cache *cache = &config->cache;
    config->told = false;
    log_warn(PART, "version %" PRId64 " of desired is taken back: %s", version, reason);
    if (!blame_differences(config, candidate, version, reason))
        log_warn(PART, "no memory to say which settings were taken back");
    cache->refused_version = version;
    if (cache->refused.len == 0)
        buf_add_text(&cache->refused, "{}");
    swap_texts(&cache->desired, &cache->proven);
    buf_done(&cache->proven);
    cache->on_probation = false;
    cache_stage(cache);
    config->judged = true;
}

static bool start_with(struct config *config, const struct settings *settings, const char *what)
{
    struct settings copy;
    struct why why = {""};
    const char *field = NULL;
    settings_init(&copy);
    enum err err = settings_copy(settings, &copy);
    if (err == ERR_NONE)
        err = put_in_force(config, &copy, &field, &why);
    settings_done(&copy);
    if (err != ERR_NONE)
        log_error(PART, "%s cannot be put in force: %s%s%s", what, field == NULL ? "" : field,
            field == NULL ? "" : ": ", why_text(&why, err));
    return err == ERR_NONE;
}

static void fall_back(struct config *config)
{
    struct settings defaults;
    settings_init(&defaults);
    if (!start_with(config, &config->good, "the last good document") &&
        !start_with(config, &config->base, "conf.json"))
        start_with(config, &defaults, "the defaults");
    settings_done(&defaults);
    settings_done(&config->good);
}

void force_take_back(struct config *config, const char *reason)
{
    probation_end(&config->probation);
    write_back(config, &config->in_force, config->in_force_version, reason);
    config->in_force_version = 0;
    fall_back(config);
}

void force_run(struct config *config)
{
    char reason[200];
    switch (probation_judge(&config->probation, now_of(config))) {
    case PROBATION_GOES_ON:
        break;
    case PROBATION_PASSED:
        log_info(PART, "version %" PRId64 " of desired has proved good", config->in_force_version);
        end_probation(config);
        break;
    case PROBATION_FAILED:
        snprintf(reason, sizeof(reason),
            "with it the agent lost the hub and did not reach it again within "
            "Agent_ProbationSeconds, %" PRId64 " s",
            config->probation.length_us / SECOND_US);
        force_take_back(config, reason);
        probation_try_old(&config->probation, now_of(config));
        break;
    case PROBATION_CONVICTED:
        log_info(PART, "the hub is reached with the last good settings");
        break;
    case PROBATION_ACQUITTED:
        log_warn(PART,
            "the hub is out of reach with the last good settings too: version %" PRId64
            " is tried again when it is back",
            config->cache.refused_version);
        config->cache.refused_version = 0;
        buf_done(&config->cache.refused);
        cache_stage(&config->cache);
        break;
    }
}

void config_over_budget(struct config *config, const char *sentence)
{
    char reason[200];
    if (config->probation.state != PROBATION_RUNNING)
        return;
    snprintf(reason, sizeof(reason), "with it the agent %s", sentence);
    force_take_back(config, reason);
}

void config_stop(struct config *config)
{
    if (!config->cache.on_probation)
        return;
    config->cache.starts = 0;
    cache_stage(&config->cache);
    cache_commit(&config->cache);
}

/* ---- start ---- */

/* Judges a text of the cache. False: it is not to be had. */
static bool judge_text(struct config *config, const struct buf *text, struct json **ret_desired,
    struct arena *arena, struct settings *ret_settings, struct verdict *verdict)
{
    struct why why = {""};
    enum err err = json_parse(arena, buf_span(text), 0, ret_desired, &why);
    if (err == ERR_NONE)
        err = settings_judge(&config->base, *ret_desired, ret_settings, verdict);
    force_log_verdict("cache.json", verdict);
    return err == ERR_NONE;
}

/* The settings to come back to; without a good document those of conf.json. */
static void find_good(struct config *config)
{
    struct arena arena;
    struct json *desired;
    struct settings good;
    struct verdict verdict;
    arena_init(&arena, DOCUMENT_MAX_BYTES);
    verdict_init(&verdict);
    settings_init(&good);
    if (!judge_text(config, &config->cache.proven, &desired, &arena, &good, &verdict) &&
        settings_copy(&config->base, &good) != ERR_NONE)
        settings_init(&good);
    move_settings(&config->good, &good);
    verdict_done(&verdict);
    arena_done(&arena);
}

/* False: the agent died too often with what is on probation, which is taken back. */
static bool may_try_again(struct config *config, const struct settings *candidate, int64_t version)
{
    struct cache *cache = &config->cache;
    if (++cache->starts <= STARTS_MAX) {
        cache_stage(cache);
        cache_commit(cache); /* before it can do harm again */
        return true;
    }
    char reason[120];
    snprintf(reason, sizeof(reason), "with it the agent died %d times", STARTS_MAX);
    write_back(config, candidate, version, reason);
    cache_commit(cache);
    fall_back(config);
    return false;
}

static void start_in_force(struct config *config, struct settings *candidate, int64_t version)
{
    struct why why = {""};
    const char *field = NULL;
    char reason[300];
    enum err err = put_in_force(config, candidate, &field, &why);
    if (err == ERR_NONE) {
        config->in_force_version = version;
        begin_probation(config);
        log_info(PART, "version %" PRId64 " of desired, from cache.json, is in force", version);
        return;
    }
    log_error(PART, "cache.json cannot be put in force: %s%s%s", field == NULL ? "" : field,
        field == NULL ? "" : ": ", why_text(&why, err));
    if (!config->cache.on_probation)
        return;
    snprintf(reason, sizeof(reason), "it cannot be put in force here: %s", why_text(&why, err));
    write_back(config, candidate, version, reason);
    fall_back(config);
}

/* What was on probation is no good document for this version of the agent. */
static void start_without_candidate(struct config *config)
{
    swap_texts(&config->cache.desired, &config->cache.proven);
    buf_done(&config->cache.proven);
    config->cache.on_probation = false;
    fall_back(config);
}

static void start_from_cache(struct config *config)
{
    struct arena arena;
    struct json *desired = NULL;
    struct settings candidate;
    struct cache *cache = &config->cache;
    cache_load(cache);
    if (cache->desired.len == 0)
        return;
    arena_init(&arena, DOCUMENT_MAX_BYTES);
    settings_init(&candidate);
    bool good = judge_text(config, &cache->desired, &desired, &arena, &candidate, &config->verdict);
    config->judged = desired != NULL;
    if (cache->on_probation)
        find_good(config);
    if (!good && cache->on_probation)
        start_without_candidate(config);
    else if (good &&
             (!cache->on_probation || may_try_again(config, &candidate, version_of(desired))))
        start_in_force(config, &candidate, version_of(desired));
    if (cache->refused_version > 0 && repeat_refusal(config) != ERR_NONE)
        config->judged = false;
    settings_done(&candidate);
    arena_done(&arena);
}

void config_reload(struct config *config)
{
    struct arena arena;
    struct json *desired = NULL;
    struct settings settings;
    struct verdict verdict;
    struct why why = {""};
    const char *field = NULL;
    config_load(config);
    if (config->cache.desired.len == 0)
        buf_add_text(&config->cache.desired, CACHE_NO_DOCUMENT);
    arena_init(&arena, DOCUMENT_MAX_BYTES);
    settings_init(&settings);
    verdict_init(&verdict);
    if (judge_text(config, &config->cache.desired, &desired, &arena, &settings, &verdict)) {
        enum err err = put_in_force(config, &settings, &field, &why);
        if (err != ERR_NONE)
            log_error(PART, "conf.json cannot be put in force: %s%s%s", field == NULL ? "" : field,
                field == NULL ? "" : ": ", why_text(&why, err));
    }
    if (config->cache.on_probation)
        find_good(config);
    /* What is reported follows. */
    config->judging_due = config->desired.root != NULL;
    settings_done(&settings);
    verdict_done(&verdict);
    arena_done(&arena);
}

void config_start(struct config *config)
{
    struct settings defaults;
    settings_init(&defaults);
    start_from_cache(config);
    if (!config->applied && !start_with(config, &config->base, "conf.json"))
        start_with(config, &defaults, "the defaults");
    settings_done(&defaults);
}
