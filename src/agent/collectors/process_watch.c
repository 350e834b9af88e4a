/* SPDX-License-Identifier: Apache-2.0 */
#include "process_watch.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "process_census.h"
#include "process_netlink.h"
#include "process_poll.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* At a change and at the end, this many batches that the kernel already holds are still taken in:
 * more than its buffer has room for, and a bound where processes start without end. */
#define LAST_BATCHES 1024u

/* How long a fork or an end waits to be read together with others. */
#define COMPANY_US 50000

/* The kernel tells a moment after /proc shows it: once who starts in that moment gets a processor.
 * Before polling takes over, what is to be told is waited for; after it has, what is told late. */
#define LATE_BEFORE_US INT64_C(20000)
#define LATE_AFTER_US INT64_C(1000000)

#define ALL_EVENTS (PROCESS_EVENT_BIT(PROCESS_EVENT_TYPES) - 1)

/* What the main thread asks for, and waits for. */
struct request {
    bool stop;
    struct process_watch_plan plan;
    struct process_netlink *netlink; /* a source to take over from what is now; or */
    struct process_poll *poll;       /* this; or none */
    enum err err;                    /* the answer */
};

struct process_watch {
    struct process_watch_options options;
    struct process_watch_plan plan; /* in force */
    int wake_fd;
    bool started; /* there is a thread to join */
    pthread_t thread;
    struct request request;
    atomic_bool requested;
    sem_t answered;

    /* The thread's; and of who waits for its answer. */
    struct process_netlink *netlink; /* this, or */
    struct process_poll *poll;       /* this; or none yet */
    uint32_t lost;                   /* by connectors that are closed */
    unsigned told;                   /* what is told of all that is seen */
    /* One source takes over from the other: what it sees until then may be told already (mono). */
    int64_t both_saw_until_us;
    bool wide;  /* more is let through than is needed, until it is settled */
    bool again; /* there may be something that nothing wakes for */
    bool ended;
    struct process_census census;
};

/* Of forks and ends only those can be named of whom all was heard. */
static unsigned needed_for(unsigned events)
{
    return (events & ~PROCESS_EVENT_BIT(PROCESS_EXEC)) != 0 ? ALL_EVENTS : events;
}

/* Waits for the source, or for so long, or to be asked for something. */
static void wait_for(const struct process_watch *watch, int source_fd, int64_t timeout_us)
{
    struct pollfd ready[] = {
        {.fd = watch->wake_fd, .events = POLLIN}, {.fd = source_fd, .events = POLLIN}};
    const struct timespec timeout = {
        .tv_sec = (time_t)(timeout_us / 1000000), .tv_nsec = (long)(timeout_us % 1000000 * 1000)};
    (void)ppoll(ready, source_fd < 0 ? 1 : 2, timeout_us < 0 ? NULL : &timeout, NULL);
}

/* ---- what is seen ---- */

static bool is_settling(struct process_watch *watch)
{
    if (watch->both_saw_until_us != 0 && clock_mono_us(&clock_system) > watch->both_saw_until_us)
        watch->both_saw_until_us = 0;
    return watch->both_saw_until_us != 0;
}

static void take(void *self, const struct process_sighting *sighting)
{
    struct process_watch *watch = self;
    struct process_census *census = &watch->census;
    bool exec = sighting->type == PROCESS_EXEC;
    bool wanted = (watch->told & PROCESS_EVENT_BIT(sighting->type)) != 0;
    if (!wanted && !census->remembers)
        return;
    if (is_settling(watch) && process_census_knows(census, sighting))
        return;
    /* What is not admitted is not worth being read. */
    if (exec && wanted && !collector_admit(watch->options.gate, 1)) {
        process_census_pass(census, sighting);
        return;
    }
    bool taken = process_census_take(census, sighting);
    if (taken && wanted && (exec || collector_admit(watch->options.gate, 1)))
        watch->options.seen(watch->options.self, sighting, &census->facts);
}

static size_t read_netlink(struct process_watch *watch)
{
    size_t count = process_netlink_read(watch->netlink, take, watch);
    watch->again = process_netlink_has_more(watch->netlink);
    return count;
}

/* A look that fails is made up for by the next one. */
static bool look(struct process_watch *watch)
{
    enum err err = process_poll_look(watch->poll, take, watch);
    if (err != ERR_NONE)
        log_debug("process", "%s was not read: %s", watch->options.proc_dir, err_row(err)->text);
    return err == ERR_NONE;
}

