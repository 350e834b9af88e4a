/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the SQLite store. A connection belongs to one thread at a time and keeps its prepared
 * statements. A query borrows one: parameters are bound, and columns read, one after the other:
 *
 *   AUTO(query_done) struct query query = query_open(txn, SQL_TWIN_GET);
 *   query_put_int(&query, hub_id);
 *   enum err err = query_row(&query);       a row | ERR_NOT_FOUND | a failure
 *   version = query_int(&query);
 *
 * Failures of the medium go into the why of the transaction.
 */
#ifndef GEMEL_SQLITE_PRIV_H
#define GEMEL_SQLITE_PRIV_H

#include "store_priv.h"
#include "store_sqlite.h"

#include <sqlite3.h>

enum sql {
#define SQL(name, text) SQL_##name,
#include "sqlite_sql.def"
#undef SQL
    SQL_COUNT
};

struct sqlite_conn {
    sqlite3 *db;
    sqlite3_stmt *prepared[SQL_COUNT];
};

struct sqlite_txn {
    struct store_txn base;
    struct sqlite_conn *conn;
    bool wrote; /* the running job changed something */
    /* What the transaction's events move in the counters of one hub, written once for all of them;
     * hub 0: none. */
    struct {
        int64_t hub_id;
        uint64_t next;
        int64_t bytes;
    } events;
};

/* Writes that; to be called before the transaction commits. */
enum err sqlite_event_flush(struct store_txn *txn);

/* Opens a connection with this store's settings. */
enum err sqlite_conn_open(struct sqlite_conn *conn, const struct sqlite_options *options,
    bool writer, struct why *why) MUST_USE;
void sqlite_conn_close(struct sqlite_conn *conn);

/* Runs a statement that has no parameters and no rows. */
enum err sqlite_conn_run(struct sqlite_conn *conn, enum sql sql, struct why *why) MUST_USE;

/* Turns a result code of SQLite's into ours, with a sentence. */
enum err sqlite_error(sqlite3 *db, int code, struct why *why);

/* Brings an open database up to the newest step. */
enum err sqlite_schema_update(struct sqlite_conn *conn, struct why *why) MUST_USE;

struct query {
    struct sqlite_txn *txn;
    sqlite3_stmt *stmt;
    bool own; /* the cached one was in use: this is another */
    int code; /* the first failure, in SQLite's terms */
    int parameter;
    int column;
};

struct query query_open(struct store_txn *txn, enum sql sql);
void query_done(struct query *query);

void query_put_int(struct query *query, int64_t value);
void query_put_text(struct query *query, struct span text);
void query_put_bytes(struct query *query, struct span bytes);

/* Steps to the next row; ERR_NOT_FOUND behind the last. */
enum err query_row(struct query *query) MUST_USE;

/* Runs a statement that changes rows; `ret_changed` may be NULL. */
enum err query_change(struct query *query, int64_t *ret_changed) MUST_USE;

int64_t query_int(struct query *query);
/* Borrows the column until the next row. */
struct span query_span(struct query *query);
/* Copies the column; false: no memory. */
bool query_copy(struct query *query, struct arena *arena, struct span *ret_text) MUST_USE;

/* The functions of the driver, by the file that holds them. */
enum err sqlite_hub_list(
    struct store_txn *txn, struct arena *arena, struct hub_record **ret_hubs, size_t *ret_count);
enum err sqlite_hub_put(struct store_txn *txn, const struct hub_record *hub, int64_t *ret_id);
enum err sqlite_hub_delete(struct store_txn *txn, int64_t hub_id);
enum err sqlite_hub_day_get(struct store_txn *txn, int64_t hub_id, struct hub_day *ret_day);
enum err sqlite_hub_day_put(struct store_txn *txn, int64_t hub_id, const struct hub_day *day);
enum err sqlite_account_get(
    struct store_txn *txn, struct arena *arena, struct span user, struct account *ret_account);
enum err sqlite_account_list(
    struct store_txn *txn, struct arena *arena, struct account **ret_accounts, size_t *ret_count);
