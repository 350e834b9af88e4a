/* SPDX-License-Identifier: Apache-2.0 */
#include "config_priv.h"

#include "files.h"
#include "log.h"
#include "merge_priv.h"

#include <inttypes.h>

/* So often a twin that is older than what was pushed is asked for again; past it the twin is
 * believed: the module was deleted and made anew, and its versions began again. */
#define OLDER_READS_MAX 4

static const char *const state_names[TWIN_STATE_COUNT] = {
    [TWIN_OFFLINE] = "offline",
    [TWIN_READING] = "reading",
    [TWIN_PAUSING] = "pausing",
    [TWIN_IN_STEP] = "in step",
};

#define TO(state) (1u << (state))

static const unsigned state_moves[TWIN_STATE_COUNT] = {
    [TWIN_OFFLINE] = TO(TWIN_READING) | TO(TWIN_PAUSING),
    [TWIN_READING] = TO(TWIN_OFFLINE) | TO(TWIN_PAUSING) | TO(TWIN_IN_STEP),
    [TWIN_PAUSING] = TO(TWIN_OFFLINE) | TO(TWIN_READING),
    [TWIN_IN_STEP] = TO(TWIN_OFFLINE) | TO(TWIN_READING) | TO(TWIN_PAUSING),
};

static int64_t now_of(const struct config *config)
{
    return clock_mono_us(config->options.clock);
}

static void move(struct config *config, enum twin_state to)
{
    must(config->state == to || (state_moves[config->state] & TO(to)) != 0);
    config->state = to;
    config->told = false;
}

static void document_init(struct document *document)
{
    arena_init(&document->arena, DOCUMENT_MAX_BYTES);
    document->root = NULL;
}

static void document_done(struct document *document)
{
    arena_done(&document->arena);
    document_init(document);
}

/* Takes over a new document; the old one is freed. */
static void document_replace(struct document *document, struct document *with)
{
    arena_done(&document->arena);
    *document = *with;
    document_init(with);
}

/* ---- asking the hub ---- */

static int64_t seconds_us(const struct config *config, enum setting_id id)
{
    return settings_int(&config->base, id) * SECOND_US;
}

/* Half to the whole of a time that doubles from pause to pause. */
static int64_t pause_us(struct config *config)
{
    int64_t most = seconds_us(config, SETTING_IOTHUB_MODULE_BACK_OFF_LONGEST);
    int64_t longest = seconds_us(config, SETTING_IOTHUB_MODULE_BACK_OFF_FIRST);
    for (unsigned i = 0; i < config->pauses && longest < most; i++)
        longest *= 2;
    if (longest > most)
        longest = most;
    return longest / 2 + config->options.random() % (longest / 2 + 1);
}

static void pause(struct config *config)
{
    move(config, TWIN_PAUSING);
    config->read_request = config->report_request = 0;
    config->due_us = now_of(config) + pause_us(config);
    config->pauses++;
}

static uint32_t next_request(struct config *config)
{
    config->last_request++;
    if (config->last_request == 0)
        config->last_request++;
    return config->last_request;
}

static void read_twin(struct config *config)
{
    uint32_t request = next_request(config);
    config->report_request = 0;
    if (config->options.read_twin(config->options.self, request) != ERR_NONE) {
        pause(config);
        return;
    }
    move(config, TWIN_READING);
    config->read_request = request;
    config->due_us = now_of(config) + CONFIG_ANSWER_US;
}

void config_connected(struct config *config)
{
    must(config->state == TWIN_OFFLINE);
    config->pauses = 0;
    probation_connected(&config->probation);
    /* While the connection was gone the module may well have been made anew: ask only once more. */
    config->older_reads = OLDER_READS_MAX - 1;
    read_twin(config);
}

void config_lost(struct config *config)
{
    move(config, TWIN_OFFLINE);
    probation_lost(&config->probation, now_of(config));
    config->read_request = config->report_request = 0;
}

/* ---- what the hub says ---- */

