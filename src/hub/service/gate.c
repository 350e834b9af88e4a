/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include "device_api.h"
#include "log.h"
#include "metrics.h"

#include <stdio.h>

#define TELL_EVERY_US INT64_C(60000000)

static const struct {
    const char *name;
    const char *key;
} classes[] = {
#define THROTTLE(id, key, name, unit, seconds, what) {name, #key},
#include "throttle.def"
#undef THROTTLE
};

static const struct {
    enum throttle_class class;
    const char *method;
    const char *path;
} metered[] = {
#define METERED(id, method, path) {THROTTLE_##id, method, path},
#include "throttle.def"
#undef METERED
};

struct waiting {
    int64_t due_us; /* mono time */
    size_t place;   /* in the heap */
    struct call *call;
    gate_step *go;
    struct throttle_request request;
};

struct gate {
    const struct clock *clock;
    size_t most; /* that may wait */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool stopping;
    bool open; /* nothing is held up any more */
    struct throttle *throttle;
    struct waiting **heap; /* the earliest first */
    size_t count;
    uint64_t delayed[THROTTLE_CLASSES]; /* since the log was told */
    uint64_t refused[THROTTLE_CLASSES];
    int64_t told_us; /* mono time */
};

enum throttle_class gate_class_of(const struct operation *operation)
{
    for (size_t i = 0; i < COUNT_OF(metered); i++)
        if ((metered[i].method[0] == '\0' || strcmp(metered[i].method, operation->method) == 0) &&
            strncmp(metered[i].path, operation->path, strlen(metered[i].path)) == 0)
            return metered[i].class;
    return THROTTLE_NOTHING;
}

const char *gate_class_name(enum throttle_class class)
{
    return classes[class].name;
}

/* ---- who waits: a heap by the time at which it is their turn -------------------------------- */

static void put_at(struct gate *gate, size_t place, struct waiting *waiting)
{
    gate->heap[place] = waiting;
    waiting->place = place;
}

static void rise(struct gate *gate, size_t place, struct waiting *waiting)
{
    while (place > 0 && gate->heap[(place - 1) / 2]->due_us > waiting->due_us) {
        put_at(gate, place, gate->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put_at(gate, place, waiting);
}

static void sink(struct gate *gate, size_t place, struct waiting *waiting)
{
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= gate->count)
            break;
        if (child + 1 < gate->count && gate->heap[child + 1]->due_us < gate->heap[child]->due_us)
            child++;
        if (gate->heap[child]->due_us >= waiting->due_us)
            break;
        put_at(gate, place, gate->heap[child]);
        place = child;
    }
    put_at(gate, place, waiting);
}

static void take_out(struct gate *gate, size_t place)
{
    struct waiting *last = gate->heap[--gate->count];
    if (place == gate->count)
        return;
    if (place > 0 && gate->heap[(place - 1) / 2]->due_us > last->due_us)
        rise(gate, place, last);
    else
        sink(gate, place, last);
}

/* ---- letting through ------------------------------------------------------------------------- */

/* Takes the next that is due; NULL: nobody is. Under the lock. */
static struct waiting *next_due(struct gate *gate)
{
    if (gate->count == 0 || (!gate->open && gate->heap[0]->due_us > clock_mono_us(gate->clock)))
        return NULL;
    struct waiting *waiting = gate->heap[0];
    take_out(gate, 0);
    waiting->call->waiting = NULL;
    return waiting;
}

static void let_through(struct gate *gate)
{
    struct waiting *waiting;
    while ((waiting = next_due(gate)) != NULL) {
        struct call *call = waiting->call;
        gate_step *go = waiting->go;
        pthread_mutex_unlock(&gate->lock);
        go(call, ERR_NONE, NULL);
        pthread_mutex_lock(&gate->lock);
    }
}

void gate_release(struct gate *gate, bool all)
{
    if (gate == NULL)
        return;
    pthread_mutex_lock(&gate->lock);
    gate->open |= all;
    let_through(gate);
    pthread_mutex_unlock(&gate->lock);
}

static void wait_for_change(struct gate *gate)
{
    struct timespec until;
    if (gate->count == 0) {
        pthread_cond_wait(&gate->changed, &gate->lock);
        return;
    }
    int64_t left_us = gate->heap[0]->due_us - clock_mono_us(gate->clock);
    if (left_us <= 0)
        return;
    must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    int64_t end_ns = until.tv_nsec + left_us % 1000000 * 1000;
    until.tv_sec += left_us / 1000000 + end_ns / 1000000000;
    until.tv_nsec = end_ns % 1000000000;
    pthread_cond_timedwait(&gate->changed, &gate->lock, &until);
}

