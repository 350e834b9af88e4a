/* SPDX-License-Identifier: Apache-2.0 */
#include "network_watch.h"

#include "flow_owners.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Links that come and go without end cost no more than a look in this time. */
#define LOOK_PAUSE_US INT64_C(20000)
/* What was refused may be allowed later, by nobody who says so. */
#define LOOK_AGAIN_US INT64_C(60000000)
/* The kernel hands over what it holds within CAPTURE_HOLD_MS. */
#define SETTLE_US (3 * INT64_C(1000) * CAPTURE_HOLD_MS)
#define WAIT_S 3

struct network_watch {
    struct network_watch_options options;
    pthread_t thread;
    bool started; /* there is a thread to join */
    int wake_fd;
    char *list; /* in force; NULL before the first start */
    size_t buffer_bytes;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t served_more;
    struct network_account account;
    uint64_t kernel_lost;
    uint64_t asked;  /* requests so far */
    uint64_t served; /* of these */
    bool stopping;
    char *new_list; /* owned; NULL: no change */
    size_t new_buffer_bytes;
    bool refused; /* of the devices, as looked at last */
    struct why refusal;
    size_t state_count;
    struct network_device_state states[NETWORK_DEVICES_STATES_MAX];

    /* the thread's own */
    struct network_devices devices;
    struct flow_owners owners;
    int64_t look_due_us;
    int64_t looked_us;
    int64_t owners_due_us;
    uint64_t serving; /* the request whose mark is set */
    int64_t serve_until_us;
    int64_t wall_us; /* of the packets that are read */
    int64_t mono_us;
};

static int64_t mono_now_us(void)
{
    return clock_mono_us(&clock_system);
}

/* ---- the thread ---- */

static void book(void *self, enum capture_direction direction, enum packet_link link,
    struct span captured, size_t wire_bytes)
{
    struct network_watch *watch = self;
    if (direction != CAPTURE_IN)
        account_packet(
            &watch->account, false, link, captured, wire_bytes, watch->wall_us, watch->mono_us);
    if (direction != CAPTURE_OUT)
        account_packet(
            &watch->account, true, link, captured, wire_bytes, watch->wall_us, watch->mono_us);
}

static void owned(
    void *self, const struct flow_key *key, uint32_t user_id, struct socket_owner *owner)
{
    struct network_watch *watch = self;
    pthread_mutex_lock(&watch->lock);
    struct flow *flow = flows_find(&watch->account.flows, key);
    if (flow != NULL) {
        flow->user_known = true;
        flow->user_id = user_id;
        struct socket_owner *before = flow->owner;
        flow->owner = owner;
        owner = before;
    }
    pthread_mutex_unlock(&watch->lock);
    socket_owner_drop(owner);
}

static void look(struct network_watch *watch, int64_t mono_us)
{
    network_devices_settle(&watch->devices, clock_wall_us(&clock_system));
    watch->looked_us = mono_us;
    watch->look_due_us = mono_us + LOOK_AGAIN_US;
    pthread_mutex_lock(&watch->lock);
    watch->state_count = watch->devices.state_count;
    memcpy(watch->states, watch->devices.states, sizeof(watch->states));
    watch->refused = watch->devices.refused;
    watch->refusal = watch->devices.refusal;
    pthread_mutex_unlock(&watch->lock);
}

static void look_soon(struct network_watch *watch)
{
    int64_t soonest_us = watch->looked_us + LOOK_PAUSE_US;
    if (soonest_us < watch->look_due_us)
        watch->look_due_us = soonest_us;
}

/* Books what came; returns whether there may be more. */
static bool read_packets(struct network_watch *watch)
{
    struct flow_key wanted[ACCOUNT_WANTED_MAX];
    pthread_mutex_lock(&watch->lock);
    watch->wall_us = clock_wall_us(watch->options.clock);
    watch->mono_us = mono_now_us();
    bool more = network_devices_read(&watch->devices, book, watch, watch->mono_us);
    watch->kernel_lost = watch->devices.lost;
    size_t count = account_take_wanted(&watch->account, wanted);
    pthread_mutex_unlock(&watch->lock);
    flow_owners_add(&watch->owners, wanted, count, watch->mono_us);
    if (count > 0)
        watch->owners_due_us = 0;
    return more;
}

/* Takes a change over, and says whether the thread is to end. */
static bool take_request(struct network_watch *watch, int64_t mono_us)
{
    pthread_mutex_lock(&watch->lock);
    uint64_t asked = watch->asked;
    bool stopping = watch->stopping;
    char *list = watch->new_list;
    size_t buffer_bytes = watch->new_buffer_bytes;
    watch->new_list = NULL;
    pthread_mutex_unlock(&watch->lock);
    if (list != NULL) {
        network_devices_set(&watch->devices, list, buffer_bytes);
        look(watch, mono_us);
    }
    if (asked != watch->serving) {
        watch->serving = asked;
        watch->serve_until_us = mono_now_us() + SETTLE_US; /* the look may have taken long */
        network_devices_mark(&watch->devices);
    }
    return stopping;
}