/* Takes in what happened so far. */
static void catch_up(struct process_watch *watch)
{
    for (unsigned i = 0; watch->netlink != NULL && i < LAST_BATCHES; i++)
        if (read_netlink(watch) < PROCESS_NETLINK_BATCH)
            break;
    if (watch->poll != NULL) {
        process_poll_hurry(watch->poll);
        (void)look(watch);
    }
}

/* ---- changes ---- */

/* A process of a thousandth of a second is read before it ends only by whoever need not wait for a
 * processor. It costs little: reading is a tenth of the work that starting a process is. */
static void go_first(bool first)
{
    const struct sched_param lowest = {.sched_priority = first ? 1 : 0};
    int policy = first ? SCHED_FIFO : SCHED_OTHER;
    if (pthread_setschedparam(pthread_self(), policy, &lowest) != 0 && first)
        log_info("process", "no real-time priority: of short processes less can be read");
}

static bool is_unknown_to_poll(void *self, uint32_t pid)
{
    const struct process_watch *watch = self;
    return !process_poll_found(watch->poll, (pid_t)pid);
}

/* Learns who runs, and hears meanwhile what changes. */
static void remember(struct process_watch *watch)
{
    struct process_census *census = &watch->census;
    if (census->remembers)
        return;
    process_census_begin(census);
    while (process_census_step(census))
        if (watch->netlink != NULL)
            read_netlink(watch);
    /* Nobody would tell the end of who began after the last look: the next one takes it anew. */
    if (watch->poll != NULL)
        process_lives_sweep(&census->lives, is_unknown_to_poll, watch);
}

static void close_netlink(struct process_watch *watch)
{
    if (watch->netlink != NULL)
        watch->lost += process_netlink_lost(watch->netlink);
    process_netlink_close(watch->netlink);
    watch->netlink = NULL;
}

static void trust_users(struct process_watch *watch)
{
    watch->census.users_are_told = watch->netlink != NULL &&
                                   process_netlink_tells_users(watch->netlink) &&
                                   procfs_shows_all_users(watch->census.proc_fd);
}

static struct process_poll_known known(void *self, pid_t pid)
{
    const struct process_watch *watch = self;
    const struct process_lives *lives = &watch->census.lives;
    const struct process_live *live = process_lives_find(lives, (uint32_t)pid);
    bool full = process_lives_full(lives); /* then nothing can be said */
    return (struct process_poll_known){
        .lives = full || live != NULL, .executed = full || (live != NULL && live->executed)};
}

/* Tells the end of what the connector told of and looking does not find: its end was still to be
 * told when the connector was closed. True: it is gone. */
static bool tell_end_unheard(void *self, uint32_t pid)
{
    struct process_watch *watch = self;
    const struct process_sighting end = {.type = PROCESS_EXIT, .pid = (pid_t)pid};
    if (process_poll_found(watch->poll, end.pid))
        return false;
    take(watch, &end);
    return true;
}

/* Looking takes over: what the connector told of it need not tell. */
static void hand_over_to_poll(struct process_watch *watch)
{
    int64_t until_us = clock_mono_us(&clock_system) + LATE_BEFORE_US, now_us;
    while ((now_us = clock_mono_us(&clock_system)) < until_us) {
        wait_for(watch, process_netlink_fd(watch->netlink), until_us - now_us);
        read_netlink(watch);
    }
    catch_up(watch);
    close_netlink(watch);
    watch->poll = watch->request.poll;
    process_poll_review(watch->poll, known, watch);
    watch->both_saw_until_us = INT64_MAX;
    if (look(watch))
        process_lives_sweep(&watch->census.lives, tell_end_unheard, watch);
    watch->both_saw_until_us = 0;
}

/* The connector takes over: what looking told of it need not tell. */
static void hand_over_to_netlink(struct process_watch *watch)
{
    process_poll_close(watch->poll);
    watch->poll = NULL;
    watch->netlink = watch->request.netlink;
    watch->both_saw_until_us = clock_mono_us(&clock_system) + LATE_AFTER_US;
    catch_up(watch);
    process_census_recount(&watch->census); /* looking does not see who changes its user */
}

/* Both sources have been open for a moment, and all that the old one knows is told. */
static void hand_over(struct process_watch *watch)
{
    if (watch->netlink != NULL && watch->request.poll != NULL) {
        hand_over_to_poll(watch);
    } else if (watch->poll != NULL && watch->request.netlink != NULL) {
        hand_over_to_netlink(watch);
    } else {
        watch->netlink = watch->request.netlink;
        watch->poll = watch->request.poll;
    }
    go_first(watch->netlink != NULL);
    trust_users(watch);
}

