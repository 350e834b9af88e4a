/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "job_queue.h"
#include "log.h"
#include "metrics.h"
#include "sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096u

/*
 * Carrying the write-ahead log back into the database file, so that the log starts again at its
 * front. The checkpointer does the bulk beside the writer; what was committed meanwhile is little,
 * and the writer itself carries that, because only at the log's end it can start again.
 *
 *   IDLE --(writer: the log has grown)--> WANTED --(checkpointer)--> CARRIED --(writer)--> IDLE
 */
enum carrying { CARRYING_IDLE, CARRYING_WANTED, CARRYING_CARRIED };

struct reader {
    struct sqlite_store *store;
    struct sqlite_conn conn;
    pthread_t thread;
    bool started;
};

struct sqlite_store {
    struct store base;
    struct sqlite_options options;
    int lock_file;

    struct job_queue writes;
    struct sqlite_conn writer;
    pthread_t writer_thread;
    bool writer_started;
    enum err *results; /* of the jobs of the running group */
    int log_pages;     /* in the write-ahead log, as of the last commit */
    int carried_pages; /* of these, carried back already or tried to */

    struct job_queue reads;
    struct reader *readers;

    struct sqlite_conn checkpointer;
    pthread_t checkpoint_thread;
    bool checkpoint_started;
    pthread_mutex_t checkpoint_lock;
    pthread_cond_t checkpoint_changed;
    enum carrying carrying;
    bool checkpoint_stop;
    atomic_bool carrying_fails;
};

const struct sqlite_options sqlite_options_default = {
    .group_jobs = 512,
    .readers = 2,
    .cache_kib = 16384,
    .busy_ms = 10000,
    .checkpoint_kib = 4096,
};

/* ---- transactions ---------------------------------------------------------------------------- */

static const struct store_driver driver;

static struct sqlite_txn txn_of(struct sqlite_conn *conn, bool writable)
{
    return (struct sqlite_txn){
        .base = {.driver = &driver, .writable = writable},
        .conn = conn,
    };
}

static enum err run_job(struct sqlite_txn *txn, struct store_job *job)
{
    job->why.text[0] = '\0';
    txn->base.why = &job->why;
    txn->wrote = false;
    return job->run(job, &txn->base);
}

/* SQLite has rolled back by itself after some failures: a full disk, no memory. */
static void roll_back(struct sqlite_conn *conn)
{
    struct why why;
    if (!sqlite3_get_autocommit(conn->db) && sqlite_conn_run(conn, SQL_ROLLBACK, &why) != ERR_NONE)
        log_error("store", "rollback failed: %s", why.text);
}

static enum err commit(struct sqlite_txn *txn, struct why *why)
{
    struct sqlite_conn *conn = txn->conn;
    int64_t began_us = clock_mono_us(&clock_system);
    txn->base.why = why;
    enum err err = sqlite_event_flush(&txn->base);
    if (err == ERR_NONE)
        err = sqlite_conn_run(conn, SQL_COMMIT, why);
    metrics_observe(
        METRIC_STORE_COMMIT_SECONDS, BY_NOTHING, clock_mono_us(&clock_system) - began_us);
    if (err != ERR_NONE)
        roll_back(conn);
    return err;
}

/* The version of the user is nobody's; SQLite writes only what is not there already. */
static enum err sqlite_probe(struct store_txn *base)
{
    struct sqlite_txn *txn = (struct sqlite_txn *)base;
    txn->wrote = true;
    enum err err = sqlite_conn_run(txn->conn, SQL_PROBE_ODD, base->why);
    return err == ERR_NONE ? sqlite_conn_run(txn->conn, SQL_PROBE_EVEN, base->why) : err;
}

/* ---- whether the medium takes what is written ------------------------------------------------ */

static bool is_of_the_medium(enum err err)
{
    return err == ERR_IO || err == ERR_STORAGE_FULL || err == ERR_CORRUPT;
}

static void note_write(struct sqlite_store *store, enum err err, bool wrote)
{
    if (is_of_the_medium(err)) {
        metrics_add(METRIC_STORE_FAILURES, BY_NOTHING, 1);
        store->base.cannot_write = true;
    } else if (err == ERR_NONE && wrote && store->base.cannot_write) {
        store->base.cannot_write = false;
    }
}

static void begin_jobs(unsigned access, size_t count)
{
    metrics_add(METRIC_STORE_QUEUE, access, -(int64_t)count);
    metrics_add(METRIC_STORE_JOBS, access, (int64_t)count);
}

