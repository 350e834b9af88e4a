/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: what must survive. Its users hand in jobs; a job's run() sees a transaction and calls
 * the typed functions below; its done() is called when the outcome is durable.
 *
 *   store_submit(WRITE) -> queue -> [ run, run, run … ] -> one commit -> done, done, done …
 *   store_submit(READ)  -> pool  ->   run -> done            (never waits for a writer)
 *
 * Many waiting writes share one commit (group commit), in the order in which they were submitted;
 * done() comes in that order too. run() checks everything before its first write and returns an
 * error without having written, so that one bad job does not hurt its neighbours; it may be run
 * more than once (after a rollback of the group, or a lost race in a backend with many writers) and
 * must set its results afresh each time. run() and done() are called on the store's threads and
 * must not block on anything else.
 *
 * Every record and text that a function returns lives in the arena that it was given.
 * Failures of the medium are ERR_IO, ERR_STORAGE_FULL, ERR_CORRUPT; the job's why says more.
 */
#ifndef GEMEL_STORE_H
#define GEMEL_STORE_H

#include "mem.h"
#include "store_message.h"
#include "twin.h"

struct store;
struct store_txn;

enum store_access { STORE_READ, STORE_WRITE };

struct store_job {
    enum err (*run)(struct store_job *job, struct store_txn *txn);
    void (*done)(struct store_job *job, enum err result); /* may free the job */
    struct why why;
    struct store_job *next; /* the store's own */
};

/* Queues a job; any thread. After store_close() began, done() gets ERR_UNAVAILABLE at once. */
void store_submit(struct store *store, enum store_access access, struct store_job *job);

/* Runs one job and waits for it, without calling its done(): for start-up and offline commands
 * only. */
enum err store_run(struct store *store, enum store_access access, struct store_job *job) MUST_USE;

/* Whether the medium took the last transaction that wrote. Any thread. */
bool store_can_write(const struct store *store);

/* Writes something that nobody reads: whether the medium takes it. */
enum err store_probe(struct store_txn *txn) MUST_USE;

/* Finishes what is queued, stops the threads, closes. NULL is fine. */
void store_close(struct store *store);

/* ---- hubs, host names, policies ------------------------------------------------------------ */

enum right {
    RIGHT_REGISTRY_READ = 1,
    RIGHT_REGISTRY_WRITE = 2,
    RIGHT_SERVICE_CONNECT = 4,
    RIGHT_DEVICE_CONNECT = 8,
};

struct policy {
    struct span name;
    struct span primary_key;   /* base64 text */
    struct span secondary_key; /* base64 text */
    unsigned rights;           /* of enum right */
};

struct hub_record {
    int64_t id;
    struct span name;
    struct span id_scope; /* by which devices that provision mean it; the store makes it */
    int64_t created_us;
    struct span *host_names; /* lower case, no port; the first is the one that is shown */
    size_t host_name_count;
    struct policy *policies;
    size_t policy_count;
};

enum err store_hub_list(struct store_txn *txn, struct arena *arena, struct hub_record **ret_hubs,
    size_t *ret_count) MUST_USE;
/* Makes a hub (id 0) or replaces one with its names and policies (ERR_NOT_FOUND). ERR_CONFLICT if
 * the name or one of the host names is taken; `why` of the job says which. */
enum err store_hub_put(
    struct store_txn *txn, const struct hub_record *hub, int64_t *ret_id) MUST_USE;
enum err store_hub_delete(struct store_txn *txn, int64_t hub_id) MUST_USE; /* with all it holds */

/* The messages of a hub's last day that had any, as far as somebody counted them: 0 of day 0. */
struct hub_day {
    int64_t day; /* since 1970, UTC */
    uint64_t messages;
};

/* ERR_NOT_FOUND: no such hub. */
enum err store_hub_day_get(struct store_txn *txn, int64_t hub_id, struct hub_day *ret_day) MUST_USE;
enum err store_hub_day_put(
    struct store_txn *txn, int64_t hub_id, const struct hub_day *day) MUST_USE;