/* Whether somebody waits, and all that had come by then is read. */
static bool is_served(struct network_watch *watch)
{
    /* Only this thread writes `served`. */
    return watch->serving != watch->served &&
           (network_devices_passed_mark(&watch->devices) || mono_now_us() >= watch->serve_until_us);
}

static void serve(struct network_watch *watch)
{
    bool served = is_served(watch);
    if (served || watch->owners_due_us <= watch->mono_us)
        watch->owners_due_us =
            flow_owners_run(&watch->owners, watch->mono_us, served, owned, watch);
    if (!served)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->served = watch->serving;
    pthread_cond_broadcast(&watch->served_more);
    pthread_mutex_unlock(&watch->lock);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Waits for packets, links, requests, or for what is due. */
static void wait_for(struct network_watch *watch, bool at_once)
{
    struct pollfd fds[1 + NETWORK_DEVICES_FDS] = {{.fd = watch->wake_fd, .events = POLLIN}};
    size_t count = 1 + network_devices_poll(&watch->devices, fds + 1);
    int64_t due_us = earlier(watch->look_due_us, watch->owners_due_us);
    if (watch->serving != watch->served)
        due_us = earlier(due_us, watch->serve_until_us);
    for (size_t i = 0; i < watch->devices.ending_count; i++)
        due_us = earlier(due_us, watch->devices.ending[i].until_us);
    int64_t left_us = at_once ? 0 : due_us - mono_now_us();
    left_us = left_us < 0 ? 0 : left_us;
    const struct timespec timeout = {
        .tv_sec = (time_t)(left_us / 1000000), .tv_nsec = (long)(left_us % 1000000 * 1000)};
    if (ppoll(fds, (nfds_t)count, &timeout, NULL) > 0)
        network_devices_polled(&watch->devices, fds + 1, count - 1);
    uint64_t wakes;
    if ((fds[0].revents & POLLIN) != 0 &&
        read(watch->wake_fd, &wakes, sizeof(wakes)) != (ssize_t)sizeof(wakes))
        log_debug("networkactivity", "woken by nobody");
}

static void *run(void *self)
{
    struct network_watch *watch = self;
    bool stopping = false, ended = false, more = false;
    for (;;) {
        wait_for(watch, more);
        int64_t mono_us = mono_now_us();
        stopping = take_request(watch, mono_us) || stopping;
        if (stopping && !ended) {
            network_devices_end(&watch->devices, clock_wall_us(&clock_system));
            ended = true;
        }
        if (network_devices_heard(&watch->devices))
            look_soon(watch);
        if (!stopping && watch->look_due_us <= mono_us)
            look(watch, mono_us);
        more = read_packets(watch);
        if (ended && watch->devices.ending_count == 0)
            break;
        serve(watch);
    }
    pthread_mutex_lock(&watch->lock);
    watch->state_count = 0;
    watch->served = watch->asked;
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

/* ---- the main loop ---- */

static void wake(const struct network_watch *watch)
{
    uint64_t one = 1;
    if (write(watch->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        log_debug("networkactivity", "the thread is awake");
}

/* Waits until the thread has done what was asked before. */
static void await(struct network_watch *watch)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    wake(watch);
    pthread_mutex_lock(&watch->lock);
    int status = 0;
    while (watch->served < watch->asked && status == 0)
        status = pthread_cond_timedwait(&watch->served_more, &watch->lock, &until);
    pthread_mutex_unlock(&watch->lock);
    if (status != 0)
        log_warn("networkactivity", "the thread that captures is late");
}

enum err network_watch_new(
    const struct network_watch_options *options, struct network_watch **ret_watch, struct why *why)
{
    struct network_watch *watch = mem_alloc(sizeof(*watch));
    if (watch == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    watch->options = *options;
    account_init(&watch->account, options->gate, options->seed);
    must(pthread_mutex_init(&watch->lock, NULL) == 0);
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&watch->served_more, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->wake_fd < 0) {
        enum err err = fail(ERR_IO, why, "eventfd: %s", strerror(errno));
        network_watch_free(watch);
        return err;
    }
    *ret_watch = watch;
    return ERR_NONE;
}

enum err network_watch_set_bound(struct network_watch *watch, size_t entries_max)
{
    pthread_mutex_lock(&watch->lock);
    enum err err =
        flows_set_bound(&watch->account.flows, entries_max, &watch->account.lost[LOSS_CACHE_BOUND]);
    pthread_mutex_unlock(&watch->lock);
    return err;
}

static enum err begin(struct network_watch *watch, struct why *why)
{
    uint64_t lost = watch->devices.lost; /* of earlier starts */
    network_devices_open(&watch->devices);
    watch->devices.lost = lost;
    flow_owners_init(&watch->owners, watch->options.proc_dir);
    watch->owners_due_us = INT64_MAX;
    watch->look_due_us = mono_now_us() + LOOK_AGAIN_US;
    watch->stopping = false;

    /* Signals are the main loop's. */
    sigset_t everything, before;
    sigfillset(&everything);
    pthread_sigmask(SIG_SETMASK, &everything, &before);
    int error = pthread_create(&watch->thread, NULL, run, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    watch->started = error == 0;
    if (error == 0)
        return ERR_NONE;
    network_devices_close(&watch->devices);
    flow_owners_done(&watch->owners);
    return fail(ERR_MEMORY, why, "a thread for capturing: %s", strerror(error));
}

/* Has the thread take over a list, which it owns from now on; false: an interface that is captured
 * could not be with such a buffer. */
static bool change(
    struct network_watch *watch, char *list, size_t buffer_bytes, struct why *ret_refusal)
{
    pthread_mutex_lock(&watch->lock);
    mem_free(watch->new_list);
    watch->new_list = list;
    watch->new_buffer_bytes = buffer_bytes;
    watch->refused = false;
    watch->asked++;
    pthread_mutex_unlock(&watch->lock);
    await(watch);
    pthread_mutex_lock(&watch->lock);
    bool refused = watch->refused;
    *ret_refusal = watch->refusal;
    pthread_mutex_unlock(&watch->lock);
    return !refused;
}

enum err network_watch_start(
    struct network_watch *watch, struct span list, size_t buffer_bytes, struct why *why)
{
    struct why refusal = {""};
    char *copy = mem_text(list), *in_force = mem_text(list);
    char *before = watch->list == NULL ? NULL : mem_text(span_of(watch->list));
    enum err err = ERR_NONE;
    if (copy == NULL || in_force == NULL || (watch->list != NULL && before == NULL))
        err = fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    if (err == ERR_NONE && !watch->started)
        err = begin(watch, why);
    if (err != ERR_NONE) {
        mem_free(copy);
    } else if (change(watch, copy, buffer_bytes, &refusal)) {
        mem_free(watch->list);
        watch->list = in_force;
        watch->buffer_bytes = buffer_bytes;
        mem_free(before);
        return ERR_NONE;
    } else {
        err = fail(ERR_REFUSED, why, "%s", refusal.text);
        if (before != NULL)
            (void)change(watch, before, watch->buffer_bytes, &refusal);
        before = NULL;
    }
    mem_free(in_force);
    mem_free(before);
    return err;
}

void network_watch_stop(struct network_watch *watch)
{
    if (!watch->started)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_mutex_unlock(&watch->lock);
    wake(watch);
    pthread_join(watch->thread, NULL);
    watch->started = false;
    network_devices_close(&watch->devices);
    flow_owners_done(&watch->owners);
}

void network_watch_free(struct network_watch *watch)
{
    if (watch == NULL)
        return;
    network_watch_stop(watch);
    mem_free(watch->new_list);
    mem_free(watch->list);
    account_done(&watch->account);
    pthread_cond_destroy(&watch->served_more);
    pthread_mutex_destroy(&watch->lock);
    if (watch->wake_fd >= 0)
        close(watch->wake_fd);
    mem_free(watch);
}

struct flow *network_watch_take(struct network_watch *watch)
{
    if (watch->started) {
        pthread_mutex_lock(&watch->lock);
        watch->asked++;
        pthread_mutex_unlock(&watch->lock);
        await(watch);
    }
    pthread_mutex_lock(&watch->lock);
    struct flow *flows = flows_take(&watch->account.flows);
    pthread_mutex_unlock(&watch->lock);
    return flows;
}

void network_watch_count(struct network_watch *watch, struct network_watch_counts *ret_counts)
{
    pthread_mutex_lock(&watch->lock);
    *ret_counts = (struct network_watch_counts){.seen = watch->account.seen,
        .waiting = watch->account.flows.hits,
        .ignored = watch->account.ignored};
    memcpy(ret_counts->lost, watch->account.lost, sizeof(ret_counts->lost));
    ret_counts->lost[LOSS_KERNEL_BUFFER] += watch->kernel_lost;
    pthread_mutex_unlock(&watch->lock);
}

size_t network_watch_states(
    struct network_watch *watch, struct network_device_state ret_states[NETWORK_DEVICES_STATES_MAX])
{
    pthread_mutex_lock(&watch->lock);
    size_t count = watch->state_count;
    memcpy(ret_states, watch->states, count * sizeof(*ret_states));
    pthread_mutex_unlock(&watch->lock);
    return count;
}