/* ---- the writer ------------------------------------------------------------------------------ */

/*
 * Runs the jobs in one transaction. False when it cannot be committed as a whole, because a job
 * failed after it had written, or the medium failed: then nothing was written, nobody was told, and
 * each job must be run alone.
 */
static bool run_together(struct sqlite_store *store, struct store_job *first)
{
    struct sqlite_conn *conn = &store->writer;
    struct why why;
    if (sqlite_conn_run(conn, SQL_BEGIN_WRITE, &why) != ERR_NONE)
        return false;
    struct sqlite_txn txn = txn_of(conn, true);
    size_t count = 0;
    bool wrote = false;
    for (struct store_job *job = first; job != NULL; job = job->next) {
        enum err err = run_job(&txn, job);
        wrote = wrote || txn.wrote;
        store->results[count++] = err;
        if ((err != ERR_NONE && txn.wrote) || sqlite3_get_autocommit(conn->db)) {
            roll_back(conn);
            return false;
        }
    }
    if (commit(&txn, &why) != ERR_NONE)
        return false;
    note_write(store, ERR_NONE, wrote);
    count = 0;
    for (struct store_job *job = first; job != NULL;) {
        struct store_job *next = job->next;
        job->done(job, store->results[count++]);
        job = next;
    }
    return true;
}

static void run_alone(struct sqlite_store *store, struct store_job *job)
{
    struct sqlite_conn *conn = &store->writer;
    enum err err = sqlite_conn_run(conn, SQL_BEGIN_WRITE, &job->why);
    bool wrote = false;
    if (err == ERR_NONE) {
        struct sqlite_txn txn = txn_of(conn, true);
        err = run_job(&txn, job);
        wrote = txn.wrote;
        if (err == ERR_NONE)
            err = commit(&txn, &job->why);
        else
            roll_back(conn);
    }
    note_write(store, err, wrote);
    job->done(job, err);
}

/* Said once until it works again: on a full disk it is tried after every commit. */
static void carry_log_back(struct sqlite_store *store, struct sqlite_conn *conn)
{
    int pages = 0;
    int carried = 0;
    int code =
        sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &carried);
    if ((code & 0xFF) == SQLITE_BUSY) /* the other thread is at it */
        return;
    struct why why;
    bool failing = code != SQLITE_OK;
    if (failing)
        (void)sqlite_error(conn->db, code, &why);
    if (failing && !atomic_exchange(&store->carrying_fails, true))
        log_warn(
            "store", "the log cannot be carried back into the database file yet: %s", why.text);
    if (!failing && atomic_exchange(&store->carrying_fails, false))
        log_info("store", "the log is carried back into the database file again");
}

static void carry_rest(struct sqlite_store *store)
{
    pthread_mutex_lock(&store->checkpoint_lock);
    bool due = store->carrying == CARRYING_CARRIED;
    if (due)
        store->carrying = CARRYING_IDLE;
    pthread_mutex_unlock(&store->checkpoint_lock);
    if (!due)
        return;
    carry_log_back(store, &store->writer);
    store->carried_pages = store->log_pages;
}

static void *writer_main(void *argument)
{
    struct sqlite_store *store = argument;
    struct store_job *first = NULL;
    for (;;) {
        size_t count = job_queue_take(&store->writes, store->options.group_jobs, &first);
        if (count == 0)
            return NULL;
        begin_jobs(BY_WRITE, count);
        if (count == 1 || !run_together(store, first)) {
            for (struct store_job *job = first; job != NULL;) {
                struct store_job *next = job->next;
                run_alone(store, job);
                job = next;
            }
        }
        carry_rest(store);
    }
}

static int on_commit(void *argument, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    struct sqlite_store *store = argument;
    store->log_pages = pages;
    if (pages < store->carried_pages)
        store->carried_pages = 0; /* the log has started again */
    int limit = (int)(store->options.checkpoint_kib / (PAGE_BYTES / 1024));
    if (pages - store->carried_pages < limit)
        return SQLITE_OK;
    pthread_mutex_lock(&store->checkpoint_lock);
    if (store->carrying == CARRYING_IDLE) {
        store->carrying = CARRYING_WANTED;
        pthread_cond_signal(&store->checkpoint_changed);
    }
    pthread_mutex_unlock(&store->checkpoint_lock);
    return SQLITE_OK;
}

