/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "budget.h"
#include "clock.h"
#include "collectors.h"
#include "config.h"
#include "files.h"
#include "log.h"
#include "log_ring.h"
#include "mem.h"
#include "notify.h"
#include "outbox.h"
#include "paho.h"
#include "privileges.h"
#include "remote.h"
#include "sender.h"
#include "status.h"
#include "uplink.h"

#include <errno.h>
#include <linux/capability.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART "agent"
#define MODULE_ID "DefenderIotMicroAgent" /* of a device that is provisioned */
#define SECOND_US ((int64_t)1000000)
#define SYNC_US SECOND_US
/* What was seen is noted whenever the loop is awake, at most so often; and when it sleeps, at least
 * so often: a kill costs the count of what was seen since. */
#define NOTE_SOONEST_US (SECOND_US / 10)
#define NOTE_LATEST_US SECOND_US
#define LOOK_US (10 * SECOND_US)
#define STOP_SENDING_US (2 * SECOND_US)
#define STOP_CLOSING_US SECOND_US

struct agent {
    const struct run_options *options;
    const struct clock *clock;
    char *conf_path;
    char *outbox_dir;
    struct outbox *outbox;
    struct sender *sender;
    struct collectors *collectors;
    struct config *config;
    struct paho *paho; /* one of these two: the connection here, or in another process */
    struct remote *remote;
    struct link_driver link;
    struct uplink *uplink;
    int signal_fd;
    int status_fd;
    int64_t started_us;
    int64_t sync_due_us;
    int64_t look_due_us; /* whether credentials were renewed on disk */
    int64_t noted_us;
    struct budget budget;
    unsigned level_before; /* of the budget, when the settings in force came */
    int64_t watchdog_us;
    int64_t watchdog_due_us;
    uint64_t base_rights; /* for files of another user's */
    uint64_t rights;      /* of the collectors in force */
    bool connected;
    bool stopping;
    bool closing;
    int64_t stop_due_us;
};

static int64_t now_of(const struct agent *agent)
{
    return clock_mono_us(agent->clock);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static uint32_t random_word(void)
{
    uint32_t word;
    while (getrandom(&word, sizeof(word), 0) != (ssize_t)sizeof(word))
        ;
    return word;
}

/* ---- rights ---- */

static bool is_foreign(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_uid != geteuid();
}

/* Root by hand may be sent to directories of the agent's user: then it needs what root has beyond
 * the owner's rights. */
static void limit_rights(struct agent *agent)
{
    const struct run_options *options = agent->options;
    if (is_foreign(options->state_dir))
        agent->base_rights |= PRIVILEGE(CAP_DAC_OVERRIDE);
    if (is_foreign(options->config_dir))
        agent->base_rights |= PRIVILEGE(CAP_DAC_READ_SEARCH);
    privileges_limit(agent->base_rights | collectors_capabilities(NULL));
}

/* ---- the state directory ---- */

static enum err make_state_dir(const char *dir, struct why *why)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return ERR_NONE;
    return fail(ERR_IO, why, "making the state directory %s: %s", dir, strerror(errno));
}

/* Somebody removed it while the agent runs. */
static void renew_state_dir(struct agent *agent)
{
    const char *dir = agent->options->state_dir;
    struct why why = {""};
    enum err err = make_state_dir(dir, &why);
    if (err != ERR_NONE)
        log_error(PART, "%s", why_text(&why, err));
    if (outbox_renew(agent->outbox, &why) != ERR_NONE)
        return;
    log_warn(PART, "%s was removed and is made anew", dir);
    status_close(agent->status_fd, dir);
    agent->status_fd = status_listen(dir);
}

/* ---- collectors -> outbox -> uplink ---- */