static void *run(void *self)
{
    struct gate *gate = self;
    pthread_mutex_lock(&gate->lock);
    while (!gate->stopping) {
        wait_for_change(gate);
        let_through(gate);
    }
    pthread_mutex_unlock(&gate->lock);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void init_locks(struct gate *gate)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&gate->changed, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    must(pthread_mutex_init(&gate->lock, NULL) == 0);
}

static void release_memory(struct gate *gate)
{
    throttle_free(gate->throttle);
    mem_free(gate->heap);
    mem_free(gate);
}

enum err gate_new(const struct clock *clock, const struct throttle_limits *limits,
    struct gate **ret_gate, struct why *why)
{
    *ret_gate = NULL;
    if (!throttle_limits_any(limits))
        return ERR_NONE;
    struct gate *gate = mem_alloc(sizeof(*gate));
    if (gate == NULL)
        return fail(ERR_MEMORY, why, "no memory to throttle by");
    gate->clock = clock;
    gate->most = limits->waiting;
    gate->told_us = INT64_MIN / 2;
    gate->throttle = throttle_new(limits);
    gate->heap = mem_alloc((gate->most + 1) * sizeof(struct waiting *));
    if (gate->throttle == NULL || gate->heap == NULL) {
        release_memory(gate);
        return fail(ERR_MEMORY, why, "no memory to throttle by");
    }
    init_locks(gate);
    if (pthread_create(&gate->thread, NULL, run, gate) != 0) {
        release_memory(gate);
        return fail(ERR_SERVER, why, "no thread to throttle by");
    }
    *ret_gate = gate;
    return ERR_NONE;
}

