/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The security baseline: what the checks of the benchmark find. (The checks themselves: see
 * baseline.h.) A scan is made while it is collected and takes some tens of milliseconds; only the
 * walk over the file systems can take longer, so it is made when a collection is due and before it,
 * in slices of five milliseconds with pauses, longer ones at first, so that small devices do not
 * feel it and large ones do not wait for minutes. Before that nothing is done.
 */
#include "baseline.h"
#include "collector.h"
#include "file.h"
#include "log.h"
#include "os_release.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
#define SLICE_US INT64_C(5000)
/* A walk that takes longer is used as far as it came. */
#define WALK_US (600 * SECOND_US)
/* What a walk found serves for scans out of turn, as after a change of settings, so long. */
#define KEEP_US (60 * SECOND_US)
#define FINDINGS_MAX 4096u
#define RESULTS_ARENA_BYTES (4u * 1024 * 1024)
#define OS_RELEASE_MAX 4096u

struct state {
    struct collectors_options options;
    char checks_dir[PATH_MAX];
    char *keys_path;
    char *groups; /* lists, as the settings have them */
    char *checks;
    char *own_dir;
    struct baseline_tree *tree; /* the walk that is under way */
    int64_t walk_began_us;
    int64_t walk_ended_us; /* 0: it is under way */
    int64_t slice_due_us;
    uint64_t counts[4];
    uint64_t refused;
    int64_t took_us;
};

/* ---- settings -------------------------------------------------------------------------------- */

static bool copy_text(const struct settings *settings, enum setting_id id, char **ret_text)
{
    *ret_text = mem_text(span_of(settings_text(settings, id)));
    return *ret_text != NULL;
}

static enum err start(
    void *state, const struct settings *settings, const char **ret_field UNUSED, struct why *why)
{
    struct state *self = state;
    char *groups = NULL, *checks = NULL, *own_dir = NULL;
    if (!copy_text(settings, SETTING_BASELINE_GROUPS_DISABLED, &groups) ||
        !copy_text(settings, SETTING_BASELINE_CHECKS_DISABLED, &checks) ||
        !copy_text(settings, SETTING_BASELINE_DIRECTORY, &own_dir)) {
        mem_free(groups);
        mem_free(checks);
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    }
    mem_free(self->groups);
    mem_free(self->checks);
    mem_free(self->own_dir);
    self->groups = groups;
    self->checks = checks;
    self->own_dir = own_dir;
    return ERR_NONE;
}

static void stop(void *state)
{
    struct state *self = state;
    baseline_tree_free(self->tree);
    self->tree = NULL;
    self->walk_ended_us = 0;
}

static bool lists(const char *list, struct span wanted)
{
    struct span rest = span_of(list), item;
    if (rest.len == 0)
        return false;
    while (span_cut(&rest, ',', &item))
        if (span_eq(span_trim(item), wanted))
            return true;
    return false;
}

