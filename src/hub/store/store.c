/* SPDX-License-Identifier: Apache-2.0 */
#include "store_priv.h"

#include <pthread.h>

void store_submit(struct store *store, enum store_access access, struct store_job *job)
{
    must(job->run != NULL && job->done != NULL);
    job->next = NULL;
    job->why.text[0] = '\0';
    store->driver->submit(store, access, job);
}

void store_close(struct store *store)
{
    if (store != NULL)
        store->driver->close(store);
}

bool store_can_write(const struct store *store)
{
    return !store->cannot_write;
}

/* ---- a job that somebody waits for ----------------------------------------------------------- */

struct awaited_job {
    struct store_job job;
    struct store_job *inner;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool finished;
    enum err result;
};

static enum err awaited_run(struct store_job *job, struct store_txn *txn)
{
    struct awaited_job *awaited = (struct awaited_job *)job;
    return awaited->inner->run(awaited->inner, txn);
}

static void awaited_done(struct store_job *job, enum err result)
{
    struct awaited_job *awaited = (struct awaited_job *)job;
    pthread_mutex_lock(&awaited->lock);
    awaited->result = result;
    awaited->finished = true;
    pthread_cond_signal(&awaited->changed);
    pthread_mutex_unlock(&awaited->lock);
}

enum err store_run(struct store *store, enum store_access access, struct store_job *job)
{
    struct awaited_job awaited = {
        .job = {.run = awaited_run, .done = awaited_done},
        .inner = job,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
    };
    store_submit(store, access, &awaited.job);
    pthread_mutex_lock(&awaited.lock);
    while (!awaited.finished)
        pthread_cond_wait(&awaited.changed, &awaited.lock);
    pthread_mutex_unlock(&awaited.lock);
    pthread_cond_destroy(&awaited.changed);
    pthread_mutex_destroy(&awaited.lock);
    job->why = awaited.job.why;
    return awaited.result;
}

/* ---- the typed functions --------------------------------------------------------------------- */

enum err store_probe(struct store_txn *txn)
{
    must(txn->writable);
    return txn->driver->probe(txn);
}

enum err store_hub_list(
    struct store_txn *txn, struct arena *arena, struct hub_record **ret_hubs, size_t *ret_count)
{
    return txn->driver->hub_list(txn, arena, ret_hubs, ret_count);
}

enum err store_hub_put(struct store_txn *txn, const struct hub_record *hub, int64_t *ret_id)
{
    must(txn->writable);
    return txn->driver->hub_put(txn, hub, ret_id);
}

enum err store_hub_delete(struct store_txn *txn, int64_t hub_id)
{
    must(txn->writable);
    return txn->driver->hub_delete(txn, hub_id);
}

enum err store_hub_day_get(struct store_txn *txn, int64_t hub_id, struct hub_day *ret_day)
{
    return txn->driver->hub_day_get(txn, hub_id, ret_day);
}

enum err store_hub_day_put(struct store_txn *txn, int64_t hub_id, const struct hub_day *day)
{
    must(txn->writable);
    return txn->driver->hub_day_put(txn, hub_id, day);
}

enum err store_account_get(
    struct store_txn *txn, struct arena *arena, struct span user, struct account *ret_account)
{
    return txn->driver->account_get(txn, arena, user, ret_account);
}

enum err store_account_list(
    struct store_txn *txn, struct arena *arena, struct account **ret_accounts, size_t *ret_count)
{
    return txn->driver->account_list(txn, arena, ret_accounts, ret_count);
}

enum err store_account_put(struct store_txn *txn, const struct account *account)
{
    must(txn->writable);
    return txn->driver->account_put(txn, account);
}

enum err store_account_delete(struct store_txn *txn, struct span user)
{
    must(txn->writable);
    return txn->driver->account_delete(txn, user);
}

enum err store_web_session_get(struct store_txn *txn, struct arena *arena, struct span token_hash,
    struct web_session *ret_session)
{
    return txn->driver->web_session_get(txn, arena, token_hash, ret_session);
}

enum err store_web_session_insert(
    struct store_txn *txn, const struct web_session *session, size_t keep)
{
    must(txn->writable && keep > 0 && session->token_hash.len > 0);
    return txn->driver->web_session_insert(txn, session, keep);
}

enum err store_web_session_touch(struct store_txn *txn, struct span token_hash, int64_t used_us)
{
    must(txn->writable);
    return txn->driver->web_session_touch(txn, token_hash, used_us);
}

