/* SPDX-License-Identifier: Apache-2.0 */
#include "throttle.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>

#define WAYS 8u
#define HUB_CHAINS 64u
#define SECRET_BYTES 32

#define SECOND_NS INT64_C(1000000000)
#define DAY_US (INT64_C(86400) * 1000000)

static const unsigned periods_s[THROTTLE_CLASSES] = {
#define THROTTLE(id, key, name, unit, seconds, what) seconds,
#include "throttle.def"
#undef THROTTLE
};

struct hub {
    struct hub *next;
    int64_t id;
    int64_t full_ns[THROTTLE_CLASSES]; /* when the bucket is full again */
    int64_t day;
    uint64_t messages; /* of that day */
    int64_t told_day;  /* what throttle_take_day() gave */
    uint64_t told;
};

struct caller {
    uint64_t key; /* 0: free */
    int64_t full_ns;
};

struct throttle {
    struct throttle_limits limits;
    unsigned char secret[SECRET_BYTES]; /* so that nobody can choose who shares his place */
    struct hub *hubs[HUB_CHAINS];
    size_t rows; /* of callers, of WAYS each; 0: nothing is asked of them */
    struct caller callers[];
};

/* ---- life ------------------------------------------------------------------------------------ */

static bool any(const unsigned rates[THROTTLE_CLASSES])
{
    unsigned all = 0;
    for (size_t i = 0; i < THROTTLE_CLASSES; i++)
        all |= rates[i];
    return all != 0;
}

bool throttle_limits_any(const struct throttle_limits *limits)
{
    return any(limits->hub) || any(limits->each) || limits->daily_messages > 0;
}

struct throttle *throttle_new(const struct throttle_limits *limits)
{
    size_t rows = any(limits->each) ? (limits->callers + WAYS - 1) / WAYS : 0;
    struct throttle *throttle =
        mem_alloc(sizeof(*throttle) + rows * WAYS * sizeof(throttle->callers[0]));
    if (throttle == NULL || RAND_bytes(throttle->secret, SECRET_BYTES) != 1) {
        mem_free(throttle);
        return NULL;
    }
    throttle->limits = *limits;
    throttle->rows = rows;
    return throttle;
}

void throttle_free(struct throttle *throttle)
{
    for (size_t i = 0; throttle != NULL && i < HUB_CHAINS; i++) {
        struct hub *next;
        for (struct hub *hub = throttle->hubs[i]; hub != NULL; hub = next) {
            next = hub->next;
            mem_free(hub);
        }
    }
    mem_free(throttle);
}

bool throttle_judges(const struct throttle *throttle, enum throttle_class class, unsigned messages)
{
    const struct throttle_limits *limits = &throttle->limits;
    return (limits->hub[class] | limits->each[class]) != 0 ||
           (messages > 0 && limits->daily_messages > 0);
}

/* ---- finding --------------------------------------------------------------------------------- */

uint64_t throttle_key(const struct throttle *throttle, enum throttle_class class, int64_t hub_id,
    char kind, struct span name, struct span part)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char message[512] = {(unsigned char)class, (unsigned char)kind};
    size_t len = 2;
    uint64_t key;
    if (throttle->limits.each[class] == 0)
        return 0;
    memcpy(message + len, &hub_id, sizeof(hub_id));
    len += sizeof(hub_id);
    const struct span texts[] = {name, part};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct span text = span_first(texts[i], 240);
        if (text.len > 0)
            memcpy(message + len, text.ptr, text.len);
        len += text.len;
        message[len++] = 0; /* no id has one */
    }
    must(HMAC(EVP_sha256(), throttle->secret, SECRET_BYTES, message, len, digest, NULL) != NULL);
    memcpy(&key, digest, sizeof(key));
    return key | 1;
}

/* NULL: no memory, and then nothing is held against the hub. */
static struct hub *find_hub(struct throttle *throttle, int64_t id)
{
    struct hub **chain = &throttle->hubs[(uint64_t)id % HUB_CHAINS];
    struct hub *hub = *chain;
    while (hub != NULL && hub->id != id)
        hub = hub->next;
    if (hub != NULL)
        return hub;
    hub = mem_alloc(sizeof(*hub));
    if (hub == NULL)
        return NULL;
    hub->id = id;
    hub->next = *chain;
    for (size_t i = 0; i < THROTTLE_CLASSES; i++)
        hub->full_ns[i] = INT64_MIN;
    *chain = hub;
    return hub;
}

static struct caller *find_caller(struct throttle *throttle, uint64_t key, bool make)
{
    if (key == 0 || throttle->rows == 0)
        return NULL;
    struct caller *row = &throttle->callers[(key >> 1) % throttle->rows * WAYS];
    struct caller *fullest = row;
    for (size_t i = 0; i < WAYS; i++) {
        if (row[i].key == key)
            return &row[i];
        if (row[i].key == 0 || (fullest->key != 0 && row[i].full_ns < fullest->full_ns))
            fullest = &row[i];
    }
    if (!make)
        return NULL;
    *fullest = (struct caller){key, INT64_MIN};
    return fullest;
}

/* ---- one bucket ------------------------------------------------------------------------------ */

struct bucket {
    int64_t *full_ns;
    unsigned rate; /* in period_ns; 0: any */
    int64_t period_ns;
};