static bool parse_object(struct document *document, struct span text, const char *what)
{
    struct why why = {""};
    document_init(document);
    enum err err = json_parse(&document->arena, text, DEPTH_MAX, &document->root, &why);
    if (err == ERR_NONE && document->root->kind == JSON_OBJECT)
        return true;
    log_warn(PART, "%s is no JSON object%s%s", what, err == ERR_NONE ? "" : ": ",
        err == ERR_NONE ? "" : why_text(&why, err));
    document_done(document);
    return false;
}

static void take_desired(struct config *config, struct document *document, int64_t version)
{
    document_replace(&config->desired, document);
    config->version = version;
    config->judging_due = true;
    config->judge_at_us = 0;
}

/* Splits the answer {"desired":{…},"reported":{…}} into two documents of their own. */
static bool take_twin(struct config *config, const struct json *twin)
{
    int64_t version;
    struct document desired;
    struct document reported;
    const struct json *new_desired = json_find_text(twin, "desired");
    const struct json *new_reported = json_find_text(twin, "reported");
    if (!json_is(new_desired, JSON_OBJECT) ||
        !json_int64(json_find_text(new_desired, "$version"), &version) || version < 1) {
        log_warn(PART, "the twin that the hub sent has no desired section with a $version");
        return false;
    }
    if (version < config->seen_version && config->older_reads < OLDER_READS_MAX) {
        config->older_reads++;
        log_info(PART,
            "the twin is older (version %" PRId64 ") than a change that came (%" PRId64
            "): reading it again",
            version, config->seen_version);
        return false;
    }
    document_init(&desired);
    document_init(&reported);
    desired.root = json_copy(&desired.arena, new_desired);
    reported.root = json_is(new_reported, JSON_OBJECT) ? json_copy(&reported.arena, new_reported)
                                                       : json_new(&reported.arena, JSON_OBJECT);
    if (desired.root == NULL || reported.root == NULL) {
        log_warn(PART, "no memory for the twin");
        document_done(&desired);
        document_done(&reported);
        return false;
    }
    json_take(desired.root, SPAN_LIT("$metadata"));
    config->older_reads = 0;
    config->seen_version = version;
    document_replace(&config->reported, &reported);
    take_desired(config, &desired, version);
    return true;
}

static void answer_to_read(struct config *config, int status, struct span body)
{
    struct document answer;
    config->read_request = 0;
    bool good = false;
    if (status != 200) {
        log_warn(PART, "the hub refused to send the twin: status %d %.*s", status,
            SPAN_ARG(span_first(body, 300)));
    } else if (parse_object(&answer, body, "the twin that the hub sent")) {
        good = take_twin(config, answer.root);
        document_done(&answer);
    }
    if (good)
        move(config, TWIN_IN_STEP);
    else
        pause(config);
}

/* Makes a copy with a patch merged in; memory of its own keeps what is merged again and again from
 * growing. */
static bool copy_merged(
    const struct json *root, const struct json *patch, struct document *ret_document)
{
    struct document document;
    document_init(&document);
    document.root = json_copy(&document.arena, root);
    if (document.root == NULL || !config_merge(&document.arena, document.root, patch)) {
        document_done(&document);
        return false;
    }
    *ret_document = document;
    return true;
}

static void answer_to_report(struct config *config, int status, struct span body)
{
    config->report_request = 0;
    config->told = false;
    if (status != 200 && status != 204) {
        log_warn(PART, "the hub refused the report: status %d %.*s", status,
            SPAN_ARG(span_first(body, 300)));
        pause(config);
        return;
    }
    config->pauses = 0;
    struct document reported;
    if (copy_merged(config->reported.root, config->report_sent.root, &reported)) {
        document_replace(&config->reported, &reported);
    } else {
        log_warn(PART, "no memory to note what was reported");
        read_twin(config);
    }
    document_done(&config->report_sent);
}

void config_answer(struct config *config, uint32_t request, int status, struct span body)
{
    if (request != 0 && request == config->read_request)
        answer_to_read(config, status, body);
    else if (request != 0 && request == config->report_request)
        answer_to_report(config, status, body);
    else
        log_debug(PART, "an answer to no question");
}