enum err store_web_session_delete(struct store_txn *txn, struct span token_hash)
{
    must(txn->writable);
    return txn->driver->web_session_delete(txn, token_hash);
}

enum err store_web_session_delete_user(
    struct store_txn *txn, struct span user, struct span but_token_hash)
{
    must(txn->writable);
    return txn->driver->web_session_delete_user(txn, user, but_token_hash);
}

enum err store_web_session_prune(
    struct store_txn *txn, int64_t created_before_us, int64_t used_before_us)
{
    must(txn->writable);
    return txn->driver->web_session_prune(txn, created_before_us, used_before_us);
}

enum err store_audit_append(struct store_txn *txn, const struct audit_entry *entry)
{
    must(txn->writable);
    return txn->driver->audit_append(txn, entry);
}

enum err store_audit_read(struct store_txn *txn, const struct audit_range *range,
    audit_visitor *visit, void *self, uint64_t *ret_before)
{
    return txn->driver->audit_read(txn, range, visit, self, ret_before);
}

enum err store_audit_prune(
    struct store_txn *txn, int64_t before_us, uint64_t keep, size_t limit, size_t *ret_dropped)
{
    must(txn->writable);
    return txn->driver->audit_prune(txn, before_us, keep, limit, ret_dropped);
}

enum err store_ca_get(struct store_txn *txn, struct arena *arena, int64_t hub_id, struct span name,
    struct ca_certificate *ret_certificate)
{
    return txn->driver->ca_get(txn, arena, hub_id, name, ret_certificate);
}

enum err store_ca_list(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct ca_certificate **ret_certificates, size_t *ret_count)
{
    return txn->driver->ca_list(txn, arena, hub_id, ret_certificates, ret_count);
}

enum err store_ca_put(
    struct store_txn *txn, int64_t hub_id, const struct ca_certificate *certificate)
{
    must(txn->writable);
    return txn->driver->ca_put(txn, hub_id, certificate);
}

enum err store_ca_delete(struct store_txn *txn, int64_t hub_id, struct span name)
{
    must(txn->writable);
    return txn->driver->ca_delete(txn, hub_id, name);
}

enum err store_enrollment_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    enum enrollment_kind kind, struct span id, struct enrollment *ret_enrollment)
{
    return txn->driver->enrollment_get(txn, arena, hub_id, kind, id, ret_enrollment);
}

enum err store_enrollment_put(
    struct store_txn *txn, int64_t hub_id, const struct enrollment *enrollment)
{
    must(txn->writable);
    return txn->driver->enrollment_put(txn, hub_id, enrollment);
}

enum err store_enrollment_delete(
    struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, struct span id)
{
    must(txn->writable);
    return txn->driver->enrollment_delete(txn, hub_id, kind, id);
}

enum err store_enrollment_count(
    struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, size_t *ret_count)
{
    return txn->driver->enrollment_count(txn, hub_id, kind, ret_count);
}

enum err store_enrollment_list(struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind,
    struct span after, size_t limit, enrollment_visitor *visit, void *self)
{
    return txn->driver->enrollment_list(txn, hub_id, kind, after, limit, visit, self);
}

enum err store_registration_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span id, struct registration *ret_registration)
{
    return txn->driver->registration_get(txn, arena, hub_id, id, ret_registration);
}

enum err store_registration_put(
    struct store_txn *txn, int64_t hub_id, const struct registration *registration)
{
    must(txn->writable);
    return txn->driver->registration_put(txn, hub_id, registration);
}

enum err store_registration_delete(struct store_txn *txn, int64_t hub_id, struct span id)
{
    must(txn->writable);
    return txn->driver->registration_delete(txn, hub_id, id);
}

enum err store_registration_list(struct store_txn *txn, int64_t hub_id, struct span group_id,
    struct span after, size_t limit, registration_visitor *visit, void *self)
{
    return txn->driver->registration_list(txn, hub_id, group_id, after, limit, visit, self);
}

enum err store_identity_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct identity *ret_identity)
{
    return txn->driver->identity_get(txn, arena, hub_id, device_id, module_id, ret_identity);
}

enum err store_identity_insert(
    struct store_txn *txn, int64_t hub_id, const struct identity *identity)
{
    must(txn->writable && identity->device_id.len > 0);
    return txn->driver->identity_insert(txn, hub_id, identity);
}

