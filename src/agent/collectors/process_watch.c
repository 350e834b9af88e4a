/* SPDX-License-Identifier: Apache-2.0 */
#include "process_watch.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "process_netlink.h"
#include "process_poll.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* At the end, this many batches that the kernel already holds are still taken in: more than its
 * buffer has room for, and a bound where processes start without end. */
#define LAST_BATCHES 1024u

/* How long a fork or an end waits to be read together with others. */
#define COMPANY_US 50000

struct process_watch {
    struct process_watch_options options;
    struct process_netlink *netlink; /* this, or */
    struct process_poll *poll;       /* this */
    int wake_fd;
    atomic_bool stopping;
    bool started; /* there is a thread to join */
    bool waiting; /* it waits at the gate, which we hold */
    pthread_mutex_t gate;
    pthread_t thread;
};

/* Waits for the source, or for so long, or to be woken for the end; false: the end. */
static bool wait_for(const struct process_watch *watch, int source_fd, int64_t timeout_us)
{
    struct pollfd ready[] = {
        {.fd = watch->wake_fd, .events = POLLIN}, {.fd = source_fd, .events = POLLIN}};
    const struct timespec timeout = {
        .tv_sec = (time_t)(timeout_us / 1000000), .tv_nsec = (long)(timeout_us % 1000000 * 1000)};
    (void)ppoll(ready, source_fd < 0 ? 1 : 2, timeout_us < 0 ? NULL : &timeout, NULL);
    return !atomic_load(&watch->stopping);
}

static size_t read_netlink(struct process_watch *watch)
{
    return process_netlink_read(watch->netlink, watch->options.seen, watch->options.self);
}

/* Reads at every exec at once; of forks and ends the first wakes, and what follows it waits for an
 * exec, or for so long. Everything is read in the order in which it happened. */
static void watch_netlink(struct process_watch *watch)
{
    const int any_fd = process_netlink_fd(watch->netlink);
    const int bell_fd = process_netlink_bell_fd(watch->netlink);
    size_t got = 0;
    for (;;) {
        bool quiet = got == 0 || bell_fd < 0;
        int64_t pause_us = got == PROCESS_NETLINK_BATCH ? 0 : quiet ? -1 : COMPANY_US;
        if (!wait_for(watch, quiet ? any_fd : bell_fd, pause_us))
            break;
        process_netlink_hush(watch->netlink);
        got = read_netlink(watch);
    }
    for (unsigned i = 0; i < LAST_BATCHES; i++)
        if (read_netlink(watch) == 0)
            break;
}

/* The connector sends what is wanted; a look finds everything. */
static void tell_wanted(void *self, const struct process_sighting *sighting)
{
    const struct process_watch *watch = self;
    if ((watch->options.events & PROCESS_EVENT_BIT(sighting->type)) != 0)
        watch->options.seen(watch->options.self, sighting);
}

/* A look that fails is made up for by the next one. */
static void look(struct process_watch *watch)
{
    enum err err = process_poll_look(watch->poll, tell_wanted, watch);
    if (err != ERR_NONE)
        log_debug("process", "%s was not read: %s", watch->options.proc_dir, err_row(err)->text);
}

static void watch_poll(struct process_watch *watch)
{
    /* The machine's own clock: these waits are real. */
    int64_t pause_us = watch->options.interval_us;
    while (wait_for(watch, -1, pause_us)) {
        int64_t interval_us =
            watch->options.interval_us * (int64_t)collector_slowness(watch->options.gate);
        int64_t begin_us = clock_mono_us(&clock_system);
        look(watch);
        int64_t took_us = clock_mono_us(&clock_system) - begin_us;
        pause_us = interval_us - took_us;
        if (pause_us < took_us)
            pause_us = took_us; /* a full machine must not cost more than half a processor */
    }
    look(watch);
}

/* A process of a thousandth of a second is read before it ends only by whoever need not wait for a
 * processor. It costs little: reading is a tenth of the work that starting a process is. */
