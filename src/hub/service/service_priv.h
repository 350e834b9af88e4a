/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the service. A REST call on its way:
 *
 *   rest.c: path -> operation, host -> hub, token -> rights      (caller's thread)
 *           operation->prepare: reads the body                   (caller's thread)
 *    or, for accounts (access.c has the drawing): cookie or password -> account -> role
 *           operation->run: the transaction; writes the response (store's thread)
 *           effects: what others must hear, after the commit     (store's thread, commit order)
 *           reply
 *
 * run() may run more than once: it sets its response and its effects afresh each time.
 */
#ifndef GEMEL_SERVICE_PRIV_H
#define GEMEL_SERVICE_PRIV_H

#include "service.h"

#include "host.h"
#include "password_pool.h"
#include "sas.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- hubs.c: the hubs in memory ------------------------------------------------------------- */

struct hub_table; /* what was read in one transaction; never changes */

struct hub_cache {
    pthread_rwlock_t lock;
    struct hub_table *table;
};

/* Reads all hubs. The table belongs to the caller until it is put into the cache. */
enum err hub_table_read(struct store_txn *txn, struct hub_table **ret_table) MUST_USE;
void hub_table_free(struct hub_table *table);

void hub_cache_init(struct hub_cache *cache);
void hub_cache_done(struct hub_cache *cache);
void hub_cache_put(struct hub_cache *cache, struct hub_table *table); /* takes it */

/* Borrow the table between these two; nothing in between may wait. */
const struct hub_table *hub_cache_lock(struct hub_cache *cache);
void hub_cache_unlock(struct hub_cache *cache);

const struct hub_record *hub_find_by_host(const struct hub_table *table, struct span host);
const struct hub_record *hub_find_by_scope(const struct hub_table *table, struct span id_scope);
const struct hub_record *hub_find_by_name(const struct hub_table *table, struct span name);
const struct hub_record *hub_at(const struct hub_table *table, size_t index); /* NULL: no more */
/* The host names of all hubs, in the arena. ERR_MEMORY. */
enum err hub_all_names(const struct hub_table *table, struct arena *arena,
    const struct span **ret_names, size_t *ret_count) MUST_USE;
/* Has the certificate cover them and waits; that it cannot is the keeper's to tell. ERR_MEMORY. */
enum err hubs_cover_and_wait(struct service *service) MUST_USE;
bool hub_has_host(const struct hub_record *hub, struct span normal_host);

/* ---- auth.c: who asks, and may he ----------------------------------------------------------- */

/*
 * Judges a token against a hub: time, host, resource ("" stands for the whole hub). With a policy's
 * name also the signature, and gives the policy's rights; without one `*ret_rights` is 0 and the
 * signature is still to be checked with the identity's keys. ERR_UNAUTHORIZED, ERR_MEMORY.
 */
enum err auth_token(const struct service *service, const struct hub_record *hub,
    const struct sas *sas, struct span resource, unsigned *ret_rights, struct why *why) MUST_USE;

/* Whether one of the identity's keys signed it; the mark is that of the key. */
enum err auth_identity_key(const struct sas *sas, const struct identity *identity,
    uint64_t *ret_mark, struct why *why) MUST_USE;

/* A number that stands for a key of a policy, from which the key cannot be told; never 0. */
uint64_t auth_key_mark(struct span key);
/* The same of a key of an identity's own. */
uint64_t auth_own_mark(struct span key);
/* The mark of the policy's key that signed the token; 0: none of the present ones did. */
uint64_t auth_policy_mark(const struct hub_record *hub, const struct sas *sas);
/* Whether a policy still has the key of that mark. */
bool auth_mark_is_current(
    struct service *service, int64_t hub_id, struct span policy, uint64_t mark);

/* Overwrites a span that held a secret. */
void auth_wipe(struct span secret);

/* ---- authorities.c: certificates of authorities ---------------------------------------------- */

/* Whether a client's chain leads to one of the hub's authorities, and its certificate's place in
 * time; `*ret_authority` is DER, in the arena. ERR_UNAUTHORIZED; see certificate.h. */
enum err authorities_verify(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span chain, int64_t now_us, unsigned skew_s, struct span *ret_authority,
    int64_t *ret_until_us, struct why *why) MUST_USE;
/* Whether the authority of that mark (auth_key_mark() of its DER) is still there. */
enum err authorities_check_mark(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    uint64_t mark, struct why *why) MUST_USE;

/* ---- service.c ------------------------------------------------------------------------------ */

struct parked;
struct watch_table;
struct method_table;
struct gate;

struct service {
    struct service_options options;
    atomic_bool leaving; /* told to stop: no longer ready */
    struct hub_cache hubs;
    struct password_pool *passwords;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t idle;  /* own_jobs became 0 */
    unsigned own_jobs;    /* jobs that no call stands behind */
    unsigned queries;     /* that run */
    bool pruning;
    int64_t day_quota_mono_us; /* when the messages of the day are written down next */
    bool finishing;            /* no direct method begins any more */
    bool draining;             /* nothing is parked any more */
    uint64_t appends[64];      /* what the event listener heard, by hub; hubs may share one */
    struct parked *parked;     /* long polls */
    bool probing;
    int64_t probe_mono_us; /* when it is tried next whether the store can write again */
    int64_t prune_mono_us; /* when the event log is looked through next */
    bool sweeping;         /* the queues of messages are being looked through */
    int64_t sweep_mono_us; /* and are next */
    bool pruning_history;
    int64_t history_mono_us; /* when the history is looked through next */
    int64_t history_after;   /* and from where */

    struct watch_table *watches;       /* has its own locks */
    struct method_table *methods;      /* likewise */
    struct configurator *configurator; /* likewise */
    struct job_engine *jobs;           /* likewise */
    struct gate *gate;                 /* likewise; NULL: nothing is throttled */
    struct buf schema;                 /* of the settings; never changes */
};

static inline int64_t now_us(const struct service *service)
{
    return clock_wall_us(service->options.clock);
}

/* Counts a job that no call stands behind; service_close() waits for them. */
void own_job_begin(struct service *service);
void own_job_end(struct service *service);

/* Gives a call back. `why` may be the call's own, or NULL. */
void call_finish(struct call *call, enum err err, const struct why *why);

/* The device of an identity is missing, or its module: the error that says so. */
enum err find_identity(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct identity *ret_identity,
    struct why *why) MUST_USE;

/* ---- rest.c: one REST call ------------------------------------------------------------------ */

enum effect_kind {
    EFFECT_END,
    EFFECT_KEY_GONE,
    EFFECT_DESIRED,
    EFFECT_TWIN,
    EFFECT_EVENTS,
    EFFECT_CONFIGURATIONS,
    EFFECT_HUBS,
    EFFECT_HUB_GONE,
    EFFECT_POLICY_KEY,
    EFFECT_MESSAGE,
    EFFECT_JOBS
};

/* What others must hear once it is durable. */
struct effect {
    struct effect *next;
    enum effect_kind kind;
    int64_t hub_id;
    struct span device_id;
    struct span module_id;
    enum session_end reason;
    struct span payload;
    int64_t version;
    uint64_t mark; /* of the key that is worth nothing any more */
};

/* If-Match, or an etag in a body. */
struct match {
    bool given;
    bool any;
    struct span etag;
};

/* What an operation knows better than its row, for the audit log; empty: what the row says. Set by
 * run, afresh each time. Never a key or a password. */
struct audit_note {
    const char *action;
    struct span hub;
    struct span target;
    struct span detail; /* JSON object text */
};

struct operation;

#define REST_MAX_ARGUMENTS 4

/* Where an account finds the operations that have a hub and take tokens. */
enum mirror {
    MIRROR_NONE,
    MIRROR_AZURE, /* Azure's: /gemel/v1/hubs/{}/iothub/devices for /devices */
    MIRROR_GEMEL, /* ours: /gemel/v1/hubs/{}/device-table for /gemel/v1/device-table */
};

/* How a call shows who asks. */
enum proof {
    PROOF_NONE,
    PROOF_TOKEN,    /* a shared access signature with a policy */
    PROOF_PASSWORD, /* HTTP Basic */
    PROOF_SESSION,  /* the cookie of somebody who signed in */
};

/* Who asks; for the audit log and the history of twins. */
struct caller {
    struct span user;   /* an account, or the policy of a token */
    struct span origin; /* "portal", "cli", "rest" */
    struct span address;
};

struct rest {
    struct rest_call *call;
    struct arena *arena; /* the call's */
    struct service *service;
    const struct operation *operation;
    enum mirror mirror;
    int64_t began_us;  /* mono time */
    bool counted;      /* in the metrics */
    int64_t expires_s; /* of the token */
    uint64_t mark;     /* of the policy's key that signed it; set for calls that wait */
    struct span arguments[REST_MAX_ARGUMENTS]; /* of the path, decoded; without the hub's name
                                                * where the path begins with /gemel/v1/hubs/{} */
    enum proof proof;
    struct caller caller;
    int64_t hub_id;
    struct span hub_name;
    struct span host_name;
    unsigned rights;              /* of the token's policy, or what the account's role amounts to */
    struct access *access;        /* of a call that an account makes; NULL: it shows a token */
    struct device_caller *device; /* of a call that a device makes; NULL: none does */
    struct match match;
    const struct json *body;
    void *input;       /* what prepare made of the body */
    unsigned cost;     /* for throttling, in the unit of its class; set by prepare, or 1 */
    unsigned messages; /* that count for the day; likewise, or none */
    struct store_txn *txn;
    struct why *why;
    struct effect *effects;
    struct effect *last_effect;
    struct audit_note audit;
    struct hub_table *hubs; /* for EFFECT_HUBS: read in the same transaction */
    struct cover cover;     /* its names, if run() changed the hubs */
    /* Set by run when it found nothing and the call waits: is called in place of the reply. */
    void (*park)(struct rest *rest);
    /* Set by prepare when it took what must be given back: is called before the reply. */
    void (*release)(struct rest *rest);
};

typedef enum err rest_step(struct rest *rest);

enum rest_access {
    ACCESS_NONE, /* run() needs no store: it runs on the caller's thread, with no transaction */
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_PARK,    /* reads, and may wait for news */
    ACCESS_TRAFFIC, /* writes what devices send and take, of which the audit log tells nothing */
};

enum rest_guard {
    GUARD_POLICY,   /* a token of a policy with the right, api-version asked for */
    GUARD_DPS,      /* the same, of the service API of provisioning */
    GUARD_ENROLLED, /* a token or certificate that an enrollment asks for; run() judges it */
    GUARD_GEMEL,    /* the same, no api-version: what Gemel adds */
    GUARD_KNOWN,    /* likewise or, without an authorization header, any session */
    /* The others are the server's own: an account and its role, no hub's host name. */
    GUARD_ADMINISTRATOR, /* a session with the role on the server (ROLE_NONE: any session), or the
                          * password of an administrator (HTTP Basic) */
    GUARD_SERVER,        /* a session with the role on the server; ROLE_NONE: any session */
    GUARD_HUB,           /* a session with the role for the hub of the path's first argument */
    GUARD_SESSION,       /* a session, also one whose password must be changed first */
    GUARD_OPEN,          /* nobody has signed in yet */
    GUARD_ANYBODY,       /* tells nothing that needs a guard; runs without a store */
    GUARD_METRICS,       /* the token of monitor.token_file, or as GUARD_ADMINISTRATOR */
    GUARD_DEVICE, /* the device or module of the path's first arguments itself, by its token or
                   * certificate, or a policy with DeviceConnect; no api-version */
};

struct operation {
    const char *method;
    const char *path; /* "{}" stands for one segment of any text */
    enum rest_guard guard;
    unsigned rights; /* all of them are needed */
    enum role role;  /* likewise, of an account */
    enum rest_access access;
    bool has_body;      /* JSON, and it must be there */
    const char *action; /* for the audit log; "": nothing is changed */
    rest_step *prepare;
    rest_step *run;
};

/* Reads "", "*", "\"*\"", "etag" or "\"etag\"". */
struct match match_of(struct span text);
enum err match_check(const struct match *match, struct span etag, struct why *why) MUST_USE;

/* Adds an effect, to be filled in. ERR_MEMORY. */
enum err rest_add_effect(
    struct rest *rest, enum effect_kind kind, struct effect **ret_effect) MUST_USE;

/* Waits for the certificate, if run() changed the hubs, and then replies. False: nothing to wait
 * for. */
bool hubs_await_cover(struct rest *rest);

/* Finds a parameter of the query, decoded; the empty span if it is not there. */
enum err rest_parameter(struct rest *rest, const char *name, struct span *ret_value) MUST_USE;

/* The same as a number up to `max`; ERR_ARGUMENT for what is none, `fallback` where there is none.
 */
enum err rest_number(struct rest *rest, const char *name, uint64_t max, uint64_t fallback,
    uint64_t *ret_number) MUST_USE;

/* How many rows a page may have: x-ms-max-item-count, up to limits.list_items. ERR_ARGUMENT. */
enum err rest_max_items(struct rest *rest, uint64_t fallback, uint64_t *ret_items) MUST_USE;

/* Whether it needs the store's writer. */
bool rest_writes(const struct operation *operation);
/* Has the call wait for its turn, and then hands it to the store. */
void rest_enter(struct rest *rest);
/* Whether it may have to wait. */
bool rest_is_metered(const struct rest *rest);
/* Hands the call to the store, again or for the first time. */
void rest_submit(struct rest *rest);
/* Replies with the outcome. */
void rest_finish(struct rest *rest, enum err err, const struct why *why);

/* The parts of which access.c makes its own order: the body and operation->prepare; operation->run;
 * what comes after run. */
enum err rest_prepare(struct rest *rest, struct why *why) MUST_USE;
enum err rest_run(struct rest *rest, struct store_txn *txn, struct why *why) MUST_USE;
void rest_done(struct rest *rest, enum err result, const struct why *why);

/* Every operation there is, for tests. */
extern const struct operation rest_operations[];
extern const size_t rest_operation_count;

#define OPERATION(method, path, guard, rights, role, access, body, action, prepare, run)           \
    rest_step prepare, run;
#include "operations.def"
#undef OPERATION

/* ---- access.c: calls that accounts make ----------------------------------------------------- */

/*
 * What prepare may ask for: that a password is right, that another is hashed. Both happen between
 * prepare and run, on the threads of the password pool; a wrong password ends the call.
 */
struct access_password {
    struct span user;       /* whose password is checked; empty: none is */
    struct span password;   /* wiped */
    struct span fresh;      /* to be hashed; empty: nothing is. Wiped. */
    enum err wrong;         /* what a wrong password is answered with */
    const char *hash;       /* out: the hash that the password fits */
    const char *fresh_hash; /* out */
};

struct access {
    struct rest *rest;
    struct span hub_name; /* of the path; empty: the server */
    struct span csrf;     /* of the session that the cookie names */
    struct span token_hash;
    struct account account; /* who asks; in the call's arena */
    enum role role;         /* for the hub, or else for the server */
    struct access_password *password;
    struct password_task task;
    bool password_done;
    bool prepared;
    bool note_use; /* of the session */
};

/* Judges what needs no store, and takes over: it replies. */
void access_begin(struct rest *rest, struct span hub_name);

/* Finds out again, in this transaction, whether the caller may: run by each attempt of a job. */
enum err access_judge(struct rest *rest, struct store_txn *txn, struct why *why) MUST_USE;

/* What comes with the outcome, before it is answered: the log, headers, the note of the use. */
void access_end(struct rest *rest, enum err err, const struct why *why);

/* The role of an account for a hub (GRANT_EVERY_HUB: the server). */
enum role access_role(const struct account *account, int64_t hub_id);
const char *access_role_name(enum role role); /* "" for ROLE_NONE */

/* ---- web_session.c -------------------------------------------------------------------------- */

/* The session that the call's cookie names, if it has one: what its token hashes to, and the token
 * against forged requests that goes with it. ERR_SIGN_IN, ERR_MEMORY. */
enum err web_session_read(struct rest *rest, struct span *ret_token_hash, struct span *ret_csrf,
    struct why *why) MUST_USE;
/* Whether a session is not over by its age or silence. */
bool web_session_is_alive(const struct service *service, const struct web_session *session);
/* Drops those that are over. */
enum err web_session_prune(const struct service *service, struct store_txn *txn) MUST_USE;
/* Writes down, some time, that it is used. */
void web_session_note_use(struct service *service, struct span token_hash);

/* ---- audit.c -------------------------------------------------------------------------------- */

/* Adds the entry of an operation that succeeded, in its transaction. */
enum err audit_write(struct rest *rest) MUST_USE;
/* Drops what is older than it is kept, a part at a time. */
enum err audit_prune(const struct service *service, struct store_txn *txn, bool *more) MUST_USE;
/* Adds one of an attempt that was refused; nobody waits for it. */
void audit_refused(struct rest *rest, const struct why *why);

/* ---- render.c: responses -------------------------------------------------------------------- */

/* A random GUID; a machine that has no randomness shows zeros. */
#define REQUEST_ID_SIZE 37
const char *new_request_id(char ret_text[REQUEST_ID_SIZE]);

/* Sets status and body, which is copied into the arena. ERR_MEMORY. */
enum err respond_json(struct rest *rest, int status, const struct buf *body) MUST_USE;
enum err respond_empty(struct rest *rest, int status) MUST_USE;
/* Adds a header; the value must live as long as the call. */
void respond_header(struct rest_call *call, const char *name, struct span value);
/* Adds `etag: "…"`. */
enum err respond_etag(struct rest *rest, const char *etag) MUST_USE;
/* Fills in the response of a failure; needs no memory but the arena's, and copes without. */
void respond_error(struct rest_call *call, int64_t now, enum err err, const struct why *why);
/* The same in the form of provisioning. */
void respond_provisioning_error(
    struct service *service, struct rest_call *call, enum err err, const struct why *why);

/* The etag of an identity: base64 of the decimal number. */
#define IDENTITY_ETAG_SIZE 32
const char *identity_etag(uint64_t etag, char ret_text[IDENTITY_ETAG_SIZE]);

/* ["RegistryRead",…] */
void write_rights(unsigned rights, struct buf *out);

/* Members of JSON objects, with their comma before them. */
void write_text_member(struct buf *out, const char *name, struct span value);
void write_text_or_null(struct buf *out, const char *name, struct span value);
void write_time_member(struct buf *out, const char *name, int64_t wall_us);

/* "sas", "selfSigned", … */
const char *auth_name(enum auth_type auth);

/* {"primaryThumbprint":…,"secondaryThumbprint":…} */
void write_thumbprints(const struct identity *identity, struct buf *out);
void write_identity(const struct identity *identity, bool with_keys, struct buf *out);
/* An item of an export file. */
void write_exported(
    const struct identity *identity, const struct twin_doc *twin, bool with_keys, struct buf *out);
void write_twin(const struct identity *identity, const struct twin_doc *twin, struct buf *out);

/* ---- identity_input.c: a device or module as a request describes it ------------------------- */

struct identity_input {
    struct span device_id;
    struct span module_id;
    bool has_status;
    bool enabled;
    bool has_reason;
    struct span status_reason;
    bool has_auth;
    enum auth_type auth;
    struct span primary_key; /* empty: keep, or generate */
    struct span secondary_key;
    struct span primary_thumbprint;
    struct span secondary_thumbprint;
    bool has_managed_by;
    struct span managed_by;
    bool has_edge;
    bool iot_edge;
    bool has_scope;
    struct span device_scope;
    bool has_parents;
    struct span parent_scopes; /* JSON array text */
    /* Fresh keys, to be used where none were given. */
    struct span fresh_primary;
    struct span fresh_secondary;
};

/* Reads it from a body, and makes fresh keys. ERR_ARGUMENT with the member that is wrong. */
enum err identity_input_read(struct arena *arena, const struct json *body,
    struct identity_input *ret_input, struct why *why) MUST_USE;

/* ---- registry.c ----------------------------------------------------------------------------- */

/* The steps that single and bulk operations share; ids are those of the input. They check before
 * they write, and add the effects. */
enum err registry_create(struct rest *rest, const struct identity_input *input, bool check_scope,
    const struct json *initial_twin, struct identity *ret_identity) MUST_USE;
enum err registry_update(struct rest *rest, const struct identity_input *input,
    const struct match *match, bool check_scope, struct identity *ret_identity) MUST_USE;
/* A new twin with what a creator asks for (NULL: nothing). */
enum err registry_make_twin(
    struct rest *rest, const struct json *initial, struct twin_doc *ret_twin) MUST_USE;
enum err registry_delete(struct rest *rest, struct span device_id, struct span module_id,
    const struct match *match) MUST_USE;

/* ---- twins.c -------------------------------------------------------------------------------- */

/* What to do to a twin, and as what its history tells it. */
struct twin_step {
    enum twin_change_kind kind;
    enum history_kind history;
    const struct json *body;
    const struct match *match;
};

/* For the audit log: the versions that a change led to. */
enum err twins_note_version(struct rest *rest, const struct twin_doc *twin) MUST_USE;
enum err twins_change(struct rest *rest, struct span device_id, struct span module_id,
    const struct twin_step *step, struct identity *ret_identity,
    struct twin_doc *ret_twin) MUST_USE;

/* Responds with the REST document of a twin and its etag. */
enum err respond_twin(
    struct rest *rest, const struct identity *identity, const struct twin_doc *twin) MUST_USE;

/* ---- twin_history.c ------------------------------------------------------------------------- */

/* Notes what a change made of a twin, in the transaction that makes it. */
enum err history_note(struct rest *rest, struct span device_id, struct span module_id,
    enum history_kind kind, const struct twin_change *change) MUST_USE;
void history_prune(struct service *service);

/* ---- twin_watch.c --------------------------------------------------------------------------- */

struct watch_table *watch_table_new(void);
void watch_table_free(struct watch_table *table); /* NULL is fine */
/* Answers what waited long enough (or everything). */
void watches_release(struct service *service, bool all);
/* The bus's listener: who watches this twin looks again. */
void watches_wake(void *service, int64_t hub_id, struct span device_id, struct span module_id);

/* ---- health.c ------------------------------------------------------------------------------- */

/* Whether the call shows the token for metrics. */
bool health_knows_token(const struct rest *rest);
/* Tries, now and then, whether a store that failed can write again. */
void health_probe(struct service *service);
/* Counts a call that is answered, once. */
void health_count(struct rest *rest);

/* ---- configuration_engine.c ------------------------------------------------------------------ */

struct configurator *configurator_new(struct service *service);
void configurator_free(struct configurator *configurator); /* NULL is fine */
/* Looks at all twins of every hub when it is time. */
void configurator_tick(struct service *service);
/* A twin or its identity is other than before. Nobody waits for what comes of it. */
void configurator_note_twin(
    struct service *service, int64_t hub_id, struct span device_id, struct span module_id);
/* The configurations of a hub are. */
void configurator_note_hub(struct service *service, int64_t hub_id);

/* ---- job_engine.c ---------------------------------------------------------------------------- */

struct job_engine *job_engine_new(struct service *service);
void job_engine_free(struct job_engine *engine); /* NULL is fine */
/* Begins jobs whose time has come, goes on with those that wait, drops what is old. */
void jobs_tick(struct service *service);
/* Jobs of a hub came, or were cancelled. Nobody waits for what comes of it. */
void jobs_note(struct service *service, int64_t hub_id);

/* ---- events.c ------------------------------------------------------------------------------- */

struct event_work;

struct event_input {
    const struct session_identity *who;
    struct span properties; /* an encoded bag */
    struct span body;
    bool retain;
    bool is_will;
};

/* Judges a device-to-cloud message and stamps it; what it makes lives in the arena, and borrows
 * what the input borrowed. ERR_TOO_LARGE, ERR_FORMAT, ERR_MEMORY. */
enum err event_prepare(const struct service *service, struct arena *arena,
    const struct event_input *input, struct event_work **ret_work, struct why *why) MUST_USE;
/* How many messages of the day it counts as. */
unsigned event_messages(const struct event_work *work);
/* Appends it to the event log, with the time. */
enum err event_append(const struct service *service, struct arena *arena, struct store_txn *txn,
    int64_t hub_id, const struct event_work *work, uint64_t *ret_sequence) MUST_USE;

/* ---- session.c: how a client shows who it is ------------------------------------------------- */

/* Judges what needs no store: the hub, and the token or how the certificate is made. */
enum err connect_begin(
    struct service *service, struct connect_call *call, struct why *why) MUST_USE;
/* Judges the rest by the identity, and fills call->identity. */
enum err connect_judge(struct connect_call *call, struct store_txn *txn, struct why *why) MUST_USE;
/* Whether what was judged is still so. */
enum err connect_judge_again(
    struct connect_call *call, struct store_txn *txn, struct why *why) MUST_USE;

/* ---- event_log.c ---------------------------------------------------------------------------- */

void events_appended(void *service, int64_t hub_id, uint64_t sequence); /* the bus's listener */
/* Answers what waited long enough (or everything). */
void events_release(struct service *service, bool all);
void events_prune(struct service *service);

#endif
