/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that accounts make, with the cookie of a web session or, of administrators, with a
 * password:
 *
 *   is there a cookie or password, does the page that asks come from here     caller's thread
 *   session -> account -> role; the body, prepare        READ
 *     | a password is to be checked or hashed
 *     +-----> the password pool ----+
 *   session -> account -> role, once more; run           READ or WRITE
 *
 * What needs no password and only reads is run in the first READ. A body is looked at only when it
 * is known who sends it. The second look is in the transaction of the change itself: whoever was
 * signed out, disabled or given another role before it does not make it.
 */
#include "service_priv.h"

#include "base64.h"
#include "host.h"
#include "log.h"

#include <openssl/crypto.h>

#define BASIC_MAX_BYTES 512

/* What somebody may send before he is known. */
#define OPEN_BODY_BYTES 4096

/* ---- roles ----------------------------------------------------------------------------------- */

const char *access_role_name(enum role role)
{
    static const char *const names[] = {
        [ROLE_NONE] = "",
        [ROLE_READER] = "reader",
        [ROLE_OPERATOR] = "operator",
        [ROLE_ADMINISTRATOR] = "administrator",
    };
    return names[role];
}

enum role access_role(const struct account *account, int64_t hub_id)
{
    enum role role = ROLE_NONE;
    for (size_t i = 0; i < account->grant_count; i++) {
        const struct grant *grant = &account->grants[i];
        if ((grant->hub_id == GRANT_EVERY_HUB || grant->hub_id == hub_id) && grant->role > role)
            role = grant->role;
    }
    return role;
}

/* What a role amounts to in the terms of tokens. Who only reads gets no keys to see, which is what
 * RegistryRead would mean. */
static unsigned rights_of(enum role role)
{
    return role >= ROLE_OPERATOR
               ? RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT
               : 0;
}

static enum err find_hub(struct rest *rest, struct why *why)
{
    struct access *access = rest->access;
    enum err err = ERR_NONE;
    const struct hub_table *table = hub_cache_lock(&rest->service->hubs);
    const struct hub_record *hub = hub_find_by_name(table, access->hub_name);
    enum role role = hub == NULL ? ROLE_NONE : access_role(&access->account, hub->id);
    /* Whoever has no role for a hub does not learn that it exists. */
    if (role == ROLE_NONE) {
        err = fail(ERR_HUB_NOT_FOUND, why, "there is no hub \"%.*s\" for this account",
            SPAN_ARG(access->hub_name));
    } else if (rest->hub_id != hub->id) {
        rest->hub_id = hub->id;
        if (hub->host_name_count == 0 || !arena_span(rest->arena, hub->name, &rest->hub_name) ||
            !arena_span(rest->arena, hub->host_names[0], &rest->host_name))
            err = ERR_MEMORY;
    }
    hub_cache_unlock(&rest->service->hubs);
    access->role = role;
    rest->rights = rights_of(role);
    return err;
}

static enum err judge_role(struct rest *rest, struct why *why)
{
    struct access *access = rest->access;
    enum role needed = rest->operation->role;
    access->role = access_role(&access->account, GRANT_EVERY_HUB);
    if (access->hub_name.len > 0) {
        enum err err = find_hub(rest, why);
        if (err != ERR_NONE)
            return err;
    }
    if (access->role < needed)
        return fail(ERR_ROLE, why, "this needs the role %s%s", access_role_name(needed),
            access->hub_name.len > 0 ? " for the hub" : " for the whole server");
    return ERR_NONE;
}

/* ---- who it is ------------------------------------------------------------------------------- */