enum err sqlite_account_put(struct store_txn *txn, const struct account *account);
enum err sqlite_account_delete(struct store_txn *txn, struct span user);

enum err sqlite_web_session_get(struct store_txn *txn, struct arena *arena, struct span token_hash,
    struct web_session *ret_session);
enum err sqlite_web_session_insert(
    struct store_txn *txn, const struct web_session *session, size_t keep);
enum err sqlite_web_session_touch(struct store_txn *txn, struct span token_hash, int64_t used_us);
enum err sqlite_web_session_delete(struct store_txn *txn, struct span token_hash);
enum err sqlite_web_session_delete_user(
    struct store_txn *txn, struct span user, struct span but_token_hash);
enum err sqlite_web_session_prune(
    struct store_txn *txn, int64_t created_before_us, int64_t used_before_us);

enum err sqlite_audit_append(struct store_txn *txn, const struct audit_entry *entry);
enum err sqlite_audit_read(struct store_txn *txn, const struct audit_range *range,
    audit_visitor *visit, void *self, uint64_t *ret_before);
enum err sqlite_audit_prune(
    struct store_txn *txn, int64_t before_us, uint64_t keep, size_t limit, size_t *ret_dropped);

enum err sqlite_ca_get(struct store_txn *txn, struct arena *arena, int64_t hub_id, struct span name,
    struct ca_certificate *ret_certificate);
enum err sqlite_ca_list(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct ca_certificate **ret_certificates, size_t *ret_count);
enum err sqlite_ca_put(
    struct store_txn *txn, int64_t hub_id, const struct ca_certificate *certificate);
enum err sqlite_ca_delete(struct store_txn *txn, int64_t hub_id, struct span name);

enum err sqlite_enrollment_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    enum enrollment_kind kind, struct span id, struct enrollment *ret_enrollment);
enum err sqlite_enrollment_put(
    struct store_txn *txn, int64_t hub_id, const struct enrollment *enrollment);
enum err sqlite_enrollment_delete(
    struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, struct span id);
enum err sqlite_enrollment_count(
    struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, size_t *ret_count);
enum err sqlite_enrollment_list(struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind,
    struct span after, size_t limit, enrollment_visitor *visit, void *self);
enum err sqlite_registration_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span id, struct registration *ret_registration);
enum err sqlite_registration_put(
    struct store_txn *txn, int64_t hub_id, const struct registration *registration);
enum err sqlite_registration_delete(struct store_txn *txn, int64_t hub_id, struct span id);
enum err sqlite_registration_list(struct store_txn *txn, int64_t hub_id, struct span group_id,
    struct span after, size_t limit, registration_visitor *visit, void *self);

enum err sqlite_identity_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct identity *ret_identity);
enum err sqlite_identity_insert(
    struct store_txn *txn, int64_t hub_id, const struct identity *identity);
enum err sqlite_identity_update(
    struct store_txn *txn, int64_t hub_id, const struct identity *identity);
enum err sqlite_identity_delete(
    struct store_txn *txn, int64_t hub_id, struct span device_id, struct span module_id);
/* In the order of IDENTITY_COLUMNS; texts are borrowed until the next row. */
void sqlite_read_identity(struct query *query, struct identity *ret_identity);
enum err sqlite_identity_list(struct store_txn *txn, int64_t hub_id,
    const struct identity_range *range, identity_visitor *visit, void *self);
enum err sqlite_identity_count(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct identity_counts *ret_counts);
enum err sqlite_connection_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint64_t session, bool connected, struct span model_id, int64_t now_us);
enum err sqlite_subscriptions_get(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint32_t *ret_filters);
enum err sqlite_subscriptions_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint32_t filters);
enum err sqlite_connection_reset(struct store_txn *txn, int64_t now_us);

enum err sqlite_twin_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct twin_doc *ret_twin);
enum err sqlite_twin_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct twin_doc *twin, int64_t expected_version);
/* The twin of an identity by its row number, for TWIN_OF or TWIN_VALUES_OF; ERR_NOT_FOUND. Borrowed
 * from `query`. */
enum err sqlite_twin_of(struct query *query, int64_t identity, struct twin_doc *ret_twin);