static enum err on_message(
    void *self, struct span body, size_t event_count, const struct ledger_tallies *tallies)
{
    struct agent *agent = self;
    struct why why = {""};
    enum err err = outbox_append(agent->outbox, body, (uint32_t)event_count, tallies, &why);
    if (err == ERR_NOT_FOUND) {
        renew_state_dir(agent);
        err = outbox_append(agent->outbox, body, (uint32_t)event_count, tallies, &why);
    }
    if (err != ERR_NONE)
        log_error(PART, "%zu events are lost: %s", event_count, why_text(&why, err));
    else if (agent->sync_due_us == INT64_MAX)
        agent->sync_due_us = now_of(agent) + SYNC_US;
    return err;
}

static uint64_t on_kept(void *self)
{
    const struct agent *agent = self;
    return outbox_end(agent->outbox);
}

static enum err on_publish(void *self, const char *id, struct span body, int *ret_token)
{
    struct agent *agent = self;
    return uplink_publish(agent->uplink, id, body, ret_token);
}

/* ---- config -> uplink, collectors ---- */

static enum err on_read_twin(void *self, uint32_t request)
{
    struct agent *agent = self;
    return uplink_read_twin(agent->uplink, request);
}

static enum err on_report(void *self, uint32_t request, struct span patch)
{
    struct agent *agent = self;
    return uplink_report(agent->uplink, request, patch);
}

static void on_flush(void *self)
{
    struct agent *agent = self;
    collectors_flush(agent->collectors);
    sender_run(agent->sender);
}

static enum err on_apply(
    void *self, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct agent *agent = self;
    /* What starts needs its rights, what still runs its own. */
    privileges_use(agent->base_rights | agent->rights | collectors_capabilities(settings));
    enum err err = collectors_apply(agent->collectors, settings, ret_field, why);
    if (err == ERR_NONE)
        agent->rights = collectors_capabilities(settings);
    privileges_use(agent->base_rights | agent->rights);
    if (err != ERR_NONE)
        return err;
    outbox_set_timeout(agent->outbox,
        settings_int(settings, SETTING_IOTHUB_MODULE_MESSAGE_TIMEOUT) * 60 * SECOND_US);
    budget_set(&agent->budget, settings);
    agent->level_before = agent->budget.level;
    return ERR_NONE;
}

/* ---- uplink -> config, sender ---- */

static void on_connected(void *self)
{
    struct agent *agent = self;
    agent->connected = true;
    sender_connected(agent->sender);
    config_connected(agent->config);
}

static void on_lost(void *self)
{
    struct agent *agent = self;
    agent->connected = false;
    sender_lost(agent->sender);
    config_lost(agent->config);
}

static void on_answer(void *self, uint32_t request, int status, struct span body)
{
    struct agent *agent = self;
    config_answer(agent->config, request, status, body);
}

static void on_desired(void *self, int64_t version, struct span patch)
{
    struct agent *agent = self;
    config_desired(agent->config, version, patch);
}

static void on_delivered(void *self, int token)
{
    struct agent *agent = self;
    sender_acked(agent->sender, token);
}

/* ---- start ---- */

static int64_t local_int(const struct agent *agent, enum setting_id id)
{
    return settings_int(config_settings(agent->config), id);
}

static const char *local_text(const struct agent *agent, enum setting_id id)
{
    return settings_text(config_settings(agent->config), id);
}

static enum err open_outbox(struct agent *agent, struct why *why)
{
    struct outbox_options options = {.clock = agent->clock,
        .dir = agent->outbox_dir,
        .max_bytes = (uint64_t)local_int(agent, SETTING_IOTHUB_MODULE_OUTBOX_BYTES),
        .memory_bytes = (uint64_t)local_int(agent, SETTING_IOTHUB_MODULE_OUTBOX_MEMORY_BYTES),
        .random = random_word};
    enum err err = outbox_open(&options, &agent->outbox, why);
    if (err != ERR_NONE)
        return err;
    struct sender_options sender_options = {.clock = agent->clock,
        .outbox = agent->outbox,
        .window = (size_t)local_int(agent, SETTING_IOTHUB_MODULE_IN_FLIGHT_MESSAGES),
        .publish = on_publish,
        .self = agent};
    return sender_new(&sender_options, &agent->sender, why);
}