/* Makes the next version: a copy of the document with the patch merged in. */
static bool merge_desired(struct config *config, int64_t version, const struct json *patch)
{
    struct document merged;
    document_init(&merged);
    bool done = copy_merged(config->desired.root, patch, &merged);
    if (done) {
        json_take(merged.root, SPAN_LIT("$metadata"));
        done = json_set(
            &merged.arena, merged.root, SPAN_LIT("$version"), json_new_int(&merged.arena, version));
    }
    if (!done) {
        log_warn(PART, "no memory for a change of the twin");
        document_done(&merged);
        return false;
    }
    take_desired(config, &merged, version);
    return true;
}

void config_desired(struct config *config, int64_t version, struct span body)
{
    struct document patch;
    bool merged = false;
    if (version >= 1 && version <= config->version)
        return;
    if (!parse_object(&patch, body, "a change that the hub sent")) {
        log_warn(PART, "reading the twin again");
    } else {
        if (version > config->seen_version)
            config->seen_version = version;
        if (config->desired.root != NULL && version == config->version + 1)
            merged = merge_desired(config, version, patch.root);
        else
            log_info(PART,
                "a change of version %" PRId64 " came after version %" PRId64
                ": reading the twin again",
                version, config->version);
        document_done(&patch);
    }
    /* While READING or PAUSING the twin will be read anyway. */
    if (!merged && config->state == TWIN_IN_STEP)
        read_twin(config);
}

/* ---- judging ---- */

static void judge(struct config *config)
{
    if (force_judge(config) != ERR_NONE) {
        config->judge_at_us = now_of(config) + PAUSE_APPLY_US;
        return;
    }
    config->judging_due = false;
    config->judged = true;
    /* A report that the hub refused before may be accepted with the new verdict. */
    int64_t soon = now_of(config) + seconds_us(config, SETTING_IOTHUB_MODULE_BACK_OFF_FIRST);
    if (config->state == TWIN_PAUSING && config->due_us > soon)
        config->due_us = soon;
}

/* ---- reporting ---- */

static struct json *build_report(const struct config *config, struct arena *arena)
{
    struct json *object = settings_report(arena, &config->in_force);
    if (object == NULL ||
        !verdict_report(arena, &config->verdict, config->options.agent_version, object))
        return NULL;
    return object;
}

/* Sends what differs from the hub's reported section. False: nothing could be sent. */
static bool send_difference(struct config *config)
{
    struct document patch;
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    document_init(&patch);
    const struct json *wanted = build_report(config, &patch.arena);
    if (wanted != NULL)
        patch.root = settings_report_difference(&patch.arena, config->reported.root, wanted);
    if (patch.root == NULL) {
        document_done(&patch);
        return false;
    }
    if (patch.root->count == 0) {
        config->pauses = 0;
        config->told = true;
        document_done(&patch);
        return true;
    }
    uint32_t request = next_request(config);
    json_write(patch.root, &text);
    if (text.failed ||
        config->options.report(config->options.self, request, buf_span(&text)) != ERR_NONE) {
        document_done(&patch);
        return false;
    }
    document_replace(&config->report_sent, &patch);
    config->report_request = request;
    config->report_due_us = now_of(config) + CONFIG_ANSWER_US;
    return true;
}

static bool may_report(const struct config *config)
{
    return config->state == TWIN_IN_STEP && !config->told && config->report_request == 0 &&
           config->judged && !config->judging_due && config->reported.root != NULL;
}

/* ---- time ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t config_run(struct config *config)
{
    int64_t now = now_of(config);
    bool read_silent = config->state == TWIN_READING && now >= config->due_us;
    bool report_silent = config->report_request != 0 && now >= config->report_due_us;
    if (read_silent || report_silent) {
        log_warn(PART, "the hub did not answer in %d s: asking again",
            (int)(CONFIG_ANSWER_US / SECOND_US));
        pause(config);
    }
    if (config->state == TWIN_PAUSING && now >= config->due_us)
        read_twin(config);
    if (config->judging_due && now >= config->judge_at_us)
        judge(config);
    force_run(config);
    if (may_report(config) && !send_difference(config))
        pause(config);
    /* The hub need not wait for the disk: what it is told outlives a crash of this process already,
     * and after a loss of power the twin is read anew. */
    cache_commit(&config->cache);

    int64_t due = INT64_MAX;
    if (config->state == TWIN_READING || config->state == TWIN_PAUSING)
        due = earlier(due, config->due_us);
    if (config->report_request != 0)
        due = earlier(due, config->report_due_us);
    if (config->judging_due)
        due = earlier(due, config->judge_at_us);
    return earlier(due, probation_due(&config->probation));
}