enum err sqlite_configuration_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span id, struct configuration *ret_configuration);
enum err sqlite_configuration_list(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct configuration **ret_configurations, size_t *ret_count);
enum err sqlite_configuration_put(
    struct store_txn *txn, int64_t hub_id, const struct configuration *configuration);
enum err sqlite_configuration_delete(struct store_txn *txn, int64_t hub_id, struct span id);
enum err sqlite_configuration_results(
    struct store_txn *txn, int64_t hub_id, struct span id, struct span results);
enum err sqlite_configuration_target(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, struct span configurations);
enum err sqlite_configuration_count(struct store_txn *txn, int64_t hub_id, struct span id,
    struct configuration_targets *ret_targets);
enum err sqlite_configuration_state(
    struct store_txn *txn, int64_t hub_id, struct configuration_state *ret_state);
enum err sqlite_configuration_swept(struct store_txn *txn, int64_t hub_id, int64_t revision);

enum err sqlite_history_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct history_entry *entry, size_t keep);
enum err sqlite_history_list(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, int64_t before, size_t limit, history_visitor *visit, void *self);
enum err sqlite_history_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, int64_t id, struct history_entry *ret_entry);
enum err sqlite_history_prune(
    struct store_txn *txn, int64_t after, int64_t before_us, size_t limit, int64_t *ret_next);

enum err sqlite_message_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct message *message, size_t most, uint64_t *ret_sequence);
enum err sqlite_message_next(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, int64_t now_us, struct message *ret_message);
enum err sqlite_message_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, uint64_t sequence, struct message *ret_message);
enum err sqlite_message_hold(struct store_txn *txn, const struct message *message);
enum err sqlite_message_delete(struct store_txn *txn, uint64_t sequence);
enum err sqlite_message_list(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, message_visitor *visit, void *self);
enum err sqlite_message_expired(
    struct store_txn *txn, int64_t now_us, size_t limit, message_visitor *visit, void *self);
enum err sqlite_message_lapsed(
    struct store_txn *txn, int64_t now_us, size_t limit, message_visitor *visit, void *self);
enum err sqlite_feedback_append(
    struct store_txn *txn, int64_t hub_id, const struct feedback *feedback);
enum err sqlite_feedback_read(struct store_txn *txn, int64_t hub_id, uint64_t after, size_t limit,
    feedback_visitor *visit, void *self);
enum err sqlite_feedback_hold(struct store_txn *txn, const struct feedback_lock *lock,
    int64_t now_us, size_t limit, feedback_visitor *visit, void *self);
enum err sqlite_feedback_settle(
    struct store_txn *txn, const struct feedback_lock *lock, int64_t now_us);
enum err sqlite_feedback_prune(
    struct store_txn *txn, int64_t before_us, size_t limit, size_t *ret_dropped);

enum err sqlite_scheduled_put(
    struct store_txn *txn, const struct scheduled_job *job, int64_t *ret_id);
enum err sqlite_scheduled_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span name, struct scheduled_job *ret_job);
enum err sqlite_scheduled_find(struct store_txn *txn, struct arena *arena, int64_t id,
    bool with_document, struct scheduled_job *ret_job);
enum err sqlite_scheduled_update(struct store_txn *txn, const struct scheduled_job *job);
enum err sqlite_scheduled_list(struct store_txn *txn, int64_t hub_id,
    const struct scheduled_range *range, scheduled_visitor *visit, void *self);
enum err sqlite_scheduled_open(struct store_txn *txn, scheduled_visitor *visit, void *self);
enum err sqlite_scheduled_count(
    struct store_txn *txn, int64_t hub_id, struct scheduled_totals *ret_totals);
enum err sqlite_scheduled_prune(struct store_txn *txn, int64_t hub_id,
    const struct scheduled_keep *keep, size_t limit, size_t *ret_dropped);
enum err sqlite_device_job_add(struct store_txn *txn, int64_t hub_id, int64_t job_id,
    struct span device_id, struct span module_id, int64_t now_us);
enum err sqlite_device_job_list(struct store_txn *txn, struct arena *arena, int64_t job_id,
    enum device_job_status status, size_t limit, struct device_job **ret_jobs, size_t *ret_count);