static enum err judge_session(struct rest *rest, struct store_txn *txn, struct why *why)
{
    struct access *access = rest->access;
    struct web_session session;
    enum err err = store_web_session_get(txn, rest->arena, access->token_hash, &session);
    if (err == ERR_NOT_FOUND || (err == ERR_NONE && !web_session_is_alive(rest->service, &session)))
        return fail(ERR_SIGN_IN, why, "the session is over");
    if (err == ERR_NONE)
        err = store_account_get(txn, rest->arena, session.user, &access->account);
    if (err != ERR_NONE)
        return err;
    if (access->account.disabled)
        return fail(ERR_SIGN_IN, why, "the account is disabled");
    rest->caller.user = access->account.user;
    int64_t silent_us = now_us(rest->service) - session.used_us;
    access->note_use =
        silent_us >= (int64_t)rest->service->options.limits.access.session_note_seconds * 1000000;
    if (rest->operation->guard == GUARD_SESSION)
        return ERR_NONE;
    return access->account.must_change ? ERR_PASSWORD_CHANGE : ERR_NONE;
}

/* By its password: an administrator of the server, also with the one-time password. */
static enum err judge_administrator(struct rest *rest, struct store_txn *txn, struct why *why)
{
    struct access *access = rest->access;
    enum err err = store_account_get(txn, rest->arena, access->password->user, &access->account);
    if (err == ERR_NOT_FOUND ||
        (err == ERR_NONE && (access->account.disabled ||
                                !span_is(access->account.password_hash, access->password->hash))))
        return fail(ERR_UNAUTHORIZED, why, "user or password are wrong");
    if (err != ERR_NONE)
        return err;
    rest->caller.user = access->account.user;
    if (access_role(&access->account, GRANT_EVERY_HUB) < ROLE_ADMINISTRATOR)
        return fail(ERR_FORBIDDEN, why, "the account is no administrator of the server");
    return ERR_NONE;
}

enum err access_judge(struct rest *rest, struct store_txn *txn, struct why *why)
{
    enum err err = ERR_NONE;
    if (rest->operation->guard == GUARD_OPEN)
        return ERR_NONE;
    if (rest->proof == PROOF_PASSWORD)
        err = judge_administrator(rest, txn, why);
    else
        err = judge_session(rest, txn, why);
    if (err != ERR_NONE || rest->operation->guard == GUARD_SESSION)
        return err;
    return judge_role(rest, why);
}

/* ---- what needs no store --------------------------------------------------------------------- */

/* A page that a browser got from here has our host in its origin. */
static enum err judge_origin(const struct rest_call *call, struct why *why)
{
    static const struct span scheme = SPAN_INIT("https://");
    struct span host;
    struct span own_host;
    struct span port;
    struct span own_port;
    if (call->origin.len == 0)
        return ERR_NONE;
    bool https = span_starts(call->origin, scheme);
    host_split(span_from(call->origin, https ? scheme.len : 0), &host, &port);
    host_split(call->host, &own_host, &own_port);
    bool same_port = span_eq(
        port.len == 0 ? SPAN_LIT("443") : port, own_port.len == 0 ? SPAN_LIT("443") : own_port);
    if (https && same_port && host_equal(host, own_host))
        return ERR_NONE;
    return fail(ERR_CROSS_SITE, why, "the page that asks is from %.*s and not from here",
        SPAN_ARG(call->origin));
}

static enum err judge_csrf(const struct rest *rest, struct why *why)
{
    const struct rest_call *call = rest->call;
    struct span expected = rest->access->csrf;
    if (span_is(call->method, "GET") || span_is(call->method, "HEAD"))
        return ERR_NONE;
    if (call->csrf.len == expected.len &&
        CRYPTO_memcmp(call->csrf.ptr, expected.ptr, expected.len) == 0)
        return ERR_NONE;
    return fail(ERR_CROSS_SITE, why, "the header x-gemel-csrf is %s",
        call->csrf.len == 0 ? "missing" : "not that of the session");
}

static enum err accept_session(struct rest *rest, struct why *why)
{
    struct access *access = rest->access;
    rest->proof = PROOF_SESSION;
    rest->caller.origin = SPAN_LIT("portal");
    enum err err = web_session_read(rest, &access->token_hash, &access->csrf, why);
    return err == ERR_NONE ? judge_csrf(rest, why) : err;
}