/* ---- start ---- */

enum err config_new(
    const struct config_options *options, struct config **ret_config, struct why *why)
{
    struct config *config = mem_alloc(sizeof(*config));
    if (config == NULL)
        return fail(ERR_MEMORY, why, "no memory for the configuration");
    config->options = *options;
    cache_init(&config->cache, options->state_dir);
    document_init(&config->desired);
    document_init(&config->reported);
    document_init(&config->report_sent);
    settings_init(&config->base);
    settings_init(&config->in_force);
    settings_init(&config->good);
    verdict_init(&config->verdict);
    *ret_config = config;
    return ERR_NONE;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    cache_done(&config->cache);
    document_done(&config->desired);
    document_done(&config->reported);
    document_done(&config->report_sent);
    settings_done(&config->base);
    settings_done(&config->in_force);
    settings_done(&config->good);
    verdict_done(&config->verdict);
    mem_free(config);
}

void config_load(struct config *config)
{
    const char *path = config->options.conf_path;
    struct why why = {""};
    struct document conf;
    struct verdict verdict;
    struct settings base;
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    document_init(&conf);
    verdict_init(&verdict);
    enum err err = files_read(path, CONF_MAX_BYTES, &text, &why);
    if (err == ERR_NONE)
        err = json_parse(&conf.arena, buf_span(&text), DEPTH_MAX, &conf.root, &why);
    if (err == ERR_NONE && conf.root->kind != JSON_OBJECT)
        err = fail(ERR_FORMAT, &why, "it must hold one JSON object, and holds %s",
            json_kind_name(conf.root));
    if (err == ERR_NONE) {
        settings_init(&base);
        err = settings_judge_local(conf.root, &base, &verdict);
        force_log_verdict(path, &verdict);
    }
    if (err == ERR_NONE) {
        settings_done(&config->base);
        config->base = base;
    } else if (err == ERR_NOT_FOUND) {
        settings_done(&config->base);
    } else {
        log_warn(PART, "%s is ignored as a whole%s%s", path, err == ERR_ARGUMENT ? "" : ": ",
            err == ERR_ARGUMENT ? "" : why_text(&why, err));
    }
    verdict_done(&verdict);
    document_done(&conf);
}

const struct settings *config_settings(const struct config *config)
{
    return config->applied ? &config->in_force : &config->base;
}

static bool add_probation(const struct config *config, struct arena *arena, struct json *object)
{
    int64_t left_us = probation_due(&config->probation) - now_of(config);
    struct json *probation = json_new(arena, JSON_OBJECT);
    return probation != NULL &&
           json_set_int(arena, probation, "version", config->in_force_version) &&
           json_set_int(arena, probation, "seconds_left", left_us > 0 ? left_us / SECOND_US : 0) &&
           json_set(arena, object, SPAN_LIT("probation"), probation);
}

enum err config_status(const struct config *config, struct arena *arena, struct json *object)
{
    const struct {
        const char *name;
        int64_t value;
    } versions[] = {
        {"desired_version", config->version}, {"judged_version", config->verdict.desired_version}};
    struct json *settings = settings_report(arena, config_settings(config));
    bool ok = json_set(arena, object, SPAN_LIT("twin"),
        json_new_string(arena, span_of(state_names[config->state])));
    for (size_t i = 0; i < COUNT_OF(versions) && ok; i++)
        if (versions[i].value > 0)
            ok = json_set(
                arena, object, span_of(versions[i].name), json_new_int(arena, versions[i].value));
    if (ok && config->probation.state == PROBATION_RUNNING)
        ok = add_probation(config, arena, object);
    if (ok && config->cache.refused_version > 0)
        ok = json_set_int(arena, object, "taken_back_version", config->cache.refused_version);
    if (ok && config->judged)
        ok = verdict_report(arena, &config->verdict, NULL, object);
    return ok && json_set(arena, object, SPAN_LIT("settings"), settings) ? ERR_NONE : ERR_MEMORY;
}