static int64_t time_of(const struct bucket *bucket, unsigned cost)
{
    return (int64_t)((double)cost * (double)bucket->period_ns / bucket->rate);
}

/* How long until a token is there. A request that costs more than one takes them all once there is
 * one, and those behind it wait the longer. */
static int64_t wait_of(const struct bucket *bucket, int64_t now_ns, unsigned burst_s)
{
    if (bucket->rate == 0 || bucket->full_ns == NULL || *bucket->full_ns <= now_ns)
        return 0;
    int64_t room_ns = (int64_t)burst_s * SECOND_NS - time_of(bucket, 1);
    int64_t wait_ns = *bucket->full_ns - now_ns - (room_ns > 0 ? room_ns : 0);
    return wait_ns > 0 ? wait_ns : 0;
}

static void take(const struct bucket *bucket, int64_t now_ns, unsigned cost)
{
    if (bucket->rate == 0 || bucket->full_ns == NULL)
        return;
    int64_t from_ns = *bucket->full_ns > now_ns ? *bucket->full_ns : now_ns;
    *bucket->full_ns = from_ns + time_of(bucket, cost);
}

static void give(const struct bucket *bucket, unsigned cost)
{
    if (bucket->rate != 0 && bucket->full_ns != NULL && *bucket->full_ns != INT64_MIN)
        *bucket->full_ns -= time_of(bucket, cost);
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool is_over_quota(const struct throttle *throttle, struct hub *hub, unsigned messages,
    int64_t wall_us, int64_t *ret_us)
{
    const uint64_t most = throttle->limits.daily_messages;
    if (most == 0 || messages == 0 || hub == NULL)
        return false;
    int64_t day = wall_us / DAY_US;
    if (hub->day != day) {
        hub->day = day;
        hub->messages = 0;
    }
    if (hub->messages + messages <= most)
        return false;
    *ret_us = (day + 1) * DAY_US - wall_us;
    return true;
}

struct buckets {
    struct bucket hub;
    struct bucket caller;
};

static struct buckets buckets_of(
    struct throttle *throttle, struct hub *hub, const struct throttle_request *request, bool make)
{
    const enum throttle_class class = request->class;
    const int64_t period_ns = periods_s[class] * SECOND_NS;
    struct caller *caller = find_caller(throttle, request->caller, make);
    return (struct buckets){
        .hub = {hub == NULL ? NULL : &hub->full_ns[class], throttle->limits.hub[class], period_ns},
        .caller = {
            caller == NULL ? NULL : &caller->full_ns, throttle->limits.each[class], period_ns}};
}

enum throttle_verdict throttle_ask(struct throttle *throttle,
    const struct throttle_request *request, int64_t mono_us, int64_t wall_us, int64_t *ret_us)
{
    const struct throttle_limits *limits = &throttle->limits;
    const int64_t now_ns = mono_us * 1000;
    struct hub *hub = find_hub(throttle, request->hub_id);
    *ret_us = 0;
    if (is_over_quota(throttle, hub, request->messages, wall_us, ret_us))
        return THROTTLE_QUOTA;
    const struct buckets buckets = buckets_of(throttle, hub, request, true);
    int64_t of_hub = wait_of(&buckets.hub, now_ns, limits->burst_seconds);
    int64_t of_caller = wait_of(&buckets.caller, now_ns, limits->burst_seconds);
    int64_t wait_ns = of_hub > of_caller ? of_hub : of_caller;
    int64_t queue_ns = (int64_t)limits->queue_seconds * SECOND_NS;
    if (wait_ns > queue_ns && !request->patient) {
        *ret_us = (wait_ns - queue_ns + 999) / 1000;
        return THROTTLE_REFUSED;
    }
    take(&buckets.hub, now_ns, request->cost);
    take(&buckets.caller, now_ns, request->cost);
    if (hub != NULL)
        hub->messages += request->messages;
    *ret_us = (wait_ns + 999) / 1000;
    return wait_ns > 0 ? THROTTLE_WAIT : THROTTLE_GO;
}

void throttle_give_back(struct throttle *throttle, const struct throttle_request *request)
{
    struct hub *hub = find_hub(throttle, request->hub_id);
    const struct buckets buckets = buckets_of(throttle, hub, request, false);
    give(&buckets.hub, request->cost);
    give(&buckets.caller, request->cost);
    if (hub != NULL && hub->messages >= request->messages)
        hub->messages -= request->messages;
}

/* ---- the count of a day ---------------------------------------------------------------------- */

void throttle_set_day(struct throttle *throttle, const struct throttle_day *day)
{
    struct hub *hub = find_hub(throttle, day->hub_id);
    if (hub == NULL)
        return;
    hub->day = hub->told_day = day->day;
    hub->messages = hub->told = day->messages;
}

bool throttle_take_day(struct throttle *throttle, struct throttle_day *ret_day)
{
    for (size_t i = 0; i < HUB_CHAINS; i++)
        for (struct hub *hub = throttle->hubs[i]; hub != NULL; hub = hub->next) {
            if (hub->day == hub->told_day && hub->messages == hub->told)
                continue;
            hub->told_day = hub->day;
            hub->told = hub->messages;
            *ret_day = (struct throttle_day){hub->id, hub->day, hub->messages};
            return true;
        }
    return false;
}
