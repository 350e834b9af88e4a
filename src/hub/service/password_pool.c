/* SPDX-License-Identifier: Apache-2.0 */
#include "password_pool.h"

#include "sign_in_delay.h"

#include <pthread.h>

struct password_pool {
    const struct clock *clock;
    struct access_limits limits;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    struct sign_in_delay *delay;
    struct password_task *first;
    unsigned waiting;
    bool stop;
    unsigned started;
    pthread_t threads[];
};

/* ---- choosing -------------------------------------------------------------------------------- */

static void refuse(struct password_task *task, unsigned seconds, const char *sentence)
{
    task->err = ERR_THROTTLED;
    task->retry_seconds = seconds;
    why_set(&task->why, "%s, the next try is possible in %u s", sentence, seconds);
}

/* True when the task need not wait: it may be tried, or was refused. */
static bool judge(struct password_pool *pool, struct password_task *task)
{
    int64_t wait_us = 0;
    if (task->admitted || task->user.len == 0)
        return true;
    enum sign_in_verdict verdict = sign_in_delay_ask(
        pool->delay, task->user, task->address, clock_mono_us(pool->clock), &wait_us);
    task->admitted = verdict == SIGN_IN_GO;
    if (verdict == SIGN_IN_REFUSED)
        refuse(task, (unsigned)((wait_us + 999999) / 1000000), "after wrong passwords");
    return verdict != SIGN_IN_WAIT;
}

/* Takes the first that need not wait out of the queue; NULL: none. */
static struct password_task *choose(struct password_pool *pool)
{
    for (struct password_task **link = &pool->first; *link != NULL; link = &(*link)->next) {
        struct password_task *task = *link;
        if (!judge(pool, task))
            continue;
        *link = task->next;
        pool->waiting--;
        return task;
    }
    return NULL;
}

/* ---- working --------------------------------------------------------------------------------- */

static enum err check(struct password_task *task)
{
    bool matches = false;
    const char *hash = task->hash == NULL ? password_hash_of_nobody : task->hash;
    enum err err = password_check(task->password, hash, &matches);
    if (err != ERR_NONE)
        return fail(err, &task->why, "no memory to check a password");
    if (!matches || task->hash == NULL)
        return fail(ERR_UNAUTHORIZED, &task->why, "user or password are wrong");
    return ERR_NONE;
}

static enum sign_in_end end_of(enum err err)
{
    return err == ERR_NONE           ? SIGN_IN_RIGHT
           : err == ERR_UNAUTHORIZED ? SIGN_IN_WRONG
                                     : SIGN_IN_UNKNOWN;
}

static void work(struct password_pool *pool, struct password_task *task)
{
    if (task->user.len > 0) {
        task->err = check(task);
        pthread_mutex_lock(&pool->lock);
        sign_in_delay_tell(
            pool->delay, task->user, task->address, end_of(task->err), clock_mono_us(pool->clock));
        pthread_cond_broadcast(&pool->changed);
        pthread_mutex_unlock(&pool->lock);
    }
    if (task->err == ERR_NONE && task->fresh.len > 0)
        task->err = password_hash(task->fresh, task->fresh_hash, &task->why);
    task->done(task);
}

static void *main_loop(void *argument)
{
    struct password_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        struct password_task *task = choose(pool);
        if (task == NULL) {
            pthread_cond_wait(&pool->changed, &pool->lock);
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        if (task->err == ERR_NONE)
            work(pool, task);
        else
            task->done(task);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- the pool -------------------------------------------------------------------------------- */

enum err password_pool_new(const struct clock *clock, const struct access_limits *limits,
    struct password_pool **ret_pool, struct why *why)
{
    struct password_pool *pool =
        mem_alloc(sizeof(*pool) + limits->password_threads * sizeof(pthread_t));
    if (pool == NULL)
        return fail(ERR_MEMORY, why, "no memory for the threads that check passwords");
    pool->clock = clock;
    pool->limits = *limits;
    must(pthread_mutex_init(&pool->lock, NULL) == 0);
    must(pthread_cond_init(&pool->changed, NULL) == 0);
    pool->delay = sign_in_delay_new(limits);
    while (pool->delay != NULL && pool->started < limits->password_threads &&
           pthread_create(&pool->threads[pool->started], NULL, main_loop, pool) == 0)
        pool->started++;
    if (pool->started < limits->password_threads) {
        password_pool_free(pool);
        return fail(ERR_MEMORY, why, "the threads that check passwords cannot be started");
    }
    *ret_pool = pool;
    return ERR_NONE;
}

void password_pool_free(struct password_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    must(pool->first == NULL);
    pool->stop = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    sign_in_delay_free(pool->delay);
    mem_free(pool);
}

/* False: the task is refused, and done. */
static bool enqueue(struct password_pool *pool, struct password_task *task)
{
    if (pool->waiting >= pool->limits.password_waiting) {
        refuse(task, 1, "too many passwords are being checked");
        return false;
    }
    (void)judge(pool, task);
    if (task->err != ERR_NONE)
        return false;
    struct password_task **link = &pool->first;
    while (*link != NULL)
        link = &(*link)->next;
    *link = task;
    pool->waiting++;
    pthread_cond_signal(&pool->changed);
    return true;
}

void password_pool_submit(struct password_pool *pool, struct password_task *task)
{
    task->next = NULL;
    task->admitted = false;
    task->err = ERR_NONE;
    pthread_mutex_lock(&pool->lock);
    bool waits = enqueue(pool, task);
    pthread_mutex_unlock(&pool->lock);
    if (!waits)
        task->done(task);
}