enum err store_identity_update(
    struct store_txn *txn, int64_t hub_id, const struct identity *identity)
{
    must(txn->writable);
    return txn->driver->identity_update(txn, hub_id, identity);
}

enum err store_identity_delete(
    struct store_txn *txn, int64_t hub_id, struct span device_id, struct span module_id)
{
    must(txn->writable);
    return txn->driver->identity_delete(txn, hub_id, device_id, module_id);
}

enum err store_identity_list(struct store_txn *txn, int64_t hub_id,
    const struct identity_range *range, identity_visitor *visit, void *self)
{
    return txn->driver->identity_list(txn, hub_id, range, visit, self);
}

enum err store_identity_count(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct identity_counts *ret_counts)
{
    return txn->driver->identity_count(txn, hub_id, device_id, ret_counts);
}

enum err store_connection_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint64_t session, bool connected, struct span model_id, int64_t now_us)
{
    must(txn->writable && session <= INT64_MAX);
    return txn->driver->connection_put(
        txn, hub_id, device_id, module_id, session, connected, model_id, now_us);
}

enum err store_subscriptions_get(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint32_t *ret_filters)
{
    return txn->driver->subscriptions_get(txn, hub_id, device_id, module_id, ret_filters);
}

enum err store_subscriptions_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint32_t filters)
{
    must(txn->writable);
    return txn->driver->subscriptions_put(txn, hub_id, device_id, module_id, filters);
}

enum err store_connection_reset(struct store_txn *txn, int64_t now_us)
{
    must(txn->writable);
    return txn->driver->connection_reset(txn, now_us);
}

enum err store_twin_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct twin_doc *ret_twin)
{
    return txn->driver->twin_get(txn, arena, hub_id, device_id, module_id, ret_twin);
}

enum err store_twin_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct twin_doc *twin, int64_t expected_version)
{
    must(txn->writable);
    return txn->driver->twin_put(txn, hub_id, device_id, module_id, twin, expected_version);
}

enum err store_configuration_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span id, struct configuration *ret_configuration)
{
    return txn->driver->configuration_get(txn, arena, hub_id, id, ret_configuration);
}

enum err store_configuration_list(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct configuration **ret_configurations, size_t *ret_count)
{
    return txn->driver->configuration_list(txn, arena, hub_id, ret_configurations, ret_count);
}

enum err store_configuration_put(
    struct store_txn *txn, int64_t hub_id, const struct configuration *configuration)
{
    must(txn->writable);
    return txn->driver->configuration_put(txn, hub_id, configuration);
}

enum err store_configuration_delete(struct store_txn *txn, int64_t hub_id, struct span id)
{
    must(txn->writable);
    return txn->driver->configuration_delete(txn, hub_id, id);
}

enum err store_configuration_results(
    struct store_txn *txn, int64_t hub_id, struct span id, struct span results)
{
    must(txn->writable);
    return txn->driver->configuration_results(txn, hub_id, id, results);
}

enum err store_configuration_target(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, struct span configurations)
{
    must(txn->writable);
    return txn->driver->configuration_target(txn, hub_id, device_id, module_id, configurations);
}

enum err store_configuration_count(struct store_txn *txn, int64_t hub_id, struct span id,
    struct configuration_targets *ret_targets)
{
    return txn->driver->configuration_count(txn, hub_id, id, ret_targets);
}

enum err store_configuration_state(
    struct store_txn *txn, int64_t hub_id, struct configuration_state *ret_state)
{
    return txn->driver->configuration_state(txn, hub_id, ret_state);
}

enum err store_configuration_swept(struct store_txn *txn, int64_t hub_id, int64_t revision)
{
    must(txn->writable);
    return txn->driver->configuration_swept(txn, hub_id, revision);
}

enum err store_history_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct history_entry *entry, size_t keep)
{
    must(txn->writable && keep > 0);
    return txn->driver->history_put(txn, hub_id, device_id, module_id, entry, keep);
}

enum err store_history_list(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, int64_t before, size_t limit, history_visitor *visit, void *self)
{
    return txn->driver->history_list(txn, hub_id, device_id, module_id, before, limit, visit, self);
}

enum err store_history_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, int64_t id, struct history_entry *ret_entry)
{
    return txn->driver->history_get(txn, arena, hub_id, device_id, module_id, id, ret_entry);
}