static enum err open_uplink(struct agent *agent, struct why *why)
{
    const char *link_path = agent->options->link_path;
    enum err err = link_path == NULL ? paho_new(&agent->paho, why)
                                     : remote_new(link_path, &agent->remote, why);
    if (err != ERR_NONE)
        return err;
    agent->link = link_path == NULL ? paho_link(agent->paho) : remote_link(agent->remote);
    struct uplink_options options = {.clock = agent->clock,
        .random = random_word,
        .config_dir = agent->options->config_dir,
        .agent_version = GEMEL_VERSION,
        .registration = {.id_scope = local_text(agent, SETTING_PROVISIONING_ID_SCOPE),
            .registration_id = local_text(agent, SETTING_PROVISIONING_REGISTRATION_ID),
            .key = local_text(agent, SETTING_PROVISIONING_SYMMETRIC_KEY),
            .host = local_text(agent, SETTING_PROVISIONING_HOST),
            .module_id = MODULE_ID,
            .state_dir = agent->options->state_dir},
        .transport = settings_transport(config_settings(agent->config)),
        .proxy = settings_text(config_settings(agent->config), SETTING_IOTHUB_MODULE_PROXY_CONFIG),
        .token_life_s = 60 * local_int(agent, SETTING_IOTHUB_MODULE_TOKEN_LIFETIME),
        .keep_alive_s = local_int(agent, SETTING_IOTHUB_MODULE_KEEP_ALIVE),
        .pause_first_us = SECOND_US * local_int(agent, SETTING_IOTHUB_MODULE_BACK_OFF_FIRST),
        .pause_longest_us = SECOND_US * local_int(agent, SETTING_IOTHUB_MODULE_BACK_OFF_LONGEST),
        .link = agent->link,
        .connected = on_connected,
        .lost = on_lost,
        .answer = on_answer,
        .desired = on_desired,
        .delivered = on_delivered,
        .self = agent};
    return uplink_new(&options, &agent->uplink, why);
}

static enum err open_collectors(struct agent *agent, struct why *why)
{
    struct collectors_options options = {.clock = agent->clock,
        .config_dir = agent->options->config_dir,
        .state_dir = agent->options->state_dir,
        .random = random_word,
        .first_delay_us = agent->options->first_delay_s * SECOND_US,
        .deliver = on_message,
        .kept = on_kept,
        .self = agent,
        .ledger = outbox_ledger(agent->outbox)};
    return collectors_new(&options, &agent->collectors, why);
}

static enum err open_config(struct agent *agent, struct why *why)
{
    struct config_options options = {.clock = agent->clock,
        .random = random_word,
        .conf_path = agent->conf_path,
        .state_dir = agent->options->state_dir,
        .agent_version = GEMEL_VERSION,
        .read_twin = on_read_twin,
        .report = on_report,
        .flush = on_flush,
        .apply = on_apply,
        .self = agent};
    return config_new(&options, &agent->config, why);
}

static enum err open_signals(struct agent *agent, struct why *why)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    agent->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return agent->signal_fd >= 0 ? ERR_NONE : fail(ERR_IO, why, "signalfd: %s", strerror(errno));
}

/* Signals come before the first thread, so that all threads leave them to the loop; conf.json
 * before what it sets; the outbox, with its lock, before anything is written. */
static enum err start(struct agent *agent, struct why *why)
{
    agent->conf_path = files_path(agent->options->config_dir, "conf.json");
    agent->outbox_dir = files_path(agent->options->state_dir, "outbox");
    if (agent->conf_path == NULL || agent->outbox_dir == NULL)
        return fail(ERR_MEMORY, why, "no memory");
    enum err err = open_signals(agent, why);
    if (err == ERR_NONE)
        err = open_config(agent, why);
    if (err == ERR_NONE)
        config_load(agent->config);
    if (err == ERR_NONE)
        err = open_uplink(agent, why);
    if (err == ERR_NONE)
        err = make_state_dir(agent->options->state_dir, why);
    if (err == ERR_NONE)
        err = open_outbox(agent, why);
    if (err == ERR_NONE)
        err = open_collectors(agent, why);
    if (err != ERR_NONE)
        return err;
    config_start(agent->config);
    agent->status_fd = status_listen(agent->options->state_dir);
    return ERR_NONE;
}