/* ---- accounts of the server: the people who use the portal, and its administrators ---------- */

/* Each may what those before it may, and more. */
enum role { ROLE_NONE, ROLE_READER, ROLE_OPERATOR, ROLE_ADMINISTRATOR };

#define GRANT_EVERY_HUB 0

struct grant {
    int64_t hub_id; /* GRANT_EVERY_HUB: every hub, and the server itself */
    enum role role;
};

struct account {
    struct span user;
    struct span password_hash; /* Argon2id, encoded form */
    struct grant *grants;      /* at most one a hub; they go with their hub */
    size_t grant_count;
    bool must_change; /* the password is the one-time one */
    bool disabled;
};

enum err store_account_get(struct store_txn *txn, struct arena *arena, struct span user,
    struct account *ret_account) MUST_USE; /* ERR_NOT_FOUND */
/* All of them, by name. */
enum err store_account_list(struct store_txn *txn, struct arena *arena,
    struct account **ret_accounts, size_t *ret_count) MUST_USE;
/* Makes an account or replaces one with its grants, whose hubs must exist. */
enum err store_account_put(struct store_txn *txn, const struct account *account) MUST_USE;
/* With its grants and sessions; ERR_NOT_FOUND. */
enum err store_account_delete(struct store_txn *txn, struct span user) MUST_USE;

/* ---- web sessions: who is signed in to the portal ------------------------------------------- */

/* The token itself is never stored. */
struct web_session {
    struct span token_hash; /* SHA-256, 32 bytes */
    struct span user;       /* of an account that exists */
    int64_t created_us;
    int64_t used_us; /* about when it was last used */
    struct span address;
    struct span agent; /* what the browser calls itself */
};

enum err store_web_session_get(struct store_txn *txn, struct arena *arena, struct span token_hash,
    struct web_session *ret_session) MUST_USE; /* ERR_NOT_FOUND */
/* Adds one, and drops the user's oldest beyond `keep`. */
enum err store_web_session_insert(
    struct store_txn *txn, const struct web_session *session, size_t keep) MUST_USE;
enum err store_web_session_touch(
    struct store_txn *txn, struct span token_hash, int64_t used_us) MUST_USE;
enum err store_web_session_delete(struct store_txn *txn, struct span token_hash) MUST_USE;
/* All of a user but the one with this token (empty: all). */
enum err store_web_session_delete_user(
    struct store_txn *txn, struct span user, struct span but_token_hash) MUST_USE;
/* Drops those made, or last used, before these times. */
enum err store_web_session_prune(
    struct store_txn *txn, int64_t created_before_us, int64_t used_before_us) MUST_USE;

/* ---- the audit log: who changed what -------------------------------------------------------- */

struct audit_entry {
    uint64_t id; /* given by the store: grows */
    int64_t time_us;
    struct span user;    /* an account, or the policy of a token */
    struct span origin;  /* "portal" | "rest" | "cli" | … */
    struct span address; /* from where */
    struct span hub;     /* its name; empty: the server itself */
    struct span action;
    struct span target;
    struct span outcome;
    struct span detail; /* JSON object text */
};

enum err store_audit_append(struct store_txn *txn, const struct audit_entry *entry) MUST_USE;

struct audit_range {
    struct span search; /* part of any text, without regard to the case of ASCII letters */
    struct span user;   /* exactly; empty: any */
    struct span hub;    /* without regard to case; empty: any */
    int64_t since_us;
    int64_t until_us; /* not this time itself */
    uint64_t before;  /* only entries behind this one; UINT64_MAX: from the newest */
    size_t limit;
    size_t limit_bytes; /* ends behind the entry that passes it */
};

typedef enum err audit_visitor(void *self, const struct audit_entry *entry);

/* Walks from the newest to the oldest; `*ret_before` is where a later read goes on, 0 at the end.
 * One call looks at a bounded number of entries: it may give none although there are more. */
enum err store_audit_read(struct store_txn *txn, const struct audit_range *range,
    audit_visitor *visit, void *self, uint64_t *ret_before) MUST_USE;