enum err store_history_prune(
    struct store_txn *txn, int64_t after, int64_t before_us, size_t limit, int64_t *ret_next)
{
    must(txn->writable && limit > 0);
    return txn->driver->history_prune(txn, after, before_us, limit, ret_next);
}

enum err store_device_table(struct store_txn *txn, int64_t hub_id, const struct device_range *range,
    struct span state_of, device_visitor *visit, void *self)
{
    must((unsigned)range->sort < TABLE_SORT_COUNT);
    return txn->driver->device_table(txn, hub_id, range, state_of, visit, self);
}

enum err store_device_total(
    struct store_txn *txn, int64_t hub_id, const struct device_range *range, uint64_t *ret_total)
{
    return txn->driver->device_total(txn, hub_id, range, ret_total);
}

enum err store_twin_scan(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    identity_visitor *visit, void *self)
{
    return txn->driver->twin_scan(txn, hub_id, scan, visit, self);
}

enum err store_twin_count(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    bool *ret_known, uint64_t *ret_count)
{
    return txn->driver->twin_count(txn, hub_id, scan, ret_known, ret_count);
}

enum err store_twin_facets(struct store_txn *txn, int64_t hub_id, bool modules, enum scan_kind kind,
    struct span name, struct span module, facet_visitor *visit, void *self)
{
    return txn->driver->twin_facets(txn, hub_id, modules, kind, name, module, visit, self);
}

enum err store_event_append(
    struct store_txn *txn, int64_t hub_id, const struct event *event, uint64_t *ret_sequence)
{
    must(txn->writable && (unsigned)event->source < EVENT_SOURCES);
    return txn->driver->event_append(txn, hub_id, event, ret_sequence);
}

enum err store_event_read(struct store_txn *txn, int64_t hub_id, const struct event_range *range,
    event_visitor *visit, void *self, uint64_t *ret_next)
{
    return txn->driver->event_read(txn, hub_id, range, visit, self, ret_next);
}

enum err store_event_next(struct store_txn *txn, int64_t hub_id, uint64_t *ret_next)
{
    return txn->driver->event_next(txn, hub_id, ret_next);
}

enum err store_event_prune(
    struct store_txn *txn, int64_t hub_id, int64_t before_us, size_t limit, size_t *ret_dropped)
{
    must(txn->writable);
    return txn->driver->event_prune(txn, hub_id, before_us, limit, ret_dropped);
}

enum err store_event_shrink(
    struct store_txn *txn, int64_t hub_id, uint64_t max_bytes, size_t limit, size_t *ret_dropped)
{
    must(txn->writable && max_bytes <= INT64_MAX);
    return txn->driver->event_shrink(txn, hub_id, max_bytes, limit, ret_dropped);
}

enum err store_event_minutes(
    struct store_txn *txn, int64_t hub_id, int64_t first, size_t count, uint64_t *ret_events)
{
    return txn->driver->event_minutes(txn, hub_id, first, count, ret_events);
}

enum err store_message_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct message *message, size_t most, uint64_t *ret_sequence)
{
    must(txn->writable && message->expires_us > 0);
    return txn->driver->message_put(txn, hub_id, device_id, module_id, message, most, ret_sequence);
}

enum err store_message_next(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, int64_t now_us, struct message *ret_message)
{
    return txn->driver->message_next(txn, arena, hub_id, device_id, module_id, now_us, ret_message);
}

enum err store_message_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, uint64_t sequence, struct message *ret_message)
{
    return txn->driver->message_get(
        txn, arena, hub_id, device_id, module_id, sequence, ret_message);
}

enum err store_message_hold(struct store_txn *txn, const struct message *message)
{
    must(txn->writable);
    return txn->driver->message_hold(txn, message);
}

enum err store_message_delete(struct store_txn *txn, uint64_t sequence)
{
    must(txn->writable);
    return txn->driver->message_delete(txn, sequence);
}

enum err store_message_list(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, message_visitor *visit, void *self)
{
    return txn->driver->message_list(txn, hub_id, device_id, module_id, visit, self);
}

enum err store_message_expired(
    struct store_txn *txn, int64_t now_us, size_t limit, message_visitor *visit, void *self)
{
    return txn->driver->message_expired(txn, now_us, limit, visit, self);
}

enum err store_message_lapsed(
    struct store_txn *txn, int64_t now_us, size_t limit, message_visitor *visit, void *self)
{
    return txn->driver->message_lapsed(txn, now_us, limit, visit, self);
}