static bool let_through(struct process_watch *watch, unsigned events)
{
    if (watch->netlink == NULL)
        return true;
    bool done = process_netlink_set_events(watch->netlink, events);
    trust_users(watch);
    watch->again = true;
    return done;
}

/* Lets no more through than is needed, and remembers no more. What comes through all the same does
 * no harm. */
static void narrow(struct process_watch *watch)
{
    unsigned needed = needed_for(watch->plan.events);
    watch->wide = is_settling(watch);
    if (watch->wide)
        return;
    (void)let_through(watch, needed);
    if (watch->netlink != NULL && needed != ALL_EVENTS)
        process_census_end(&watch->census);
}

/* Puts a plan in force, between two events. */
static enum err change(struct process_watch *watch, struct request *request)
{
    unsigned events = request->plan.events;
    bool another = request->netlink != NULL || request->poll != NULL;
    bool remembering = another || needed_for(events) == ALL_EVENTS;
    unsigned meanwhile =
        remembering ? ALL_EVENTS : needed_for(watch->plan.events) | needed_for(events);
    if (!let_through(watch, meanwhile))
        return ERR_MEMORY;
    bool first = watch->netlink == NULL && watch->poll == NULL;
    if (first)
        hand_over(watch);
    if (remembering)
        remember(watch);
    catch_up(watch);
    if (another && !first)
        hand_over(watch);
    watch->plan = request->plan;
    watch->told = events;
    narrow(watch);
    return ERR_NONE;
}

/* Does what was asked for. */
static void serve(struct process_watch *watch)
{
    uint64_t wakes;
    if (!atomic_load(&watch->requested))
        return;
    if (read(watch->wake_fd, &wakes, sizeof(wakes)) != (ssize_t)sizeof(wakes))
        log_debug("process", "woken by nobody");
    atomic_store(&watch->requested, false);
    watch->ended = watch->request.stop;
    if (watch->ended) {
        catch_up(watch);
        return;
    }
    watch->request.err = change(watch, &watch->request);
    must(sem_post(&watch->answered) == 0);
}

/* ---- watching ---- */

/* Reads at every exec at once; of forks and ends the first wakes, and what follows it waits for an
 * exec, or for so long. Everything is read in the order in which it happened. */
static void watch_netlink(struct process_watch *watch)
{
    size_t got = 0;
    watch->again = true;
    for (serve(watch); !watch->ended && watch->netlink != NULL; serve(watch)) {
        int bell_fd = process_netlink_bell_fd(watch->netlink);
        bool quiet = got == 0 || bell_fd < 0;
        bool counting = process_census_step(&watch->census);
        if (!watch->again && !counting)
            wait_for(watch, quiet ? process_netlink_fd(watch->netlink) : bell_fd,
                quiet ? -1 : COMPANY_US);
        got = read_netlink(watch);
        if (watch->wide)
            narrow(watch);
    }
}

static void watch_poll(struct process_watch *watch)
{
    /* The machine's own clock: these waits are real. */
    int64_t looked_us = clock_mono_us(&clock_system), took_us = 0;
    for (serve(watch); !watch->ended && watch->poll != NULL; serve(watch)) {
        int64_t slowness = (int64_t)collector_slowness(watch->options.gate);
        int64_t now_us = clock_mono_us(&clock_system);
        int64_t pause_us = looked_us + watch->plan.interval_us * slowness - now_us;
        if (pause_us < took_us)
            pause_us = took_us; /* a full machine must not cost more than half a processor */
        wait_for(watch, -1, pause_us);
        if (atomic_load(&watch->requested))
            continue;
        looked_us = clock_mono_us(&clock_system);
        (void)look(watch);
        took_us = clock_mono_us(&clock_system) - looked_us;
    }
}

static void *run(void *self)
{
    struct process_watch *watch = self;
    while (!watch->ended) {
        if (watch->netlink != NULL)
            watch_netlink(watch);
        else if (watch->poll != NULL)
            watch_poll(watch);
        else
            wait_for(watch, -1, -1); /* for the first plan */
        serve(watch);
    }
    return NULL;
}

/* ---- in the main thread ---- */