/* Drops entries from before this time, and those behind the newest `keep` (0: any), of each at most
 * `limit`. */
enum err store_audit_prune(struct store_txn *txn, int64_t before_us, uint64_t keep, size_t limit,
    size_t *ret_dropped) MUST_USE;

/* ---- certificates of authorities: whose devices a hub believes ------------------------------- */

struct ca_certificate {
    struct span name;        /* of the hub's list, exactly */
    struct span certificate; /* DER */
    uint64_t etag;
    int64_t created_us;
    int64_t updated_us;
};

enum err store_ca_get(struct store_txn *txn, struct arena *arena, int64_t hub_id, struct span name,
    struct ca_certificate *ret_certificate) MUST_USE; /* ERR_NOT_FOUND */
/* All of a hub, by name. */
enum err store_ca_list(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct ca_certificate **ret_certificates, size_t *ret_count) MUST_USE;
/* Adds or replaces one. */
enum err store_ca_put(
    struct store_txn *txn, int64_t hub_id, const struct ca_certificate *certificate) MUST_USE;
enum err store_ca_delete(
    struct store_txn *txn, int64_t hub_id, struct span name) MUST_USE; /* ERR_NOT_FOUND */

/* ---- provisioning: what may become a device, and what did -------------------------------------
 */

enum enrollment_kind { ENROLLMENT_INDIVIDUAL, ENROLLMENT_GROUP };

struct enrollment {
    enum enrollment_kind kind;
    struct span id;       /* in lower case: it is compared without regard to case */
    struct span document; /* JSON object text, the caller's; holds secrets */
    uint64_t etag;
    int64_t created_us;
    int64_t updated_us;
};

enum err store_enrollment_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    enum enrollment_kind kind, struct span id,
    struct enrollment *ret_enrollment) MUST_USE; /* ERR_NOT_FOUND */
/* Adds or replaces one. */
enum err store_enrollment_put(
    struct store_txn *txn, int64_t hub_id, const struct enrollment *enrollment) MUST_USE;
enum err store_enrollment_delete(struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind,
    struct span id) MUST_USE; /* ERR_NOT_FOUND */
enum err store_enrollment_count(
    struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, size_t *ret_count) MUST_USE;

typedef enum err enrollment_visitor(void *self, const struct enrollment *enrollment);

/* Walks those behind `after` (empty: from the first), by id. What the visitor is given lives for
 * the call; its error ends the walk and is returned. */
enum err store_enrollment_list(struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind,
    struct span after, size_t limit, enrollment_visitor *visit, void *self) MUST_USE;

/* A device that came by an enrollment. Goes with the device. */
struct registration {
    struct span id;       /* in lower case */
    struct span group_id; /* of its enrollment group, in lower case; empty: an individual one */
    struct span device_id;
    struct span operation_id;
    uint64_t etag;
    int64_t created_us;
    int64_t updated_us;
};

enum err store_registration_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span id, struct registration *ret_registration) MUST_USE; /* ERR_NOT_FOUND */
/* Adds or replaces one, of a device that exists (ERR_NOT_FOUND). */
enum err store_registration_put(
    struct store_txn *txn, int64_t hub_id, const struct registration *registration) MUST_USE;
enum err store_registration_delete(
    struct store_txn *txn, int64_t hub_id, struct span id) MUST_USE; /* ERR_NOT_FOUND */

typedef enum err registration_visitor(void *self, const struct registration *registration);

/* Walks those of a group behind `after`, by id. */
enum err store_registration_list(struct store_txn *txn, int64_t hub_id, struct span group_id,
    struct span after, size_t limit, registration_visitor *visit, void *self) MUST_USE;

/* ---- identities: devices and modules -------------------------------------------------------- */

enum auth_type { AUTH_SAS, AUTH_SELF_SIGNED, AUTH_CERTIFICATE_AUTHORITY, AUTH_NONE };