enum err store_feedback_append(
    struct store_txn *txn, int64_t hub_id, const struct feedback *feedback)
{
    must(txn->writable);
    return txn->driver->feedback_append(txn, hub_id, feedback);
}

enum err store_feedback_read(struct store_txn *txn, int64_t hub_id, uint64_t after, size_t limit,
    feedback_visitor *visit, void *self)
{
    return txn->driver->feedback_read(txn, hub_id, after, limit, visit, self);
}

enum err store_feedback_hold(struct store_txn *txn, const struct feedback_lock *lock,
    int64_t now_us, size_t limit, feedback_visitor *visit, void *self)
{
    must(txn->writable && lock->number > 0 && lock->number <= INT64_MAX);
    return txn->driver->feedback_hold(txn, lock, now_us, limit, visit, self);
}

enum err store_feedback_settle(
    struct store_txn *txn, const struct feedback_lock *lock, int64_t now_us)
{
    must(txn->writable);
    return txn->driver->feedback_settle(txn, lock, now_us);
}

enum err store_feedback_prune(
    struct store_txn *txn, int64_t before_us, size_t limit, size_t *ret_dropped)
{
    must(txn->writable);
    return txn->driver->feedback_prune(txn, before_us, limit, ret_dropped);
}

enum err store_scheduled_put(
    struct store_txn *txn, const struct scheduled_job *job, int64_t *ret_id)
{
    must(txn->writable);
    return txn->driver->scheduled_put(txn, job, ret_id);
}

enum err store_scheduled_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span name, struct scheduled_job *ret_job)
{
    return txn->driver->scheduled_get(txn, arena, hub_id, name, ret_job);
}

enum err store_scheduled_find(struct store_txn *txn, struct arena *arena, int64_t id,
    bool with_document, struct scheduled_job *ret_job)
{
    return txn->driver->scheduled_find(txn, arena, id, with_document, ret_job);
}

enum err store_scheduled_update(struct store_txn *txn, const struct scheduled_job *job)
{
    must(txn->writable);
    return txn->driver->scheduled_update(txn, job);
}

enum err store_scheduled_list(struct store_txn *txn, int64_t hub_id,
    const struct scheduled_range *range, scheduled_visitor *visit, void *self)
{
    return txn->driver->scheduled_list(txn, hub_id, range, visit, self);
}

enum err store_scheduled_open(struct store_txn *txn, scheduled_visitor *visit, void *self)
{
    return txn->driver->scheduled_open(txn, visit, self);
}

enum err store_scheduled_count(
    struct store_txn *txn, int64_t hub_id, struct scheduled_totals *ret_totals)
{
    return txn->driver->scheduled_count(txn, hub_id, ret_totals);
}

enum err store_scheduled_prune(struct store_txn *txn, int64_t hub_id,
    const struct scheduled_keep *keep, size_t limit, size_t *ret_dropped)
{
    must(txn->writable);
    return txn->driver->scheduled_prune(txn, hub_id, keep, limit, ret_dropped);
}

enum err store_device_job_add(struct store_txn *txn, int64_t hub_id, int64_t job_id,
    struct span device_id, struct span module_id, int64_t now_us)
{
    must(txn->writable);
    return txn->driver->device_job_add(txn, hub_id, job_id, device_id, module_id, now_us);
}

enum err store_device_job_list(struct store_txn *txn, struct arena *arena, int64_t job_id,
    enum device_job_status status, size_t limit, struct device_job **ret_jobs, size_t *ret_count)
{
    return txn->driver->device_job_list(txn, arena, job_id, status, limit, ret_jobs, ret_count);
}

enum err store_device_job_move(
    struct store_txn *txn, const struct device_job *job, enum device_job_status from)
{
    must(txn->writable);
    return txn->driver->device_job_move(txn, job, from);
}

enum err store_device_job_move_all(struct store_txn *txn, const struct device_job *to,
    enum device_job_status from, size_t limit, size_t *ret_moved)
{
    must(txn->writable);
    return txn->driver->device_job_move_all(txn, to, from, limit, ret_moved);
}

enum err store_device_job_scan(struct store_txn *txn, int64_t hub_id,
    const struct device_job_range *range, device_job_visitor *visit, void *self)
{
    return txn->driver->device_job_scan(txn, hub_id, range, visit, self);
}