static enum err accept_basic(struct rest *rest, struct why *why)
{
    struct span authorization = rest->call->authorization;
    struct access_password *password = arena_alloc(rest->arena, sizeof(*password));
    char *text = arena_alloc(rest->arena, BASIC_MAX_BYTES);
    size_t len = 0;
    if (password == NULL || text == NULL)
        return ERR_MEMORY;
    rest->proof = PROOF_PASSWORD;
    if (!span_eq_nocase(span_first(authorization, 6), SPAN_LIT("Basic ")))
        return fail(ERR_UNAUTHORIZED, why,
            "this takes the user and password of an administrator of the server (HTTP Basic)");
    if (base64_decode(span_trim(span_from(authorization, 6)), text, BASIC_MAX_BYTES, &len, why) !=
        ERR_NONE)
        return fail(ERR_UNAUTHORIZED, why, "the credentials are no base64");
    struct span credentials = {text, len};
    size_t colon = span_find(credentials, ':');
    if (colon == 0 || colon == len)
        return fail(ERR_UNAUTHORIZED, why, "the credentials are not \"user:password\"");
    password->user = span_first(credentials, colon);
    password->password = span_from(credentials, colon + 1);
    password->wrong = ERR_UNAUTHORIZED;
    rest->access->password = password;
    return ERR_NONE;
}

/* The browser may still have the cookie of a session before. */
static enum err accept_anybody(struct rest *rest, struct why *why)
{
    struct access *access = rest->access;
    rest->caller.origin = SPAN_LIT("portal");
    enum err err = web_session_read(rest, &access->token_hash, &access->csrf, why);
    return err == ERR_SIGN_IN ? ERR_NONE : err;
}

/* What programs administer a server by. */
static bool takes_password(const struct operation *operation)
{
    return operation->guard == GUARD_ADMINISTRATOR || operation->guard == GUARD_METRICS ||
           (operation->guard == GUARD_GEMEL && operation->role == ROLE_ADMINISTRATOR);
}

static enum err accept_call(struct rest *rest, struct why *why)
{
    const struct rest_call *call = rest->call;
    enum rest_guard guard = rest->operation->guard;
    enum err err = judge_origin(call, why);
    if (err != ERR_NONE)
        return err;
    if (guard == GUARD_OPEN && call->body.len > OPEN_BODY_BYTES)
        return fail(ERR_TOO_LARGE, why, "the body has %zu bytes, at most %u are allowed",
            call->body.len, OPEN_BODY_BYTES);
    if (guard == GUARD_OPEN)
        return accept_anybody(rest, why);
    if (takes_password(rest->operation) && call->authorization.len > 0)
        return accept_basic(rest, why);
    return accept_session(rest, why);
}

/* ---- passwords ------------------------------------------------------------------------------- */

static void on_password(struct password_task *task)
{
    struct access *access = task->owner;
    struct rest *rest = access->rest;
    struct access_password *password = access->password;
    struct why why = task->why;
    enum err err = task->err;
    auth_wipe(password->password);
    auth_wipe(password->fresh);
    access->password_done = true;
    password->fresh_hash = task->fresh_hash;
    if (err == ERR_UNAUTHORIZED)
        err = password->wrong;
    if (err == ERR_NONE && !access->prepared)
        err = rest_prepare(rest, &why);
    if (err == ERR_NONE)
        rest_enter(rest);
    else
        rest_finish(rest, err, &why);
}

static void submit_password(struct access *access)
{
    const struct access_password *password = access->password;
    access->task = (struct password_task){.user = password->user,
        .address = access->rest->caller.address,
        .password = password->password,
        .hash = password->hash,
        .fresh = password->fresh,
        .done = on_password,
        .owner = access};
    password_pool_submit(access->rest->service->passwords, &access->task);
}