/* The connection comes last: what is worth keeping is kept by then. False: the process is to end by
 * _exit(). */
static bool stop(struct agent *agent)
{
    status_close(agent->status_fd, agent->options->state_dir);
    collectors_free(agent->collectors);
    config_free(agent->config);
    uplink_free(agent->uplink);
    remote_free(agent->remote);
    sender_free(agent->sender);
    outbox_close(agent->outbox);
    if (agent->signal_fd >= 0)
        close(agent->signal_fd);
    mem_free(agent->conf_path);
    mem_free(agent->outbox_dir);
    return paho_free(agent->paho);
}

/* ---- status ---- */

static bool add_outbox(const struct agent *agent, struct arena *arena, struct json *object)
{
    const struct outbox_counters *counters = outbox_counters(agent->outbox);
    const struct {
        const char *name;
        uint64_t number;
    } rows[] = {{"kept", counters->kept}, {"kept_bytes", counters->kept_bytes},
        {"in_flight", sender_in_flight(agent->sender)}, {"appended", counters->appended},
        {"sent", counters->sent}, {"dropped_expired", counters->expired},
        {"dropped_overflow", counters->overflow}, {"dropped_unwritten", counters->unwritten},
        {"dropped_damaged", counters->damaged}};
    struct json *outbox = json_new(arena, JSON_OBJECT);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (outbox == NULL || !json_set_int(arena, outbox, rows[i].name, (int64_t)rows[i].number))
            return false;
    return json_set(arena, object, SPAN_LIT("outbox"), outbox);
}

static bool add_budget(const struct agent *agent, struct arena *arena, struct json *object)
{
    const struct budget *budget = &agent->budget;
    struct json *status = json_new(arena, JSON_OBJECT);
    bool ok = status != NULL && json_set_int(arena, status, "level", budget->level);
    if (ok && budget->last_cpu_permille >= 0)
        ok = json_set_int(arena, status, "cpu_permille", budget->last_cpu_permille);
    if (ok && budget->last_memory_bytes >= 0)
        ok = json_set_int(arena, status, "memory_bytes", budget->last_memory_bytes);
    if (ok && budget->level > 0)
        ok = json_set_text(arena, status, "reason", span_of(budget->reason));
    return ok && json_set(arena, object, SPAN_LIT("budget"), status);
}

static bool build_status(const struct agent *agent, struct arena *arena, struct buf *out)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    struct json *collectors = json_new(arena, JSON_OBJECT);
    bool ok = object != NULL && collectors != NULL &&
              json_set_text(arena, object, "agent_version", SPAN_LIT(GEMEL_VERSION)) &&
              json_set_int(arena, object, "pid", getpid()) &&
              json_set_int(arena, object, "uptime_seconds",
                  (now_of(agent) - agent->started_us) / SECOND_US) &&
              privileges_status(arena, object) &&
              uplink_status(agent->uplink, arena, object) == ERR_NONE &&
              add_budget(agent, arena, object) && add_outbox(agent, arena, object) &&
              collectors_status(agent->collectors, arena, collectors) == ERR_NONE &&
              json_set(arena, object, SPAN_LIT("collectors"), collectors) &&
              config_status(agent->config, arena, object) == ERR_NONE;
    if (ok)
        json_write(object, out);
    return ok && !out->failed;
}

static void note(struct agent *agent)
{
    collectors_note(agent->collectors);
    outbox_note(agent->outbox);
    agent->noted_us = now_of(agent);
}

/* What is told is noted before, so that no end of the agent takes it back. */
static void serve_status(struct agent *agent)
{
    struct arena arena;
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    arena_init(&arena, 1u << 20);
    if (!build_status(agent, &arena, &text))
        buf_clear(&text);
    if (text.len > 0)
        note(agent);
    status_serve(agent->status_fd, buf_span(&text));
    arena_done(&arena);
}

/* ---- the loop ---- */