/* Opens the source that a plan wants, if it is another than what is there. */
static enum err open_source(
    const struct process_watch *watch, struct request *request, struct why *why)
{
    const struct process_watch_plan *plan = &request->plan;
    const char *proc_dir = watch->options.proc_dir;
    bool by_netlink = plan->mode != PROCESS_MODE_POLLING;
    if (by_netlink && watch->netlink != NULL)
        return ERR_NONE;
    /* Who turns to Auto wants netlink tried. */
    if (by_netlink && (watch->poll == NULL || plan->mode != watch->plan.mode)) {
        enum err err =
            process_netlink_open(PROCESS_NETLINK_BUFFER_BYTES, ALL_EVENTS, &request->netlink, why);
        if (err == ERR_NONE)
            log_info("process", "watching through netlink with a receive buffer of %d bytes",
                process_netlink_buffer_bytes(request->netlink));
        if (err != ERR_REFUSED || plan->mode == PROCESS_MODE_NETLINK)
            return err;
        log_warn("process", "%s; looking at %s every %lld us instead, which misses short processes",
            why_text(why, err), proc_dir, (long long)plan->interval_us);
    }
    return watch->poll != NULL ? ERR_NONE : process_poll_open(proc_dir, &request->poll, why);
}

static void ask(struct process_watch *watch)
{
    const uint64_t one = 1;
    atomic_store(&watch->requested, true);
    must(write(watch->wake_fd, &one, sizeof(one)) == sizeof(one));
}

enum err process_watch_change(
    struct process_watch *watch, const struct process_watch_plan *plan, struct why *why)
{
    struct request *request = &watch->request;
    *request = (struct request){.plan = *plan};
    enum err err = open_source(watch, request, why);
    if (err != ERR_NONE)
        return err;
    ask(watch);
    while (sem_wait(&watch->answered) != 0)
        must(errno == EINTR);
    if (request->err == ERR_NONE)
        return ERR_NONE;
    process_netlink_close(request->netlink);
    process_poll_close(request->poll);
    return fail(request->err, why, "%s", err_row(request->err)->text);
}

static enum err start_thread(struct process_watch *watch, struct why *why)
{
    /* Signals are for the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watch->thread, NULL, run, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return fail(ERR_UNAVAILABLE, why, "no thread to watch processes: %s", strerror(error));
    watch->started = true;
    (void)pthread_setname_np(watch->thread, "process");
    return ERR_NONE;
}

enum err process_watch_new(const struct process_watch_options *options,
    const struct process_watch_plan *plan, struct process_watch **ret_watch, struct why *why)
{
    struct process_watch *watch = mem_alloc(sizeof(*watch));
    if (watch == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    watch->options = *options;
    watch->census.proc_fd = -1;
    must(sem_init(&watch->answered, 0, 0) == 0);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum err err = ERR_NONE;
    if (watch->wake_fd < 0)
        err = fail(ERR_UNAVAILABLE, why, "no event descriptor: %s", strerror(errno));
    if (err == ERR_NONE)
        err = process_census_open(&watch->census, options->proc_dir, why);
    if (err == ERR_NONE)
        err = start_thread(watch, why);
    if (err == ERR_NONE)
        err = process_watch_change(watch, plan, why);
    if (err != ERR_NONE) {
        process_watch_free(watch);
        return err;
    }
    *ret_watch = watch;
    return ERR_NONE;
}

void process_watch_stop(struct process_watch *watch)
{
    if (watch == NULL || !watch->started)
        return;
    watch->request = (struct request){.stop = true};
    ask(watch);
    pthread_join(watch->thread, NULL);
    watch->started = false;
}

void process_watch_free(struct process_watch *watch)
{
    if (watch == NULL)
        return;
    process_watch_stop(watch);
    process_netlink_close(watch->netlink);
    process_poll_close(watch->poll);
    process_census_close(&watch->census);
    if (watch->wake_fd >= 0)
        close(watch->wake_fd);
    sem_destroy(&watch->answered);
    mem_free(watch);
}

uint32_t process_watch_lost(const struct process_watch *watch)
{
    return watch->lost + (watch->netlink == NULL ? 0 : process_netlink_lost(watch->netlink));
}

bool process_watch_is_netlink(const struct process_watch *watch)
{
    return watch->netlink != NULL;
}

int process_watch_buffer_bytes(const struct process_watch *watch)
{
    return watch->netlink == NULL ? 0 : process_netlink_buffer_bytes(watch->netlink);
}