static void *checkpoint_main(void *argument)
{
    struct sqlite_store *store = argument;
    pthread_mutex_lock(&store->checkpoint_lock);
    while (!store->checkpoint_stop) {
        if (store->carrying != CARRYING_WANTED) {
            pthread_cond_wait(&store->checkpoint_changed, &store->checkpoint_lock);
            continue;
        }
        pthread_mutex_unlock(&store->checkpoint_lock);
        carry_log_back(store, &store->checkpointer);
        pthread_mutex_lock(&store->checkpoint_lock);
        store->carrying = CARRYING_CARRIED;
    }
    pthread_mutex_unlock(&store->checkpoint_lock);
    return NULL;
}

/* ---- readers --------------------------------------------------------------------------------- */

static void *reader_main(void *argument)
{
    struct reader *reader = argument;
    struct store_job *job = NULL;
    while (job_queue_take(&reader->store->reads, 1, &job) > 0) {
        begin_jobs(BY_READ, 1);
        enum err err = sqlite_conn_run(&reader->conn, SQL_BEGIN_READ, &job->why);
        if (err == ERR_NONE) {
            struct sqlite_txn txn = txn_of(&reader->conn, false);
            err = run_job(&txn, job);
            roll_back(&reader->conn);
        }
        job->done(job, err);
    }
    return NULL;
}

static void sqlite_submit(struct store *base, enum store_access access, struct store_job *job)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    unsigned kind = access == STORE_WRITE ? BY_WRITE : BY_READ;
    metrics_add(METRIC_STORE_QUEUE, kind, 1);
    if (!job_queue_put(access == STORE_WRITE ? &store->writes : &store->reads, job)) {
        metrics_add(METRIC_STORE_QUEUE, kind, -1);
        why_set(&job->why, "the store is closing");
        job->done(job, ERR_UNAVAILABLE);
    }
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void stop_threads(struct sqlite_store *store)
{
    job_queue_close(&store->writes);
    job_queue_close(&store->reads);
    if (store->writer_started)
        pthread_join(store->writer_thread, NULL);
    for (unsigned i = 0; store->readers != NULL && i < store->options.readers; i++)
        if (store->readers[i].started)
            pthread_join(store->readers[i].thread, NULL);
    pthread_mutex_lock(&store->checkpoint_lock);
    store->checkpoint_stop = true;
    pthread_cond_signal(&store->checkpoint_changed);
    pthread_mutex_unlock(&store->checkpoint_lock);
    if (store->checkpoint_started)
        pthread_join(store->checkpoint_thread, NULL);
}

static void sqlite_close(struct store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    stop_threads(store);
    for (unsigned i = 0; store->readers != NULL && i < store->options.readers; i++)
        sqlite_conn_close(&store->readers[i].conn);
    sqlite_conn_close(&store->checkpointer);
    sqlite_conn_close(&store->writer);
    job_queue_done(&store->writes);
    job_queue_done(&store->reads);
    pthread_cond_destroy(&store->checkpoint_changed);
    pthread_mutex_destroy(&store->checkpoint_lock);
    if (store->lock_file >= 0)
        close(store->lock_file);
    mem_free(store->readers);
    mem_free(store->results);
    mem_free(store);
}

static enum err lock_directory(struct sqlite_store *store, struct why *why)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/lock", store->options.directory);
    store->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_file < 0)
        return fail(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, why, "%s: %s", path, strerror(errno));
    if (flock(store->lock_file, LOCK_EX | LOCK_NB) == 0)
        return ERR_NONE;
    if (errno != EWOULDBLOCK)
        return fail(ERR_IO, why, "%s: %s", path, strerror(errno));
    return fail(ERR_CONFLICT, why, "the data directory %s is in use by another gemel-hub",
        store->options.directory);
}

/* The file is made here, so that its mode (and with it that of the log) is not the umask's choice.
 */
static enum err find_file(const struct sqlite_options *options, struct why *why)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/" STORE_SQLITE_FILE, options->directory);
    int file = open(path, O_RDWR | O_CLOEXEC | (options->create ? O_CREAT : 0), 0600);
    if (file < 0 && errno == ENOENT)
        return fail(ERR_NOT_FOUND, why, "there is no database %s (gemel-hub init makes one)", path);
    if (file < 0)
        return fail(ERR_IO, why, "%s: %s", path, strerror(errno));
    struct stat status;
    bool empty = fstat(file, &status) == 0 && status.st_size == 0;
    close(file);
    /* SQLite would take it for a new database, and a server without its hubs would come up. */
    if (empty && !options->create)
        return fail(ERR_CORRUPT, why, "the database file is empty");
    return ERR_NONE;
}

