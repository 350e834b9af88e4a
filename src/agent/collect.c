/* SPDX-License-Identifier: Apache-2.0 */
#include "collect.h"

#include "collector.h"
#include "config.h"
#include "files.h"
#include "log.h"
#include "mem.h"
#include "run.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
#define LISTEN_S 5
#define MESSAGE_BYTES ((size_t)1 << 30) /* all in one message */
#define STATE_TEMPLATE "/tmp/gemel-agent-collect-XXXXXX"

/* What was delivered: the first message, with the events of all. */
struct collected {
    struct arena arena;
    struct json *message; /* NULL: nothing yet */
    struct json *events;
};

static uint32_t random_word(void)
{
    uint32_t word;
    while (getrandom(&word, sizeof(word), 0) != (ssize_t)sizeof(word))
        ;
    return word;
}

static enum err deliver(void *self, struct span body, size_t event_count UNUSED,
    const struct ledger_tallies *tallies UNUSED)
{
    struct collected *collected = self;
    struct json *message;
    enum err err = json_parse(&collected->arena, body, 0, &message, NULL);
    if (err != ERR_NONE || collected->message == NULL) {
        if (err == ERR_NONE) {
            collected->message = message;
            collected->events = json_find(message, SPAN_LIT("events"));
        }
        return err;
    }
    json_each (event, json_find(message, SPAN_LIT("events")))
        if (!json_append(collected->events, json_copy(&collected->arena, event)))
            return ERR_MEMORY;
    return ERR_NONE;
}

void collect_names(struct buf *out)
{
    const struct collector *collector;
    for (size_t i = 0; (collector = collectors_at(i)) != NULL; i++) {
        buf_add_text(out, i == 0 ? "" : " ");
        buf_add_text(out, collector->name);
    }
}

static const struct collector *find(const char *name)
{
    const struct collector *collector = NULL;
    for (size_t i = 0; (collector = collectors_at(i)) != NULL; i++)
        if (strcasecmp(collector->name, name) == 0)
            break;
    return collector;
}

static int64_t now_us(void)
{
    return clock_mono_us(&clock_system);
}