void gate_free(struct gate *gate)
{
    if (gate == NULL)
        return;
    pthread_mutex_lock(&gate->lock);
    gate->stopping = true;
    pthread_cond_signal(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
    must(pthread_join(gate->thread, NULL) == 0);
    must(gate->count == 0);
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
    release_memory(gate);
}

/* ---- coming in ------------------------------------------------------------------------------- */

static struct throttle_request request_of(const struct gate *gate, const struct gate_ask *ask)
{
    return (struct throttle_request){.class = ask->class,
        .hub_id = ask->hub_id,
        .caller =
            throttle_key(gate->throttle, ask->class, ask->hub_id, ask->kind, ask->name, ask->part),
        .cost = ask->cost,
        .messages = ask->messages,
        .patient = ask->patient};
}

/* Under the lock. False: there is no room to wait. */
static bool add(struct gate *gate, struct waiting *waiting, int64_t due_us)
{
    if (gate->count == gate->most)
        return false;
    waiting->due_us = due_us;
    waiting->call->waiting = waiting;
    waiting->call->delayed = true;
    rise(gate, gate->count++, waiting);
    if (waiting->place == 0)
        pthread_cond_signal(&gate->changed);
    return true;
}

/* Under the lock. */
static enum throttle_verdict judge(struct gate *gate, struct waiting *waiting, int64_t *ret_us)
{
    const struct throttle_request *request = &waiting->request;
    const int64_t now_us = clock_mono_us(gate->clock);
    enum throttle_verdict verdict =
        throttle_ask(gate->throttle, request, now_us, clock_wall_us(gate->clock), ret_us);
    if (verdict == THROTTLE_WAIT && gate->open)
        return THROTTLE_GO;
    if (verdict == THROTTLE_WAIT && !add(gate, waiting, now_us + *ret_us)) {
        throttle_give_back(gate->throttle, request);
        verdict = THROTTLE_REFUSED;
    }
    gate->delayed[request->class] += verdict == THROTTLE_WAIT;
    gate->refused[request->class] += verdict == THROTTLE_REFUSED || verdict == THROTTLE_QUOTA;
    return verdict;
}

static enum err explain(
    const struct gate_ask *ask, enum throttle_verdict verdict, unsigned seconds, struct why *why)
{
    if (verdict == THROTTLE_QUOTA)
        return fail(
            ERR_QUOTA, why, "the hub's messages of this day are used up (throttle.daily_messages)");
    return fail(ERR_THROTTLED, why,
        "too many requests of the class %s: try again in %u s (throttle.%s, throttle.%s_each)",
        classes[ask->class].name, seconds, classes[ask->class].key, classes[ask->class].key);
}

void gate_judge(struct gate *gate, struct call *call, const struct gate_ask *ask, gate_step *go)
{
    static const enum metric outcomes[] = {
        [THROTTLE_GO] = METRIC_THROTTLE_ALLOWED,
        [THROTTLE_WAIT] = METRIC_THROTTLE_DELAYED,
        [THROTTLE_REFUSED] = METRIC_THROTTLE_REFUSED,
        [THROTTLE_QUOTA] = METRIC_THROTTLE_REFUSED,
    };
    struct why why = {""};
    int64_t us;
    if (!throttle_judges(gate->throttle, ask->class, ask->messages)) {
        go(call, ERR_NONE, NULL);
        return;
    }
    struct waiting *waiting = arena_alloc(&call->arena, sizeof(*waiting));
    if (waiting == NULL) {
        go(call, ERR_MEMORY, NULL);
        return;
    }
    waiting->call = call;
    waiting->go = go;
    waiting->request = request_of(gate, ask);
    pthread_mutex_lock(&gate->lock);
    enum throttle_verdict verdict = judge(gate, waiting, &us);
    pthread_mutex_unlock(&gate->lock);
    metrics_add(outcomes[verdict], ask->class, 1);
    if (verdict == THROTTLE_WAIT)
        return; /* the call may be over by now */
    if (verdict == THROTTLE_GO) {
        go(call, ERR_NONE, NULL);
        return;
    }
    call->retry_seconds = us < 1000000 ? 1 : (unsigned)((us + 999999) / 1000000);
    enum err err = explain(ask, verdict, call->retry_seconds, &why);
    go(call, err, &why);
}

void gate_abandon(struct gate *gate, struct call *call)
{
    if (gate == NULL)
        return;
    pthread_mutex_lock(&gate->lock);
    struct waiting *waiting = call->waiting;
    if (waiting != NULL) {
        call->waiting = NULL;
        take_out(gate, waiting->place);
        throttle_give_back(gate->throttle, &waiting->request);
    }
    pthread_mutex_unlock(&gate->lock);
    if (waiting != NULL)
        waiting->go(call, ERR_CANCELLED, NULL);
}

/* ---- who comes in -----------------------------------------------------------------------------
 */

bool rest_is_metered(const struct rest *rest)
{
    return rest->service->gate != NULL && gate_class_of(rest->operation) != THROTTLE_NOTHING;
}

static void enter_rest(struct call *call, enum err err, const struct why *why)
{
    struct rest *rest = call->work;
    if (err == ERR_NONE)
        rest_submit(rest);
    else
        rest_finish(rest, err, why);
}

void rest_enter(struct rest *rest)
{
    if (!rest_is_metered(rest)) {
        rest_submit(rest);
        return;
    }
    struct gate_ask ask = {.class = gate_class_of(rest->operation),
        .hub_id = rest->hub_id,
        .kind = rest->proof == PROOF_TOKEN ? 'p' : 'a',
        .name = rest->caller.user,
        .cost = rest->cost,
        .messages = rest->messages};
    if (rest->device != NULL)
        device_show(rest, &ask.kind, &ask.name, &ask.part);
    gate_enter(rest->service->gate, &rest->call->call, &ask, enter_rest);
}

void gate_to_reader(struct call *call, enum err err, const struct why *why)
{
    if (err == ERR_NONE)
        store_submit(call->service->options.store, STORE_READ, &call->job);
    else
        call_finish(call, err, why);
}

void gate_to_writer(struct call *call, enum err err, const struct why *why)
{
    if (err == ERR_NONE)
        store_submit(call->service->options.store, STORE_WRITE, &call->job);
    else
        call_finish(call, err, why);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void write_class(const struct gate *gate, enum throttle_class class, struct buf *text)
{
    uint64_t delayed = gate->delayed[class];
    uint64_t refused = gate->refused[class];
    if (delayed + refused == 0)
        return;
    buf_add_format(text, "%s%s: %llu delayed, %llu refused", text->len == 0 ? "" : "; ",
        classes[class].name, (unsigned long long)delayed, (unsigned long long)refused);
}

void gate_tell(struct gate *gate)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (gate == NULL)
        return;
    pthread_mutex_lock(&gate->lock);
    if (clock_mono_us(gate->clock) >= gate->told_us + TELL_EVERY_US) {
        for (size_t i = 0; i < THROTTLE_CLASSES; i++)
            write_class(gate, (enum throttle_class)i, &text);
        if (text.len > 0) {
            gate->told_us = clock_mono_us(gate->clock);
            memset(gate->delayed, 0, sizeof(gate->delayed));
            memset(gate->refused, 0, sizeof(gate->refused));
        }
    }
    pthread_mutex_unlock(&gate->lock);
    if (text.len > 0 && !text.failed)
        log_warn("service", "requests were throttled: %.*s", SPAN_ARG(buf_span(&text)));
}

void gate_set_day(struct gate *gate, const struct throttle_day *day)
{
    pthread_mutex_lock(&gate->lock);
    throttle_set_day(gate->throttle, day);
    pthread_mutex_unlock(&gate->lock);
}

bool gate_take_day(struct gate *gate, struct throttle_day *ret_day)
{
    pthread_mutex_lock(&gate->lock);
    bool taken = throttle_take_day(gate->throttle, ret_day);
    pthread_mutex_unlock(&gate->lock);
    return taken;
}