struct identity {
    struct span device_id;
    struct span module_id; /* empty: the device itself */
    uint64_t generation;   /* new at every creation */
    uint64_t etag;         /* new at every change of the identity */
    bool enabled;
    struct span status_reason; /* empty: none */
    int64_t status_updated_us;
    bool connected;
    int64_t connection_updated_us;
    int64_t last_activity_us;
    enum auth_type auth;
    struct span primary_key; /* base64 text; empty unless AUTH_SAS */
    struct span secondary_key;
    struct span primary_thumbprint; /* hex; empty: none */
    struct span secondary_thumbprint;
    struct span managed_by; /* modules; empty: none */
    bool iot_edge;
    struct span device_scope;  /* empty: none */
    struct span parent_scopes; /* JSON array text; empty: none */
    struct span model_id;      /* empty: none */
    uint64_t messages;         /* how many cloud-to-device messages wait; only read */
};

/* ERR_NOT_FOUND; an empty module id asks for the device. */
enum err store_identity_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct identity *ret_identity) MUST_USE;
/* Inserts (ERR_CONFLICT if there is one) or replaces all but connection state and activity. */
enum err store_identity_insert(
    struct store_txn *txn, int64_t hub_id, const struct identity *identity) MUST_USE;
enum err store_identity_update(
    struct store_txn *txn, int64_t hub_id, const struct identity *identity) MUST_USE;
/* Deletes an identity and its twin; a device with its modules. ERR_NOT_FOUND. */
enum err store_identity_delete(
    struct store_txn *txn, int64_t hub_id, struct span device_id, struct span module_id) MUST_USE;

typedef enum err identity_visitor(void *self, const struct identity *identity,
    const struct twin_doc *twin /* NULL unless asked for */);

struct identity_range {
    bool modules;          /* modules instead of devices */
    struct span device_id; /* modules: of this device; empty: of all devices */
    /* Only what stands behind this: a device id, or the module id in the list of one device; in the
     * list of all modules the pair of device id and `after_module`. Empty: from the first. */
    struct span after;
    struct span after_module;
    size_t limit;
    bool with_twins;
};

/* Calls the visitor for each, in bytewise order of the ids; what it is given lives for the call. A
 * visitor's error ends the walk and is returned. */
enum err store_identity_list(struct store_txn *txn, int64_t hub_id,
    const struct identity_range *range, identity_visitor *visit, void *self) MUST_USE;

struct identity_counts {
    uint64_t devices;
    uint64_t enabled_devices;
    uint64_t modules_of_device; /* of the device asked about */
    uint64_t connected_devices;
    uint64_t modules;         /* of all devices */
    uint64_t success_modules; /* of these, with "latest_state" "success" in reported */
    uint64_t failed_modules;  /* likewise "failed" */
};

/* Counts; `device_id` may be empty. Constant time but for the modules of one device. */
enum err store_identity_count(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct identity_counts *ret_counts) MUST_USE;

/*
 * Notes that a client came or went. A session number belongs to one connection and grows: "came" of
 * a session older than the identity's current one, and "went" of any but the current one, change
 * nothing. An empty model id keeps the one there is. ERR_NOT_FOUND.
 */
enum err store_connection_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint64_t session, bool connected, struct span model_id,
    int64_t now_us) MUST_USE;
/*
 * What an identity that keeps its MQTT session (CleanSession 0) is subscribed to: a set of bits
 * that are the caller's; 0: nothing. Gone with the identity. ERR_NOT_FOUND from put: no such
 * identity.
 */
enum err store_subscriptions_get(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint32_t *ret_filters) MUST_USE;
enum err store_subscriptions_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, uint32_t filters) MUST_USE;
/* Marks every identity as disconnected: at the start of a server that is alone on its store. */
enum err store_connection_reset(struct store_txn *txn, int64_t now_us) MUST_USE;

/* ---- twins ---------------------------------------------------------------------------------- */

/* ERR_NOT_FOUND. */
enum err store_twin_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct twin_doc *ret_twin) MUST_USE;
/* Writes the twin if its version is still `expected_version` (0: there must be none yet);
 * ERR_PRECONDITION if not, after which the job is run again by the store where it can happen. */
enum err store_twin_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct twin_doc *twin, int64_t expected_version) MUST_USE;

