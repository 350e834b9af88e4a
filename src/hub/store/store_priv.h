/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a storage backend must offer. A driver embeds `struct store` and `struct store_txn` as the
 * first member of its own, and fills one const `struct store_driver`; every function is required
 * and keeps the contract of its namesake in store.h. The front (store.c) checks what all drivers
 * would check alike: that only write jobs write.
 */
#ifndef GEMEL_STORE_PRIV_H
#define GEMEL_STORE_PRIV_H

#include "store_scan.h"
#include "store_scheduled.h"

#include <stdatomic.h>

struct store_driver {
    const char *name;
    void (*submit)(struct store *store, enum store_access access, struct store_job *job);
    void (*close)(struct store *store);

    enum err (*probe)(struct store_txn *txn);

    enum err (*hub_list)(struct store_txn *txn, struct arena *arena, struct hub_record **ret_hubs,
        size_t *ret_count);
    enum err (*hub_put)(struct store_txn *txn, const struct hub_record *hub, int64_t *ret_id);
    enum err (*hub_delete)(struct store_txn *txn, int64_t hub_id);
    enum err (*hub_day_get)(struct store_txn *txn, int64_t hub_id, struct hub_day *ret_day);
    enum err (*hub_day_put)(struct store_txn *txn, int64_t hub_id, const struct hub_day *day);

    enum err (*account_get)(
        struct store_txn *txn, struct arena *arena, struct span user, struct account *ret_account);
    enum err (*account_list)(struct store_txn *txn, struct arena *arena,
        struct account **ret_accounts, size_t *ret_count);
    enum err (*account_put)(struct store_txn *txn, const struct account *account);
    enum err (*account_delete)(struct store_txn *txn, struct span user);

    enum err (*web_session_get)(struct store_txn *txn, struct arena *arena, struct span token_hash,
        struct web_session *ret_session);
    enum err (*web_session_insert)(
        struct store_txn *txn, const struct web_session *session, size_t keep);
    enum err (*web_session_touch)(struct store_txn *txn, struct span token_hash, int64_t used_us);
    enum err (*web_session_delete)(struct store_txn *txn, struct span token_hash);
    enum err (*web_session_delete_user)(
        struct store_txn *txn, struct span user, struct span but_token_hash);
    enum err (*web_session_prune)(
        struct store_txn *txn, int64_t created_before_us, int64_t used_before_us);

    enum err (*audit_append)(struct store_txn *txn, const struct audit_entry *entry);
    enum err (*audit_read)(struct store_txn *txn, const struct audit_range *range,
        audit_visitor *visit, void *self, uint64_t *ret_before);
    enum err (*audit_prune)(
        struct store_txn *txn, int64_t before_us, uint64_t keep, size_t limit, size_t *ret_dropped);