/* One step up may be a passing load; two are blamed on settings that are new. */
#define LEVELS_TO_BLAME 2u

/* Steps back from what the agent does, or forward again, as its budget says. */
static int64_t keep_to_budget(struct agent *agent)
{
    struct budget *budget = &agent->budget;
    unsigned before = budget->level;
    uint64_t averages = budget->averages;
    int64_t due = budget_run(budget);
    if (budget->averages == averages)
        return due;
    if (budget->memory_over)
        collectors_flush(agent->collectors); /* to the disk: this loses nothing */
    mem_give_back();
    if (budget->level == before)
        return due;
    collectors_set_level(agent->collectors, budget->level);
    if (budget->level == 0) {
        log_info(PART, "within the budget again");
        return due;
    }
    log_warn(PART, "over the budget, level %u of %u: it %s", budget->level, BUDGET_LEVEL_MAX,
        budget->reason);
    if (budget->level > before && budget->level >= agent->level_before + LEVELS_TO_BLAME)
        config_over_budget(agent->config, budget->reason);
    return due;
}

static void begin_stopping(struct agent *agent)
{
    if (agent->stopping)
        return;
    log_info(PART, "stopping");
    notify_send("STOPPING=1");
    agent->stopping = true;
    collectors_stop(agent->collectors);
    config_stop(agent->config);
    note(agent);
    outbox_sync(agent->outbox);
    agent->stop_due_us = now_of(agent) + STOP_SENDING_US;
}

/* conf.json is read anew here, credentials before each connection. What only a start can change, as
 * the size of the outbox, waits for one. */
static void reload(struct agent *agent)
{
    if (agent->stopping)
        return;
    log_info(PART, "reading conf.json and the credentials again");
    config_reload(agent->config);
    uplink_renew(agent->uplink);
}

static void take_signals(struct agent *agent)
{
    struct signalfd_siginfo info;
    while (read(agent->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP)
            reload(agent);
        else
            begin_stopping(agent);
    }
}

/* Sends what is left for a while, then says good-bye; returns true when all is done. */
static bool run_stop(struct agent *agent)
{
    bool late = now_of(agent) >= agent->stop_due_us;
    if (agent->closing)
        return late || uplink_stopped(agent->uplink);
    sender_run(agent->sender);
    if (agent->connected && outbox_counters(agent->outbox)->kept > 0 && !late)
        return false;
    agent->closing = true;
    agent->stop_due_us = now_of(agent) + STOP_CLOSING_US;
    uplink_stop(agent->uplink);
    return uplink_stopped(agent->uplink);
}

/* Does what is due; returns when there is more to do. The uplink hands out what came before the
 * others look at what is due, and not again after: what comes meanwhile wakes the next round. */
static int64_t run_due(struct agent *agent)
{
    int64_t due = earlier(keep_to_budget(agent), collectors_run(agent->collectors));
    if (now_of(agent) >= agent->look_due_us) {
        uplink_look(agent->uplink);
        if (agent->status_fd < 0 && access(agent->options->state_dir, W_OK) == 0)
            agent->status_fd = status_listen(agent->options->state_dir);
        agent->look_due_us = now_of(agent) + LOOK_US;
    }
    due = earlier(due, agent->look_due_us);
    uplink_run(agent->uplink);
    due = earlier(due, config_run(agent->config));
    due = earlier(due, outbox_expire(agent->outbox));
    due = earlier(due, outbox_settle(agent->outbox, false));
    due = earlier(due, sender_run(agent->sender));
    if (sender_silent(agent->sender))
        uplink_reconnect(agent->uplink, "the hub acknowledges no messages");
    if (now_of(agent) >= agent->sync_due_us) {
        outbox_sync(agent->outbox);
        agent->sync_due_us = INT64_MAX;
    }
    due = earlier(due, agent->sync_due_us);
    if (now_of(agent) >= agent->noted_us + NOTE_SOONEST_US)
        note(agent);
    due = earlier(due, agent->noted_us + NOTE_LATEST_US);
    if (agent->watchdog_us > 0 && now_of(agent) >= agent->watchdog_due_us) {
        notify_send("WATCHDOG=1");
        agent->watchdog_due_us = now_of(agent) + agent->watchdog_us;
    }
    if (agent->watchdog_us > 0)
        due = earlier(due, agent->watchdog_due_us);
    return earlier(due, uplink_due(agent->uplink));
}