static enum err find_hash(struct rest *rest, struct store_txn *txn)
{
    struct access_password *password = rest->access->password;
    struct account account;
    if (password->user.len == 0)
        return ERR_NONE;
    enum err err = store_account_get(txn, rest->arena, password->user, &account);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_NONE : err;
    password->hash = account.password_hash.ptr; /* a NUL stands behind what the arena copied */
    return ERR_NONE;
}

/* ---- the order of things --------------------------------------------------------------------- */

/* What only reads, and may at once, is run in the first transaction. */
static bool needs_second(const struct rest *rest)
{
    return rest_writes(rest->operation) || rest_is_metered(rest);
}

static enum err run_first(struct store_job *job, struct store_txn *txn)
{
    struct rest *rest = ((struct rest_call *)job)->call.work;
    struct access *access = rest->access;
    if (rest->proof == PROOF_PASSWORD)
        return find_hash(rest, txn);
    enum err err = access_judge(rest, txn, &job->why);
    if (err == ERR_NONE && !access->prepared) {
        err = rest_prepare(rest, &job->why);
        access->prepared = true;
    }
    if (err == ERR_NONE && access->password != NULL)
        return find_hash(rest, txn);
    if (err != ERR_NONE || needs_second(rest))
        return err;
    return rest_run(rest, txn, &job->why);
}

static void ran_first(struct store_job *job, enum err err)
{
    struct rest *rest = ((struct rest_call *)job)->call.work;
    struct why why = job->why;
    if (err == ERR_NONE && rest->access->password != NULL)
        submit_password(rest->access);
    else if (err == ERR_NONE && needs_second(rest))
        rest_enter(rest);
    else
        rest_done(rest, err, &why);
}

void access_begin(struct rest *rest, struct span hub_name)
{
    struct why why = {""};
    struct access *access = arena_alloc(rest->arena, sizeof(*access));
    enum err err = ERR_MEMORY;
    if (access != NULL) {
        access->rest = rest;
        access->hub_name = hub_name;
        rest->access = access;
        err = accept_call(rest, &why);
    }
    auth_wipe(rest->call->authorization);
    auth_wipe(rest->call->cookie);
    if (err != ERR_NONE) {
        rest_finish(rest, err, &why);
        return;
    }
    struct store_job *job = &rest->call->call.job;
    job->run = run_first;
    job->done = ran_first;
    store_submit(rest->service->options.store, STORE_READ, job);
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool is_refusal(const struct access *access, enum err err)
{
    return err == ERR_UNAUTHORIZED || err == ERR_FORBIDDEN || err == ERR_CROSS_SITE ||
           err == ERR_ROLE || err == ERR_PASSWORD ||
           (err == ERR_THROTTLED && access->password != NULL);
}

void access_end(struct rest *rest, enum err err, const struct why *why)
{
    struct access *access = rest->access;
    struct rest_call *call = rest->call;
    if (access->password != NULL) {
        auth_wipe(access->password->password);
        auth_wipe(access->password->fresh);
        auth_wipe(call->body);
    }
    if (err == ERR_NONE && access->note_use)
        web_session_note_use(rest->service, access->token_hash);
    if (!is_refusal(access, err))
        return;
    log_warn("service", "%.*s %.*s from %.*s refused: %s", SPAN_ARG(call->method),
        SPAN_ARG(call->path), SPAN_ARG(call->peer), why_text(why, err));
    call->header_count = 0;
    if (err == ERR_THROTTLED)
        call->call.retry_seconds = access->task.retry_seconds;
    /* Only who sent a password is asked for another: for users of the portal a browser would open a
     * window of its own. */
    if (err == ERR_UNAUTHORIZED && rest->proof == PROOF_PASSWORD)
        respond_header(call, "www-authenticate", SPAN_LIT("Basic realm=\"gemel\""));
    /* Only where it cost somebody a delay or a session: strangers must not fill the log. */
    if (err == ERR_ROLE || (access->password_done && err != ERR_THROTTLED))
        audit_refused(rest, why);
}
