/* SPDX-License-Identifier: Apache-2.0 */
#include "certificate_keeper.h"

#include "certificates.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define LOOK_SECONDS 3600

struct certificate_keeper {
    struct certificate_keeper_options options;
    struct arena names_arena;
    struct span *names; /* that are to be covered, in the arena; the keeper's thread alone */
    size_t name_count;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t asked;
    struct cover *covers;
    struct cover **last_cover;
    bool reload;
    bool stop;

    bool started;
    pthread_t thread;
};

/* ---- what is done ---------------------------------------------------------------------------- */

static void show(struct certificate_keeper *keeper, const char *what)
{
    struct why why = {.text = ""};
    enum err err = gateway_reload_certificate(keeper->options.gateway, &why);
    if (err == ERR_NONE)
        log_info("hub", "the server's certificate was %s", what);
    else
        log_error("hub", "the server's certificate was %s, but the old one stays in use: %s", what,
            why_text(&why, err));
}

static enum err cover_names(struct certificate_keeper *keeper, struct why *why)
{
    bool renewed = false;
    enum err err = certificates_cover(keeper->options.directory, keeper->names, keeper->name_count,
        clock_wall_us(&clock_system), &renewed, why);
    if (err == ERR_NONE && renewed)
        show(keeper, "made anew for the host names of all hubs");
    return err;
}

static void renew_if_due(struct certificate_keeper *keeper)
{
    bool renewed = false;
    struct why why = {.text = ""};
    enum err err = certificates_renew_if_due(keeper->options.directory, keeper->options.renew_days,
        clock_wall_us(&clock_system), &renewed, &why);
    if (err != ERR_NONE)
        log_error(
            "hub", "the server's certificate cannot be looked after: %s", why_text(&why, err));
    else if (renewed)
        show(keeper, "about to end and was made anew");
}

static void look_after(struct certificate_keeper *keeper)
{
    struct why why = {.text = ""};
    renew_if_due(keeper);
    enum err err = cover_names(keeper, &why);
    if (err != ERR_NONE)
        log_warn("hub", "%s", why_text(&why, err));
}

/* Names are kept, because what cannot be done now is tried again at the next look. */
static bool keep_names(struct certificate_keeper *keeper, const struct cover *cover)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct span *names = arena_alloc(&arena, (cover->count + 1) * sizeof *names);
    bool complete = names != NULL;
    for (size_t i = 0; i < cover->count && complete; i++)
        complete = arena_span(&arena, cover->names[i], &names[i]);
    if (!complete) {
        arena_done(&arena);
        return false;
    }
    arena_done(&keeper->names_arena);
    keeper->names_arena = arena;
    keeper->names = names;
    keeper->name_count = cover->count;
    return true;
}

static void serve_cover(struct certificate_keeper *keeper, struct cover *cover)
{
    struct why why = {.text = ""};
    enum err err = keep_names(keeper, cover) ? cover_names(keeper, &why) : ERR_MEMORY;
    if (err != ERR_NONE)
        log_warn("hub", "%s", why_text(&why, err));
    cover->done(cover, err, &why);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool wait_until(struct certificate_keeper *keeper, const struct timespec *end)
{
    while (!keeper->stop && !keeper->reload && keeper->covers == NULL)
        if (pthread_cond_timedwait(&keeper->asked, &keeper->lock, end) == ETIMEDOUT)
            return false;
    return true;
}

static struct timespec next_look(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += LOOK_SECONDS;
    return time;
}

/* What there was to do, with the lock held again. */
static void work(struct certificate_keeper *keeper, bool look)
{
    struct cover *cover = keeper->covers;
    bool reload = keeper->reload;
    keeper->covers = NULL;
    keeper->last_cover = &keeper->covers;
    keeper->reload = false;
    pthread_mutex_unlock(&keeper->lock);
    if (reload)
        show(keeper, "read anew");
    if (reload || look)
        look_after(keeper);
    while (cover != NULL) {
        struct cover *next = cover->next;
        serve_cover(keeper, cover);
        cover = next;
    }
    pthread_mutex_lock(&keeper->lock);
}

static void *run(void *self)
{
    struct certificate_keeper *keeper = self;
    pthread_setname_np(pthread_self(), "certificate");
    struct timespec end = next_look();
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->stop) {
        bool look = !wait_until(keeper, &end);
        if (look)
            end = next_look();
        work(keeper, look);
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

/* ---- the door -------------------------------------------------------------------------------- */

enum err certificate_keeper_new(const struct certificate_keeper_options *options,
    struct certificate_keeper **ret_keeper, struct why *why)
{
    struct certificate_keeper *keeper = mem_alloc(sizeof *keeper);
    if (keeper == NULL)
        return fail(ERR_MEMORY, why, "no memory for the keeper of the certificate");
    keeper->options = *options;
    keeper->last_cover = &keeper->covers;
    arena_init(&keeper->names_arena, 0);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    must(pthread_mutex_init(&keeper->lock, NULL) == 0);
    must(pthread_cond_init(&keeper->asked, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    *ret_keeper = keeper;
    return ERR_NONE;
}

enum err certificate_keeper_start(struct certificate_keeper *keeper, struct why *why)
{
    int error = pthread_create(&keeper->thread, NULL, run, keeper);
    if (error != 0)
        return fail(
            ERR_SERVER, why, "cannot start the thread of the certificate: %s", strerror(error));
    keeper->started = true;
    return ERR_NONE;
}

void certificate_keeper_cover(void *self, struct cover *cover)
{
    struct certificate_keeper *keeper = self;
    cover->next = NULL;
    pthread_mutex_lock(&keeper->lock);
    *keeper->last_cover = cover;
    keeper->last_cover = &cover->next;
    pthread_cond_signal(&keeper->asked);
    pthread_mutex_unlock(&keeper->lock);
}

void certificate_keeper_reload(struct certificate_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->reload = true;
    pthread_cond_signal(&keeper->asked);
    pthread_mutex_unlock(&keeper->lock);
}

void certificate_keeper_free(struct certificate_keeper *keeper)
{
    if (keeper == NULL)
        return;
    if (keeper->started) {
        pthread_mutex_lock(&keeper->lock);
        keeper->stop = true;
        pthread_cond_signal(&keeper->asked);
        pthread_mutex_unlock(&keeper->lock);
        pthread_join(keeper->thread, NULL);
    }
    arena_done(&keeper->names_arena);
    pthread_cond_destroy(&keeper->asked);
    pthread_mutex_destroy(&keeper->lock);
    mem_free(keeper);
}