/* ---- configurations: what the hub itself puts into twins ------------------------------------- */

struct configuration {
    struct span id;
    struct span document; /* JSON object text, the caller's */
    struct span results;  /* likewise: of its metrics; empty: none yet */
    uint64_t etag;
    int64_t created_us;
    int64_t updated_us;
};

enum err store_configuration_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span id, struct configuration *ret_configuration) MUST_USE; /* ERR_NOT_FOUND */
/* All of a hub, by id. */
enum err store_configuration_list(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct configuration **ret_configurations, size_t *ret_count) MUST_USE;
/* Adds one, or replaces all but the time of its creation. */
enum err store_configuration_put(
    struct store_txn *txn, int64_t hub_id, const struct configuration *configuration) MUST_USE;
enum err store_configuration_delete(
    struct store_txn *txn, int64_t hub_id, struct span id) MUST_USE; /* ERR_NOT_FOUND */
/* Writes results alone; nothing if there is no such configuration. */
enum err store_configuration_results(
    struct store_txn *txn, int64_t hub_id, struct span id, struct span results) MUST_USE;

/* Notes for the counts whose target a twin is: what its "configurations" says, as of a
 * store_twin_put in the same job. ERR_NOT_FOUND: there is no such identity. */
enum err store_configuration_target(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, struct span configurations) MUST_USE;

struct configuration_targets {
    uint64_t targeted; /* twins of which it was noted */
    uint64_t applied;  /* of these, with the status "Applied" */
};

enum err store_configuration_count(struct store_txn *txn, int64_t hub_id, struct span id,
    struct configuration_targets *ret_targets) MUST_USE;

/* How far the twins of a hub are behind its configurations. */
struct configuration_state {
    int64_t revision; /* grows with every put and delete of one */
    int64_t swept;    /* the revision as of which every twin was looked at */
    size_t count;     /* of configurations */
};

enum err store_configuration_state(struct store_txn *txn, int64_t hub_id,
    struct configuration_state *ret_state) MUST_USE; /* ERR_NOT_FOUND: no such hub */
enum err store_configuration_swept(
    struct store_txn *txn, int64_t hub_id, int64_t revision) MUST_USE;

/* ---- the history of twins: what the service side changed ------------------------------------ */

enum history_kind { HISTORY_CREATE, HISTORY_PATCH, HISTORY_REPLACE, HISTORY_REVERT };

struct history_entry {
    int64_t id; /* given by the store: 1, 2, 3 … for each identity, never used twice */
    int64_t time_us;
    enum history_kind kind;
    bool tags_changed;
    bool desired_changed;
    struct span author;  /* of a policy, or a user */
    struct span from;    /* "portal", "rest", "cli" */
    struct span address; /* of the peer */
    int64_t desired_version;
    struct span tags;    /* JSON text, as it was afterwards */
    struct span desired; /* likewise, without metadata */
};

/* Adds an entry and drops, now or with one of the next, what is older than the newest `keep` of
 * that identity: at most an eighth more stay. Entries go with their identity. ERR_NOT_FOUND: there
 * is no such identity. */
enum err store_history_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct history_entry *entry, size_t keep) MUST_USE;

typedef enum err history_visitor(void *self, const struct history_entry *entry);

/* Walks from the newest entry below `before` (0: from the newest of all) to older ones, without
 * their documents. */
enum err store_history_list(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, int64_t before, size_t limit, history_visitor *visit,
    void *self) MUST_USE;
/* ERR_NOT_FOUND. */
enum err store_history_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, int64_t id,
    struct history_entry *ret_entry) MUST_USE;
/*
 * Looks at `limit` entries of all hubs from the place `after` on (0: the first) and drops those
 * from before `before_us`, but never the newest of an identity. `*ret_next` is where a later call
 * goes on; 0: it was the last.
 */
enum err store_history_prune(struct store_txn *txn, int64_t after, int64_t before_us, size_t limit,
    int64_t *ret_next) MUST_USE;

/* ---- the table of devices ------------------------------------------------------------------- */