static void wait_until(struct agent *agent, int64_t due_us)
{
    enum { SIGNALS, LINK, STATUS, COLLECTORS };
    struct pollfd fds[COLLECTORS + COLLECTORS_DESCRIPTORS_MAX] = {
        [SIGNALS] = {.fd = agent->signal_fd, .events = POLLIN},
        [LINK] = {.fd = agent->link.fd(agent->link.self), .events = POLLIN},
        [STATUS] = {.fd = agent->status_fd, .events = POLLIN}};
    int collector_fds[COLLECTORS_DESCRIPTORS_MAX];
    size_t count = agent->stopping ? 0 : collectors_descriptors(agent->collectors, collector_fds);
    for (size_t i = 0; i < count; i++)
        fds[COLLECTORS + i] = (struct pollfd){.fd = collector_fds[i], .events = POLLIN};
    int64_t left_us = due_us - now_of(agent);
    int64_t left_ms = left_us <= 0 ? 0 : left_us / 1000 + 1;
    if (due_us == INT64_MAX || left_ms > 3600 * 1000)
        left_ms = 3600 * 1000;
    int ready = poll(fds, COLLECTORS + count, (int)left_ms);
    if (ready >= 0 && !agent->stopping)
        collectors_woken(agent->collectors, fds + COLLECTORS, count);
    if (ready <= 0)
        return;
    if (fds[SIGNALS].revents != 0)
        take_signals(agent);
    if (fds[STATUS].revents != 0)
        serve_status(agent);
}

static void loop(struct agent *agent)
{
    for (;;) {
        int64_t due;
        if (agent->stopping) {
            /* First, for who is not connected does not begin to be. */
            bool done = run_stop(agent);
            if (!done) {
                uplink_run(agent->uplink);
                done = run_stop(agent);
            }
            if (done)
                return;
            due = earlier(agent->stop_due_us, uplink_due(agent->uplink));
        } else {
            due = run_due(agent);
        }
        wait_until(agent, due);
    }
}

int agent_run(const struct run_options *options)
{
    struct why why = {""};
    struct agent agent = {.options = options,
        .clock = &clock_system,
        .signal_fd = -1,
        .status_fd = -1,
        .sync_due_us = INT64_MAX,
        .watchdog_us = notify_watchdog_us()};
    /* The MQTT client's threads allocate little: an arena of their own for each costs more memory
     * than waiting for one another costs time. */
    mallopt(M_ARENA_MAX, 1);
    signal(SIGPIPE, SIG_IGN); /* before the first line of the log, which nobody may read */
    privileges_enclose();
    limit_rights(&agent);
    agent.started_us = now_of(&agent);
    budget_init(&agent.budget, agent.clock, NULL, NULL);
    struct settings defaults; /* until there are settings, what the log collector does by itself */
    settings_init(&defaults);
    log_ring_listen(
        LOG_LEVEL_INFO, (size_t)settings_int(&defaults, SETTING_LOG_COLLECTOR_CACHE_SIZE));
    settings_done(&defaults);
    log_info(PART, "gemel-agent %s starts, configuration in %s, state in %s", GEMEL_VERSION,
        options->config_dir, options->state_dir);
    enum err err = start(&agent, &why);
    if (err == ERR_NONE) {
        notify_send("READY=1");
        loop(&agent);
        log_info(PART, "stopped");
    } else {
        log_error(PART, "%s", why_text(&why, err));
    }
    bool usage = err == ERR_NOT_FOUND || err == ERR_FORMAT || err == ERR_ARGUMENT;
    int code = err == ERR_NONE ? EXIT_DONE : usage ? EXIT_USAGE : EXIT_FAILED;
    if (!stop(&agent))
        _exit(code);
    return code;
}