enum err sqlite_device_job_move(
    struct store_txn *txn, const struct device_job *job, enum device_job_status from);
enum err sqlite_device_job_move_all(struct store_txn *txn, const struct device_job *to,
    enum device_job_status from, size_t limit, size_t *ret_moved);
enum err sqlite_device_job_scan(struct store_txn *txn, int64_t hub_id,
    const struct device_job_range *range, device_job_visitor *visit, void *self);

enum err sqlite_device_table(struct store_txn *txn, int64_t hub_id,
    const struct device_range *range, struct span state_of, device_visitor *visit, void *self);
enum err sqlite_device_total(
    struct store_txn *txn, int64_t hub_id, const struct device_range *range, uint64_t *ret_total);

enum err sqlite_twin_scan(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    identity_visitor *visit, void *self);
enum err sqlite_twin_count(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    bool *ret_known, uint64_t *ret_count);
enum err sqlite_twin_facets(struct store_txn *txn, int64_t hub_id, bool modules,
    enum scan_kind kind, struct span name, struct span module, facet_visitor *visit, void *self);
/* What an entry's text in the index of tags says; false: of no form that it has. */
bool sqlite_tag_parse(struct span value, struct tag_value *ret_tag) MUST_USE;

/*
 * sqlite_walk.c: walks through the ids that a term takes, in their order. Several walks make one:
 * each says what it has next from a place on, and all go on from the furthest.
 */
struct walk;

struct walk_range {
    bool modules;
    struct span from; /* the walk begins here */
    struct span from_module;
    struct span below; /* device ids below this */
};

struct walk_key {
    struct span device_id;
    struct span module_id;
    int64_t identity; /* the row's number */
};

/* NULL: no memory. `module` is the one name of modules, or empty. What is given must live as long
 * as the walk, which lives in the arena. */
struct walk *sqlite_walk_new(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    const struct scan_term *term, const struct walk_range *range, struct span module) MUST_USE;
void sqlite_walk_done(struct walk *walk);
/* The next; ERR_NOT_FOUND behind the last. What it says lives until the next call. */
enum err sqlite_walk_next(struct walk *walk, struct walk_key *ret_key) MUST_USE;

/* What one index answers of a term: how it is asked. */
struct scan_question {
    enum sql list;
    enum sql count;
    enum sql facets;
};

/* NULL: no index knows such terms. */
const struct scan_question *sqlite_scan_question(enum scan_kind kind, bool modules);
/* Puts ?1 to ?8 of the questions, as far as the one that is asked has them. */
enum err sqlite_scan_put(struct query *query, int64_t hub_id, const struct scan_term *term,
    const struct walk_range *range, struct span module, struct buf *tag, size_t limit) MUST_USE;

/* sqlite_tag.c: the index of tags. */
enum err sqlite_tag_format(struct buf *out, const struct tag_value *tag) MUST_USE;
/* Puts the tags of an identity, all of them, in place of those that it had. */
enum err sqlite_tag_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, struct span tags) MUST_USE;
/* Those of every identity: for the schema step that makes the index. */
enum err sqlite_tag_fill(struct store_txn *txn) MUST_USE;

enum err sqlite_event_append(
    struct store_txn *txn, int64_t hub_id, const struct event *event, uint64_t *ret_sequence);
enum err sqlite_event_read(struct store_txn *txn, int64_t hub_id, const struct event_range *range,
    event_visitor *visit, void *self, uint64_t *ret_next);
enum err sqlite_event_next(struct store_txn *txn, int64_t hub_id, uint64_t *ret_next);
enum err sqlite_event_prune(
    struct store_txn *txn, int64_t hub_id, int64_t before_us, size_t limit, size_t *ret_dropped);

enum err sqlite_event_shrink(
    struct store_txn *txn, int64_t hub_id, uint64_t max_bytes, size_t limit, size_t *ret_dropped);
enum err sqlite_event_minutes(
    struct store_txn *txn, int64_t hub_id, int64_t first, size_t count, uint64_t *ret_events);

#endif