/* A person has to do something about it, and reads of it here first. */
static void advise(const struct sqlite_options *options, enum err err, struct why *why)
{
    struct why what;
    if (err != ERR_CORRUPT)
        return;
    why_set(&what, "%s", why_text(why, err));
    why_set(why,
        "%s (%s/" STORE_SQLITE_FILE
        "): move the data directory aside and make it anew from a backup with 'gemel-hub restore'",
        what.text, options->directory);
}

static enum err limit_size(struct sqlite_store *store, struct why *why)
{
    if (store->options.max_bytes == 0)
        return ERR_NONE;
    char text[64];
    snprintf(text, sizeof(text), "PRAGMA max_page_count = %llu",
        (unsigned long long)(store->options.max_bytes / PAGE_BYTES));
    int code = sqlite3_exec(store->writer.db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? ERR_NONE : sqlite_error(store->writer.db, code, why);
}

static enum err open_connections(struct sqlite_store *store, struct why *why)
{
    const struct sqlite_options *options = &store->options;
    enum err err = sqlite_conn_open(&store->writer, options, true, why);
    if (err == ERR_NONE)
        err = sqlite_schema_update(&store->writer, why);
    if (err == ERR_NONE)
        err = limit_size(store, why);
    if (err == ERR_NONE)
        err = sqlite_conn_open(&store->checkpointer, options, false, why);
    for (unsigned i = 0; i < options->readers && err == ERR_NONE; i++) {
        store->readers[i].store = store;
        err = sqlite_conn_open(&store->readers[i].conn, options, false, why);
    }
    return err;
}

static enum err start_threads(struct sqlite_store *store, struct why *why)
{
    sqlite3_wal_hook(store->writer.db, on_commit, store);
    store->writer_started = pthread_create(&store->writer_thread, NULL, writer_main, store) == 0;
    store->checkpoint_started =
        pthread_create(&store->checkpoint_thread, NULL, checkpoint_main, store) == 0;
    bool all = store->writer_started && store->checkpoint_started;
    for (unsigned i = 0; i < store->options.readers; i++) {
        struct reader *reader = &store->readers[i];
        reader->started = pthread_create(&reader->thread, NULL, reader_main, reader) == 0;
        all = all && reader->started;
    }
    return all ? ERR_NONE : fail(ERR_MEMORY, why, "the store's threads cannot be started");
}

enum err store_open_sqlite(
    const struct sqlite_options *options, struct store **ret_store, struct why *why)
{
    must(options->directory != NULL && options->group_jobs > 0 && options->readers > 0);
    struct sqlite_store *store = mem_alloc(sizeof(*store));
    if (store == NULL)
        return fail(ERR_MEMORY, why, "no memory for the store");
    store->base.driver = &driver;
    store->options = *options;
    store->lock_file = -1;
    job_queue_init(&store->writes);
    job_queue_init(&store->reads);
    pthread_mutex_init(&store->checkpoint_lock, NULL);
    pthread_cond_init(&store->checkpoint_changed, NULL);
    store->results = mem_alloc(options->group_jobs * sizeof(*store->results));
    store->readers = mem_alloc(options->readers * sizeof(*store->readers));
    enum err err = store->results == NULL || store->readers == NULL
                       ? fail(ERR_MEMORY, why, "no memory for the store")
                       : ERR_NONE;
    if (err == ERR_NONE)
        err = lock_directory(store, why);
    if (err == ERR_NONE)
        err = find_file(options, why);
    if (err == ERR_NONE)
        err = open_connections(store, why);
    if (err == ERR_NONE)
        err = start_threads(store, why);
    if (err != ERR_NONE) {
        advise(options, err, why);
        sqlite_close(&store->base);
        return err;
    }
    store->options.directory = NULL; /* the caller's */
    *ret_store = &store->base;
    return ERR_NONE;
}

static const struct store_driver driver = {
    .name = "sqlite",
    .submit = sqlite_submit,
    .close = sqlite_close,
    .probe = sqlite_probe,
    .hub_list = sqlite_hub_list,
    .hub_put = sqlite_hub_put,
    .hub_delete = sqlite_hub_delete,
    .hub_day_get = sqlite_hub_day_get,
    .hub_day_put = sqlite_hub_day_put,
    .account_get = sqlite_account_get,
    .account_list = sqlite_account_list,
    .account_put = sqlite_account_put,
    .account_delete = sqlite_account_delete,
    .web_session_get = sqlite_web_session_get,
    .web_session_insert = sqlite_web_session_insert,
    .web_session_touch = sqlite_web_session_touch,
    .web_session_delete = sqlite_web_session_delete,
    .web_session_delete_user = sqlite_web_session_delete_user,
    .web_session_prune = sqlite_web_session_prune,
    .audit_append = sqlite_audit_append,
    .audit_read = sqlite_audit_read,
    .audit_prune = sqlite_audit_prune,
    .ca_get = sqlite_ca_get,
    .ca_list = sqlite_ca_list,
    .ca_put = sqlite_ca_put,
    .ca_delete = sqlite_ca_delete,
    .enrollment_get = sqlite_enrollment_get,
    .enrollment_put = sqlite_enrollment_put,
    .enrollment_delete = sqlite_enrollment_delete,
    .enrollment_count = sqlite_enrollment_count,
    .enrollment_list = sqlite_enrollment_list,
    .registration_get = sqlite_registration_get,
    .registration_put = sqlite_registration_put,
    .registration_delete = sqlite_registration_delete,
    .registration_list = sqlite_registration_list,
    .identity_get = sqlite_identity_get,
    .identity_insert = sqlite_identity_insert,
    .identity_update = sqlite_identity_update,
    .identity_delete = sqlite_identity_delete,
    .identity_list = sqlite_identity_list,
    .identity_count = sqlite_identity_count,
    .connection_put = sqlite_connection_put,
    .subscriptions_get = sqlite_subscriptions_get,
    .subscriptions_put = sqlite_subscriptions_put,
    .connection_reset = sqlite_connection_reset,
    .twin_get = sqlite_twin_get,
    .twin_put = sqlite_twin_put,
    .configuration_get = sqlite_configuration_get,
    .configuration_list = sqlite_configuration_list,
    .configuration_put = sqlite_configuration_put,
    .configuration_delete = sqlite_configuration_delete,
    .configuration_results = sqlite_configuration_results,
    .configuration_target = sqlite_configuration_target,
    .configuration_count = sqlite_configuration_count,
    .configuration_state = sqlite_configuration_state,
    .configuration_swept = sqlite_configuration_swept,
    .history_put = sqlite_history_put,
    .history_list = sqlite_history_list,
    .history_get = sqlite_history_get,
    .history_prune = sqlite_history_prune,
    .message_put = sqlite_message_put,
    .message_next = sqlite_message_next,
    .message_get = sqlite_message_get,
    .message_hold = sqlite_message_hold,
    .message_delete = sqlite_message_delete,
    .message_list = sqlite_message_list,
    .message_expired = sqlite_message_expired,
    .message_lapsed = sqlite_message_lapsed,
    .feedback_append = sqlite_feedback_append,
    .feedback_read = sqlite_feedback_read,
    .feedback_hold = sqlite_feedback_hold,
    .feedback_settle = sqlite_feedback_settle,
    .feedback_prune = sqlite_feedback_prune,
    .scheduled_put = sqlite_scheduled_put,
    .scheduled_get = sqlite_scheduled_get,
    .scheduled_find = sqlite_scheduled_find,
    .scheduled_update = sqlite_scheduled_update,
    .scheduled_list = sqlite_scheduled_list,
    .scheduled_open = sqlite_scheduled_open,
    .scheduled_count = sqlite_scheduled_count,
    .scheduled_prune = sqlite_scheduled_prune,
    .device_job_add = sqlite_device_job_add,
    .device_job_list = sqlite_device_job_list,
    .device_job_move = sqlite_device_job_move,
    .device_job_move_all = sqlite_device_job_move_all,
    .device_job_scan = sqlite_device_job_scan,
    .device_table = sqlite_device_table,
    .device_total = sqlite_device_total,
    .twin_scan = sqlite_twin_scan,
    .twin_count = sqlite_twin_count,
    .twin_facets = sqlite_twin_facets,
    .event_append = sqlite_event_append,
    .event_read = sqlite_event_read,
    .event_next = sqlite_event_next,
    .event_prune = sqlite_event_prune,
    .event_shrink = sqlite_event_shrink,
    .event_minutes = sqlite_event_minutes,
};