static void go_first(void)
{
    const struct sched_param lowest = {.sched_priority = 1};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &lowest) != 0)
        log_info("process", "no real-time priority: of short processes less can be read");
}

static void *run(void *self)
{
    struct process_watch *watch = self;
    pthread_mutex_lock(&watch->gate);
    pthread_mutex_unlock(&watch->gate);
    if (watch->netlink != NULL)
        go_first();
    watch->options.begin(watch->options.self);
    if (watch->netlink != NULL) {
        watch_netlink(watch);
    } else {
        watch_poll(watch);
    }
    return NULL;
}

static enum err open_source(struct process_watch *watch, struct why *why)
{
    const struct process_watch_options *options = &watch->options;
    if (options->mode != PROCESS_MODE_POLLING) {
        enum err err = process_netlink_open(
            PROCESS_NETLINK_BUFFER_BYTES, options->events, &watch->netlink, why);
        if (err == ERR_NONE)
            log_info("process", "watching through netlink with a receive buffer of %d bytes",
                process_netlink_buffer_bytes(watch->netlink));
        if (err != ERR_REFUSED || options->mode == PROCESS_MODE_NETLINK)
            return err;
        log_warn("process", "%s; looking at %s every %lld us instead, which misses short processes",
            why_text(why, err), options->proc_dir, (long long)options->interval_us);
    }
    return process_poll_open(options->proc_dir, &watch->poll, why);
}

static enum err start_thread(struct process_watch *watch, struct why *why)
{
    /* Signals are for the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_lock(&watch->gate);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watch->thread, NULL, run, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_mutex_unlock(&watch->gate);
        return fail(ERR_UNAVAILABLE, why, "no thread to watch processes: %s", strerror(error));
    }
    watch->started = watch->waiting = true;
    (void)pthread_setname_np(watch->thread, "process");
    return ERR_NONE;
}

enum err process_watch_new(
    const struct process_watch_options *options, struct process_watch **ret_watch, struct why *why)
{
    struct process_watch *watch = mem_alloc(sizeof(*watch));
    if (watch == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    watch->options = *options;
    must(pthread_mutex_init(&watch->gate, NULL) == 0);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC);
    enum err err = ERR_NONE;
    if (watch->wake_fd < 0)
        err = fail(ERR_UNAVAILABLE, why, "no event descriptor: %s", strerror(errno));
    if (err == ERR_NONE)
        err = open_source(watch, why);
    if (err == ERR_NONE)
        err = start_thread(watch, why);
    if (err != ERR_NONE) {
        process_watch_free(watch);
        return err;
    }
    *ret_watch = watch;
    return ERR_NONE;
}

void process_watch_go(struct process_watch *watch)
{
    if (watch->waiting)
        pthread_mutex_unlock(&watch->gate);
    watch->waiting = false;
}

void process_watch_stop(struct process_watch *watch)
{
    if (watch == NULL || !watch->started)
        return;
    const uint64_t one = 1;
    atomic_store(&watch->stopping, true);
    must(write(watch->wake_fd, &one, sizeof(one)) == sizeof(one));
    process_watch_go(watch);
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
    if (watch->wake_fd >= 0)
        close(watch->wake_fd);
    pthread_mutex_destroy(&watch->gate);
    mem_free(watch);
}

unsigned process_watch_events(const struct process_watch *watch)
{
    return watch->options.events;
}

uint32_t process_watch_lost(const struct process_watch *watch)
{
    return watch->netlink == NULL ? 0 : process_netlink_lost(watch->netlink);
}

bool process_watch_is_netlink(const struct process_watch *watch)
{
    return watch->netlink != NULL;
}

int64_t process_watch_interval_us(const struct process_watch *watch)
{
    return watch->options.interval_us;
}

int process_watch_buffer_bytes(const struct process_watch *watch)
{
    return watch->netlink == NULL ? 0 : process_netlink_buffer_bytes(watch->netlink);
}