/* Lets the collector listen, as the agent's main loop does. */
static void listen_until(struct collectors *collectors, int64_t end_us)
{
    for (int64_t now = now_us(); now < end_us; now = now_us()) {
        int fds[COLLECTORS_DESCRIPTORS_MAX];
        struct pollfd ready[COLLECTORS_DESCRIPTORS_MAX];
        int64_t due_us = collectors_run(collectors);
        if (due_us > end_us)
            due_us = end_us;
        size_t count = collectors_descriptors(collectors, fds);
        for (size_t i = 0; i < count; i++)
            ready[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        now = now_us();
        if (poll(ready, (nfds_t)count, due_us <= now ? 0 : (int)((due_us - now) / 1000 + 1)) >= 0)
            collectors_woken(collectors, ready, count);
    }
}

static int64_t listen_seconds(const struct collect_options *options)
{
    return options->seconds < 0 ? LISTEN_S : options->seconds;
}

static enum err collect(const struct collect_options *options, const struct collector *collector,
    const struct settings *settings, const char *state_dir, struct collected *collected,
    struct why *why)
{
    const struct collectors_options own = {.clock = &clock_system,
        .config_dir = options->config_dir,
        .state_dir = state_dir,
        .random = random_word,
        .at_once = true,
        .message_limit_bytes = MESSAGE_BYTES,
        .deliver = deliver,
        .self = collected};
    struct collectors *collectors;
    const char *field = NULL;
    enum err err = collectors_new_of(&own, &collector, 1, &collectors, why);
    if (err != ERR_NONE)
        return err;
    err = collectors_apply(collectors, settings, &field, why);
    if (err == ERR_NONE) {
        if (!collector->snapshot)
            listen_until(collectors, now_us() + listen_seconds(options) * SECOND_US);
        collectors_run(collectors);
        collectors_flush(collectors);
    } else if (field != NULL) {
        why_prefix(why, "%s", field);
    }
    collectors_free(collectors);
    return err;
}

/* The settings of this device, with the collector switched on. */
static enum err load_settings(const struct collect_options *options,
    const struct collector *collector, struct settings *ret_settings, struct why *why)
{
    struct config *config;
    char *conf_path = files_path(options->config_dir, "conf.json");
    if (conf_path == NULL)
        return fail(ERR_MEMORY, why, "no memory");
    const struct config_options own = {.clock = &clock_system,
        .random = random_word,
        .conf_path = conf_path,
        .state_dir = "",
        .agent_version = GEMEL_VERSION};
    enum err err = config_new(&own, &config, why);
    if (err == ERR_NONE) {
        config_load(config);
        err = settings_copy(config_settings(config), ret_settings);
        config_free(config);
    }
    mem_free(conf_path);
    if (err == ERR_NONE)
        ret_settings->values[collector->disabled].number = false;
    return err;
}

static int print(struct collected *collected)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    if (collected->message == NULL)
        buf_add_text(&out, "{\n  \"events\": []\n}");
    else
        json_write_pretty(collected->message, 2, &out);
    buf_add_byte(&out, '\n');
    if (out.failed || fwrite(out.ptr, 1, out.len, stdout) != out.len || fflush(stdout) != 0) {
        fprintf(stderr, "gemel-agent: writing the events: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* Says why there is no event: an empty list alone does not. */
static void explain_nothing(const struct collect_options *options,
    const struct collector *collector, const struct settings *settings)
{
    if (collector->part == PART_FILE_SYSTEM &&
        settings_text(settings, SETTING_FILE_SYSTEM_PATHS)[0] == '\0')
        fprintf(stderr, "gemel-agent: %s: no path is watched, as %s is empty\n", collector->name,
            setting_row(SETTING_FILE_SYSTEM_PATHS)->name);
    else if (collector->snapshot)
        fprintf(stderr, "gemel-agent: %s: there is nothing to tell\n", collector->name);
    else
        fprintf(stderr, "gemel-agent: %s: nothing happened in %lld s (--seconds sets how long)\n",
            collector->name, (long long)listen_seconds(options));
}

static int remove_one(
    const char *path, const struct stat *status UNUSED, int flag UNUSED, struct FTW *where UNUSED)
{
    return remove(path);
}

int agent_collect(const struct collect_options *options)
{
    const struct collector *collector = find(options->name);
    char state_dir[] = STATE_TEMPLATE;
    struct why why = {""};
    struct settings settings;
    struct collected collected = {.message = NULL};
    if (collector == NULL) {
        AUTO(buf_done) struct buf names = BUF_EMPTY;
        collect_names(&names);
        fprintf(stderr, "gemel-agent: there is no collector %s; there are: %s\n", options->name,
            names.failed ? "" : names.ptr);
        return EXIT_USAGE;
    }
    if (mkdtemp(state_dir) == NULL) {
        fprintf(stderr, "gemel-agent: making %s: %s\n", state_dir, strerror(errno));
        return EXIT_FAILED;
    }
    arena_init(&collected.arena, 0);
    settings_init(&settings);
    enum err err = load_settings(options, collector, &settings, &why);
    if (err == ERR_NONE)
        err = collect(options, collector, &settings, state_dir, &collected, &why);
    int code = EXIT_FAILED;
    if (err == ERR_NONE)
        code = print(&collected);
    if (err == ERR_NONE && collected.message == NULL)
        explain_nothing(options, collector, &settings);
    if (err != ERR_NONE)
        fprintf(stderr, "gemel-agent: %s: %s\n", collector->name, why_text(&why, err));
    settings_done(&settings);
    arena_done(&collected.arena);
    (void)nftw(state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return code;
}