static bool is_disabled(void *state, struct span id, struct span group)
{
    const struct state *self = state;
    return lists(self->checks, id) || lists(self->groups, group);
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Process 1 sees the machine as it is; what this one sees may have been made narrower to protect
 * the machine from it. */
static const char *root_of(const struct state *self)
{
    if (self->options.root_dir != NULL && self->options.root_dir[0] != '\0')
        return self->options.root_dir;
    int fd = open("/proc/1/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return "/";
    bool usable = faccessat(fd, "etc", R_OK, AT_EACCESS) == 0;
    close(fd);
    return usable ? "/proc/1/root" : "/";
}

/* The pauses between slices, by how long the walk has been under way: it takes a twentieth of a
 * processor, then a tenth, then a fifth. */
static int64_t pause_us(int64_t under_way_us)
{
    return under_way_us < 5 * SECOND_US    ? 19 * SLICE_US
           : under_way_us < 15 * SECOND_US ? 9 * SLICE_US
                                           : 4 * SLICE_US;
}

static int64_t prepare(void *state)
{
    struct state *self = state;
    int64_t now_us = clock_mono_us(self->options.clock);
    struct why why = {""};
    if (self->walk_ended_us != 0 && now_us - self->walk_ended_us > KEEP_US)
        stop(self);
    if (self->tree == NULL) {
        if (baseline_tree_new(root_of(self), self->options.clock, &self->tree, &why) != ERR_NONE) {
            log_warn("baseline", "the file systems cannot be looked at beforehand: %s", why.text);
            return 0; /* the scan tries again, and says so where it cannot either */
        }
        self->walk_began_us = self->slice_due_us = now_us;
    }
    if (self->walk_ended_us != 0)
        return 0;
    if (now_us < self->slice_due_us)
        return self->slice_due_us;
    bool ended = baseline_tree_step(self->tree, SLICE_US);
    now_us = clock_mono_us(self->options.clock);
    if (ended)
        self->walk_ended_us = now_us;
    if (ended || now_us - self->walk_began_us >= WALK_US)
        return 0;
    self->slice_due_us = now_us + pause_us(now_us - self->walk_began_us);
    return self->slice_due_us;
}

/* ---- a scan ---------------------------------------------------------------------------------- */

struct result {
    const char *id;
    enum baseline_result result;
    enum baseline_severity severity;
    struct span reason;
    struct span description;
    struct span remediation;
};

struct results {
    struct arena arena;
    struct result *items;
    size_t count;
    size_t cap;
    char scan_id[40];
};

static bool keep(struct results *results, const struct baseline_finding *finding)
{
    if (results->count == results->cap) {
        size_t cap = results->cap == 0 ? 64 : 2 * results->cap;
        struct result *items = arena_alloc(&results->arena, cap * sizeof(*items));
        if (items == NULL)
            return false;
        if (results->count > 0)
            memcpy(items, results->items, results->count * sizeof(*items));
        results->items = items;
        results->cap = cap;
    }
    struct result *result = &results->items[results->count];
    *result = (struct result){.result = finding->result,
        .severity = finding->severity,
        .id = arena_text(&results->arena, span_of(finding->id))};
    if (result->id == NULL ||
        !arena_span(&results->arena, finding->description, &result->description))
        return false;
    /* Of a check that passed there is nothing to tell. */
    if (finding->result != BASELINE_PASS &&
        (!arena_span(&results->arena, span_of(finding->reason), &result->reason) ||
            !arena_span(&results->arena, finding->remediation, &result->remediation)))
        return false;
    results->count++;
    return true;
}

static void read_release(
    const struct state *self, struct buf *id, struct buf *like, struct buf *version)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (!file_read(self->options.etc_dir, "os-release", OS_RELEASE_MAX, &text))
        return;
    if (!os_release_find(buf_span(&text), "ID", id))
        buf_clear(id);
    if (!os_release_find(buf_span(&text), "ID_LIKE", like))
        buf_clear(like);
    if (!os_release_find(buf_span(&text), "VERSION_ID", version))
        buf_clear(version);
}

static const char *text_of(const struct buf *text)
{
    return text->len == 0 || text->failed ? "" : text->ptr;
}

static enum err scan_with(struct state *self, const struct baseline_options *options,
    struct results *results, struct why *why)
{
    struct baseline *scan;
    struct baseline_finding finding;
    enum err err = baseline_open(options, &scan, why);
    if (err != ERR_NONE)
        return err;
    memset(self->counts, 0, sizeof(self->counts));
    self->refused = baseline_refused(scan);
    while (err == ERR_NONE && baseline_next(scan, &finding)) {
        self->counts[finding.result]++;
        if (results->count == FINDINGS_MAX || !keep(results, &finding))
            err = fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    }
    baseline_close(scan);
    return err;
}

static enum err scan(struct state *self, struct results *results, struct why *why)
{
    AUTO(buf_done) struct buf id = BUF_EMPTY;
    AUTO(buf_done) struct buf like = BUF_EMPTY;
    AUTO(buf_done) struct buf version = BUF_EMPTY;
    read_release(self, &id, &like, &version);
    const struct baseline_options options = {.clock = self->options.clock,
        .root_dir = root_of(self),
        .distribution = text_of(&id),
        .like = text_of(&like),
        .version = text_of(&version),
        .checks_dir = self->checks_dir,
        .own_checks_dir = self->own_dir[0] == '\0' ? NULL : self->own_dir,
        .keys_path = self->keys_path,
        .disabled = is_disabled,
        .self = self,
        .tree = self->tree,
        .tree_limit_us = self->tree == NULL ? BASELINE_TREE_US : SLICE_US};
    return scan_with(self, &options, results, why);
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool add_check(struct arena *arena, struct json *checks, const struct result *result)
{
    struct json *check = json_new(arena, JSON_OBJECT);
    return check != NULL && json_append(checks, check) &&
           json_set_text(arena, check, "id", span_of(result->id)) &&
           json_set_text(arena, check, "result", span_of(baseline_results[result->result])) &&
           (result->reason.len == 0 || json_set_text(arena, check, "error", result->reason)) &&
           json_set_text(arena, check, "description", result->description) &&
           json_set_text(
               arena, check, "severity", span_of(baseline_severities[result->severity])) &&
           (result->remediation.len == 0 ||
               json_set_text(arena, check, "remediation", result->remediation));
}

static enum err write_some(
    struct collector_writer *writer, const struct results *results, size_t first, size_t count)
{
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    struct json *checks = payload == NULL ? NULL : json_new(arena, JSON_ARRAY);
    bool good = checks != NULL &&
                json_set_text(arena, payload, "scan_id", span_of(results->scan_id)) &&
                json_set(arena, payload, SPAN_LIT("baseline_checks"), checks);
    for (size_t i = first; good && i < first + count; i++)
        good = add_check(arena, checks, &results->items[i]);
    return collector_write(writer, collector_now_us(writer), 1, good ? payload : NULL);
}

/* All of them in one event; where that passes the message limit, in parts of half the size. */
static enum err write_results(
    struct collector_writer *writer, const struct results *results, struct why *why)
{
    size_t at = 0, part = results->count;
    do {
        size_t left = results->count - at;
        size_t count = part < left ? part : left;
        enum err err = write_some(writer, results, at, count);
        if (err == ERR_TOO_LARGE && count > 1) {
            part = (count + 1) / 2;
            continue;
        }
        if (err == ERR_TOO_LARGE)
            collector_lose(writer, LOSS_TOO_LARGE, 1);
        else if (err != ERR_NONE)
            return fail(err, why, "%s", err_row(err)->text);
        at += count;
    } while (at < results->count);
    return ERR_NONE;
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    struct state *self = state;
    int64_t begin_us = clock_mono_us(self->options.clock);
    struct results results = {.count = 0};
    arena_init(&results.arena, RESULTS_ARENA_BYTES);
    uint32_t a = self->options.random(), b = self->options.random();
    uint32_t c = self->options.random(), d = self->options.random();
    snprintf(results.scan_id, sizeof(results.scan_id), "%08x-%04x-4%03x-%04x-%04x%08x", a, b >> 16,
        b & 0xfff, 0x8000 | (c >> 16 & 0x3fff), c & 0xffff, d);
    enum err err = scan(self, &results, why);
    if (err == ERR_NONE)
        err = write_results(writer, &results, why);
    else
        collector_lose(writer, LOSS_MEMORY, 1);
    arena_done(&results.arena);
    if (self->walk_ended_us == 0)
        stop(self); /* the scan has ended it */
    self->took_us = clock_mono_us(self->options.clock) - begin_us;
    return err;
}

static bool status(void *state, struct arena *arena, struct json *object)
{
    const struct state *self = state;
    static const char *const names[] = {"passed", "failed", "errors", "skipped"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!json_set_int(arena, object, names[i], (int64_t)self->counts[i]))
            return false;
    return json_set_int(arena, object, "files_refused", (int64_t)self->refused) &&
           json_set_int(arena, object, "took_us", self->took_us);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* As installed: prefix/bin/gemel-agent and prefix/share/gemel/baseline; in a build tree: beside the
 * agent. Else where this build is to be installed. */
static void find_checks(char ret_dir[PATH_MAX])
{
    static const char *const places[] = {"../share/gemel/baseline", "baseline/checks"};
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    for (size_t i = 0; size > 0 && i < COUNT_OF(places); i++) {
        program[size] = '\0';
        char *slash = strrchr(program, '/');
        int len =
            snprintf(ret_dir, PATH_MAX, "%.*s/%s", (int)(slash - program), program, places[i]);
        if (len > 0 && len < PATH_MAX && access(ret_dir, F_OK) == 0)
            return;
    }
    snprintf(ret_dir, PATH_MAX, "%s", GEMEL_BASELINE_DIR);
}

static void baseline_free(void *state)
{
    struct state *self = state;
    if (self == NULL)
        return;
    baseline_tree_free(self->tree);
    mem_free(self->keys_path);
    mem_free(self->groups);
    mem_free(self->checks);
    mem_free(self->own_dir);
    mem_free(self);
}

static enum err baseline_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct state *self = mem_alloc(sizeof(*self));
    if (self == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    self->options = *options;
    if (options->baseline_dir != NULL)
        snprintf(self->checks_dir, sizeof(self->checks_dir), "%s", options->baseline_dir);
    else
        find_checks(self->checks_dir);
    if (options->config_dir != NULL) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/baseline_keys.pem", options->config_dir);
        self->keys_path = mem_text(span_of(path));
        if (self->keys_path == NULL) {
            baseline_free(self);
            return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
        }
    }
    *ret_state = self;
    return ERR_NONE;
}

const struct collector baseline_collector = {
    .name = "Baseline",
    .part = PART_BASELINE,
    .disabled = SETTING_BASELINE_DISABLED,
    .frequency = SETTING_BASELINE_MESSAGE_FREQUENCY,
    .capabilities = UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_SYS_PTRACE,
    .snapshot = true,
    .new = baseline_new,
    .free = baseline_free,
    .start = start,
    .stop = stop,
    .prepare = prepare,
    .collect = collect,
    .status = status,
};