enum table_sort {
    TABLE_BY_DEVICE_ID,
    TABLE_BY_STATUS, /* disabled before enabled */
    TABLE_BY_CONNECTION,
    TABLE_BY_ACTIVITY,
    TABLE_SORT_COUNT
};

struct device_range {
    struct span part; /* of the device id, without regard to case; empty: any */
    bool with_status; /* only those that are `enabled`, or are not */
    bool enabled;
    bool with_connection;
    bool connected;
    enum table_sort sort; /* and by device id among equals */
    bool descending;
    struct span after; /* only what comes behind this device; empty: from the first */
    int64_t after_key; /* its device_row.key */
    size_t limit;
};

struct device_row {
    struct span device_id;
    bool enabled;
    bool connected;
    int64_t last_activity_us;
    enum auth_type auth;
    uint64_t modules;
    int64_t key;              /* of the order asked for */
    struct span latest_state; /* as its module `state_of` reports it; or empty */
};

typedef enum err device_visitor(void *self, const struct device_row *row);

/* Walks a page of devices; what the visitor is given lives for the call. */
enum err store_device_table(struct store_txn *txn, int64_t hub_id, const struct device_range *range,
    struct span state_of, device_visitor *visit, void *self) MUST_USE;
/* Counts what all pages together hold: at once, unless `part` or both filters are given. */
enum err store_device_total(struct store_txn *txn, int64_t hub_id, const struct device_range *range,
    uint64_t *ret_total) MUST_USE;

/* ---- the event log -------------------------------------------------------------------------- */

/* Who made an event; the numbers stand in the database. */
enum event_source {
    EVENT_TELEMETRY, /* a client */
    EVENT_LIFECYCLE, /* the others: the hub itself */
    EVENT_TWIN,
    EVENT_CONNECTION,
    EVENT_FEEDBACK,
    EVENT_SOURCES
};

struct event {
    uint64_t sequence; /* given by the store: grows, never used twice in a hub */
    int64_t enqueued_us;
    enum event_source source;
    struct span device_id;
    struct span module_id;         /* empty: the device itself */
    struct span system_properties; /* JSON object text */
    struct span properties;        /* JSON object text */
    struct span body;              /* any bytes */
};

enum err store_event_append(struct store_txn *txn, int64_t hub_id, const struct event *event,
    uint64_t *ret_sequence) MUST_USE;

typedef enum err event_visitor(void *self, const struct event *event);

struct event_range {
    uint64_t from;         /* the first sequence number of interest */
    struct span device_id; /* empty: any */
    struct span module_id; /* empty: any */
    unsigned sources;      /* a set of 1 << enum event_source; 0: all */
    size_t limit;
    size_t limit_bytes; /* ends behind the event that passes it */
};

/* Walks in order of sequence; `*ret_next` is where a later read goes on. One call looks at a
 * bounded number of events, so it may give none although there are more that match: that is only so
 * while
 * `*ret_next` is below store_event_next(). */
enum err store_event_read(struct store_txn *txn, int64_t hub_id, const struct event_range *range,
    event_visitor *visit, void *self, uint64_t *ret_next) MUST_USE;
/* The number that the next event will at least have. */
enum err store_event_next(struct store_txn *txn, int64_t hub_id, uint64_t *ret_next) MUST_USE;
/* Drops events enqueued before `before_us`, at most `limit`. */
enum err store_event_prune(struct store_txn *txn, int64_t hub_id, int64_t before_us, size_t limit,
    size_t *ret_dropped) MUST_USE;

/* Drops the oldest events, at most `limit`, until what is left is no more than `max_bytes`. */
enum err store_event_shrink(struct store_txn *txn, int64_t hub_id, uint64_t max_bytes, size_t limit,
    size_t *ret_dropped) MUST_USE;

/* How many events of clients came in each of `count` minutes from minute `first` (since 1970) on.
 * Kept as long as events are. */
enum err store_event_minutes(struct store_txn *txn, int64_t hub_id, int64_t first, size_t count,
    uint64_t *ret_events) MUST_USE;

#endif