    enum err (*ca_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id, struct span name,
        struct ca_certificate *ret_certificate);
    enum err (*ca_list)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct ca_certificate **ret_certificates, size_t *ret_count);
    enum err (*ca_put)(
        struct store_txn *txn, int64_t hub_id, const struct ca_certificate *certificate);
    enum err (*ca_delete)(struct store_txn *txn, int64_t hub_id, struct span name);

    enum err (*enrollment_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        enum enrollment_kind kind, struct span id, struct enrollment *ret_enrollment);
    enum err (*enrollment_put)(
        struct store_txn *txn, int64_t hub_id, const struct enrollment *enrollment);
    enum err (*enrollment_delete)(
        struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, struct span id);
    enum err (*enrollment_count)(
        struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, size_t *ret_count);
    enum err (*enrollment_list)(struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind,
        struct span after, size_t limit, enrollment_visitor *visit, void *self);
    enum err (*registration_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct span id, struct registration *ret_registration);
    enum err (*registration_put)(
        struct store_txn *txn, int64_t hub_id, const struct registration *registration);
    enum err (*registration_delete)(struct store_txn *txn, int64_t hub_id, struct span id);
    enum err (*registration_list)(struct store_txn *txn, int64_t hub_id, struct span group_id,
        struct span after, size_t limit, registration_visitor *visit, void *self);

    enum err (*identity_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct span device_id, struct span module_id, struct identity *ret_identity);
    enum err (*identity_insert)(
        struct store_txn *txn, int64_t hub_id, const struct identity *identity);
    enum err (*identity_update)(
        struct store_txn *txn, int64_t hub_id, const struct identity *identity);
    enum err (*identity_delete)(
        struct store_txn *txn, int64_t hub_id, struct span device_id, struct span module_id);
    enum err (*identity_list)(struct store_txn *txn, int64_t hub_id,
        const struct identity_range *range, identity_visitor *visit, void *self);
    enum err (*identity_count)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct identity_counts *ret_counts);

    enum err (*connection_put)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, uint64_t session, bool connected, struct span model_id,
        int64_t now_us);
    enum err (*subscriptions_get)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, uint32_t *ret_filters);
    enum err (*subscriptions_put)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, uint32_t filters);
    enum err (*connection_reset)(struct store_txn *txn, int64_t now_us);

    enum err (*twin_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct span device_id, struct span module_id, struct twin_doc *ret_twin);
    enum err (*twin_put)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, const struct twin_doc *twin, int64_t expected_version);

    enum err (*configuration_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct span id, struct configuration *ret_configuration);
    enum err (*configuration_list)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct configuration **ret_configurations, size_t *ret_count);
    enum err (*configuration_put)(
        struct store_txn *txn, int64_t hub_id, const struct configuration *configuration);
    enum err (*configuration_delete)(struct store_txn *txn, int64_t hub_id, struct span id);
    enum err (*configuration_results)(
        struct store_txn *txn, int64_t hub_id, struct span id, struct span results);
    enum err (*configuration_target)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, struct span configurations);
    enum err (*configuration_count)(struct store_txn *txn, int64_t hub_id, struct span id,
        struct configuration_targets *ret_targets);
    enum err (*configuration_state)(
        struct store_txn *txn, int64_t hub_id, struct configuration_state *ret_state);
    enum err (*configuration_swept)(struct store_txn *txn, int64_t hub_id, int64_t revision);

    enum err (*history_put)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, const struct history_entry *entry, size_t keep);
    enum err (*history_list)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, int64_t before, size_t limit, history_visitor *visit, void *self);
    enum err (*history_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct span device_id, struct span module_id, int64_t id, struct history_entry *ret_entry);
    enum err (*history_prune)(
        struct store_txn *txn, int64_t after, int64_t before_us, size_t limit, int64_t *ret_next);

    enum err (*message_put)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, const struct message *message, size_t most, uint64_t *ret_sequence);
    enum err (*message_next)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct span device_id, struct span module_id, int64_t now_us, struct message *ret_message);
    enum err (*message_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct span device_id, struct span module_id, uint64_t sequence,
        struct message *ret_message);
    enum err (*message_hold)(struct store_txn *txn, const struct message *message);
    enum err (*message_delete)(struct store_txn *txn, uint64_t sequence);
    enum err (*message_list)(struct store_txn *txn, int64_t hub_id, struct span device_id,
        struct span module_id, message_visitor *visit, void *self);
    enum err (*message_expired)(
        struct store_txn *txn, int64_t now_us, size_t limit, message_visitor *visit, void *self);
    enum err (*message_lapsed)(
        struct store_txn *txn, int64_t now_us, size_t limit, message_visitor *visit, void *self);
    enum err (*feedback_append)(
        struct store_txn *txn, int64_t hub_id, const struct feedback *feedback);
    enum err (*feedback_read)(struct store_txn *txn, int64_t hub_id, uint64_t after, size_t limit,
        feedback_visitor *visit, void *self);
    enum err (*feedback_hold)(struct store_txn *txn, const struct feedback_lock *lock,
        int64_t now_us, size_t limit, feedback_visitor *visit, void *self);
    enum err (*feedback_settle)(
        struct store_txn *txn, const struct feedback_lock *lock, int64_t now_us);
    enum err (*feedback_prune)(
        struct store_txn *txn, int64_t before_us, size_t limit, size_t *ret_dropped);

    enum err (*scheduled_put)(
        struct store_txn *txn, const struct scheduled_job *job, int64_t *ret_id);
    enum err (*scheduled_get)(struct store_txn *txn, struct arena *arena, int64_t hub_id,
        struct span name, struct scheduled_job *ret_job);
    enum err (*scheduled_find)(struct store_txn *txn, struct arena *arena, int64_t id,
        bool with_document, struct scheduled_job *ret_job);
    enum err (*scheduled_update)(struct store_txn *txn, const struct scheduled_job *job);
    enum err (*scheduled_list)(struct store_txn *txn, int64_t hub_id,
        const struct scheduled_range *range, scheduled_visitor *visit, void *self);
    enum err (*scheduled_open)(struct store_txn *txn, scheduled_visitor *visit, void *self);
    enum err (*scheduled_count)(
        struct store_txn *txn, int64_t hub_id, struct scheduled_totals *ret_totals);
    enum err (*scheduled_prune)(struct store_txn *txn, int64_t hub_id,
        const struct scheduled_keep *keep, size_t limit, size_t *ret_dropped);
    enum err (*device_job_add)(struct store_txn *txn, int64_t hub_id, int64_t job_id,
        struct span device_id, struct span module_id, int64_t now_us);
    enum err (*device_job_list)(struct store_txn *txn, struct arena *arena, int64_t job_id,
        enum device_job_status status, size_t limit, struct device_job **ret_jobs,
        size_t *ret_count);
    enum err (*device_job_move)(
        struct store_txn *txn, const struct device_job *job, enum device_job_status from);
    enum err (*device_job_move_all)(struct store_txn *txn, const struct device_job *to,
        enum device_job_status from, size_t limit, size_t *ret_moved);
    enum err (*device_job_scan)(struct store_txn *txn, int64_t hub_id,
        const struct device_job_range *range, device_job_visitor *visit, void *self);

    enum err (*device_table)(struct store_txn *txn, int64_t hub_id,
        const struct device_range *range, struct span state_of, device_visitor *visit, void *self);
    enum err (*device_total)(struct store_txn *txn, int64_t hub_id,
        const struct device_range *range, uint64_t *ret_total);

    enum err (*twin_scan)(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
        identity_visitor *visit, void *self);
    enum err (*twin_count)(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
        bool *ret_known, uint64_t *ret_count);
    enum err (*twin_facets)(struct store_txn *txn, int64_t hub_id, bool modules,
        enum scan_kind kind, struct span name, struct span module, facet_visitor *visit,
        void *self);

    enum err (*event_append)(
        struct store_txn *txn, int64_t hub_id, const struct event *event, uint64_t *ret_sequence);
    enum err (*event_read)(struct store_txn *txn, int64_t hub_id, const struct event_range *range,
        event_visitor *visit, void *self, uint64_t *ret_next);
    enum err (*event_next)(struct store_txn *txn, int64_t hub_id, uint64_t *ret_next);
    enum err (*event_prune)(struct store_txn *txn, int64_t hub_id, int64_t before_us, size_t limit,
        size_t *ret_dropped);
    enum err (*event_shrink)(struct store_txn *txn, int64_t hub_id, uint64_t max_bytes,
        size_t limit, size_t *ret_dropped);
    enum err (*event_minutes)(
        struct store_txn *txn, int64_t hub_id, int64_t first, size_t count, uint64_t *ret_events);
};

struct store {
    const struct store_driver *driver;
    atomic_bool cannot_write; /* kept by the driver: the last transaction was not taken */
};

struct store_txn {
    const struct store_driver *driver;
    struct why *why; /* of the job that runs: where a function says more about its error */
    bool writable;
};

#endif
