/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who signed in to the portal holds a random token in a cookie that only this very host gets back,
 * over TLS, from its own pages. The store knows what SHA-256 makes of it: whoever reads the
 * database cannot become anybody. What guards against forged requests is made of the token as well,
 * so that nothing more is to be kept: HMAC-SHA256 of a constant under the token.
 */
#include "service_priv.h"

#include "log.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>

#define COOKIE "__Host-gemel"
#define COOKIE_RULES "; Path=/; Secure; HttpOnly; SameSite=Strict"

#define TOKEN_BYTES 32
#define TOKEN_CHARS (2 * TOKEN_BYTES)
#define AGENT_MAX_BYTES 256
#define USER_MAX_BYTES 256
#define PASSWORD_MAX_BYTES 1024

/* ---- tokens ---------------------------------------------------------------------------------- */

static void write_hex(const unsigned char *bytes, size_t count, char *ret_text)
{
    for (size_t i = 0; i < count; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

static enum err hash_token(struct arena *arena, struct span token, struct span *ret_hash)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)token.ptr, token.len, hash);
    bool kept = arena_span(arena, (struct span){(const char *)hash, sizeof(hash)}, ret_hash);
    return kept ? ERR_NONE : ERR_MEMORY;
}

static enum err derive_csrf(struct arena *arena, struct span token, struct span *ret_csrf)
{
    static const char purpose[] = "x-gemel-csrf";
    unsigned char mac[EVP_MAX_MD_SIZE];
    char text[2 * SHA256_DIGEST_LENGTH + 1];
    must(HMAC(EVP_sha256(), token.ptr, (int)token.len, (const unsigned char *)purpose,
             sizeof(purpose) - 1, mac, NULL) != NULL);
    write_hex(mac, SHA256_DIGEST_LENGTH, text);
    return arena_span(arena, span_of(text), ret_csrf) ? ERR_NONE : ERR_MEMORY;
}

static struct span find_cookie(struct span cookies)
{
    struct span part;
    while (span_cut(&cookies, ';', &part)) {
        part = span_trim(part);
        if (span_starts(part, SPAN_LIT(COOKIE "=")))
            return span_from(part, sizeof(COOKIE));
    }
    return SPAN_NONE;
}

enum err web_session_read(
    struct rest *rest, struct span *ret_token_hash, struct span *ret_csrf, struct why *why)
{
    struct span token = find_cookie(rest->call->cookie);
    if (token.len != TOKEN_CHARS)
        return fail(ERR_SIGN_IN, why, "nobody is signed in");
    enum err err = hash_token(rest->arena, token, ret_token_hash);
    return err == ERR_NONE ? derive_csrf(rest->arena, token, ret_csrf) : err;
}

/* ---- time ------------------------------------------------------------------------------------ */

static int64_t oldest_creation(const struct service *service)
{
    return now_us(service) - (int64_t)service->options.limits.access.session_hours * 3600000000;
}

static int64_t oldest_use(const struct service *service)
{
    return now_us(service) -
           (int64_t)service->options.limits.access.session_idle_minutes * 60000000;
}

bool web_session_is_alive(const struct service *service, const struct web_session *session)
{
    return session->created_us > oldest_creation(service) && session->used_us > oldest_use(service);
}

enum err web_session_prune(const struct service *service, struct store_txn *txn)
{
    return store_web_session_prune(txn, oldest_creation(service), oldest_use(service));
}

struct use_job {
    struct store_job job;
    struct service *service;
    int64_t at_us;
    char token_hash[SHA256_DIGEST_LENGTH];
};

static enum err run_use(struct store_job *job, struct store_txn *txn)
{
    const struct use_job *use = (const struct use_job *)job;
    struct span hash = {use->token_hash, sizeof(use->token_hash)};
    return store_web_session_touch(txn, hash, use->at_us);
}

static void use_done(struct store_job *job, enum err err)
{
    struct use_job *use = (struct use_job *)job;
    struct service *service = use->service;
    if (err != ERR_NONE)
        log_warn("service", "the use of a session cannot be noted: %s", why_text(&job->why, err));
    mem_free(use);
    own_job_end(service);
}

void web_session_note_use(struct service *service, struct span token_hash)
{
    struct use_job *use = mem_alloc(sizeof(*use));
    if (use == NULL)
        return; /* the next request tries again */
    must(token_hash.len == sizeof(use->token_hash));
    memcpy(use->token_hash, token_hash.ptr, token_hash.len);
    use->service = service;
    use->at_us = now_us(service);
    use->job.run = run_use;
    use->job.done = use_done;
    own_job_begin(service);
    store_submit(service->options.store, STORE_WRITE, &use->job);
}

/* ---- making one ------------------------------------------------------------------------------ */

static enum err respond_cookie(struct rest *rest, struct span token)
{
    char *cookie = token.len > 0
                       ? arena_format(rest->arena, COOKIE "=%.*s" COOKIE_RULES, SPAN_ARG(token))
                       : arena_format(rest->arena, COOKIE "=; Max-Age=0" COOKIE_RULES);
    if (cookie == NULL)
        return ERR_MEMORY;
    respond_header(rest->call, "set-cookie", span_of(cookie));
    return ERR_NONE;
}

/* A new token for who signs in: an old one that somebody else may know is never taken over. */
static enum err make_session(struct rest *rest, struct span user, struct span *ret_csrf)
{
    unsigned char bytes[TOKEN_BYTES];
    char text[TOKEN_CHARS + 1];
    struct web_session session = {.user = user,
        .created_us = now_us(rest->service),
        .used_us = now_us(rest->service),
        .address = rest->caller.address,
        .agent = span_first(rest->call->user_agent, AGENT_MAX_BYTES)};
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return fail(ERR_SERVER, rest->why, "the system gives no random numbers");
    write_hex(bytes, sizeof(bytes), text);
    enum err err = hash_token(rest->arena, span_of(text), &session.token_hash);
    if (err == ERR_NONE)
        err = derive_csrf(rest->arena, span_of(text), ret_csrf);
    if (err == ERR_NONE)
        err = respond_cookie(rest, span_of(text));
    if (err == ERR_NONE)
        err = store_web_session_insert(
            rest->txn, &session, rest->service->options.limits.access.sessions);
    mem_wipe(bytes, sizeof(bytes));
    mem_wipe(text, sizeof(text));
    return err;
}

static void write_hub_roles(struct rest *rest, const struct account *account, struct buf *out)
{
    const struct hub_record *hub;
    bool first = true;
    const struct hub_table *table = hub_cache_lock(&rest->service->hubs);
    for (size_t i = 0; (hub = hub_at(table, i)) != NULL; i++) {
        enum role role = access_role(account, hub->id);
        if (role == ROLE_NONE)
            continue;
        buf_add_text(out, first ? "{\"name\":" : ",{\"name\":");
        json_write_string(hub->name, out);
        buf_add_format(out, ",\"role\":\"%s\"}", access_role_name(role));
        first = false;
    }
    hub_cache_unlock(&rest->service->hubs);
}

static enum err respond_session(struct rest *rest, const struct account *account, struct span csrf)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"user\":");
    json_write_string(account->user, &body);
    buf_add_format(&body, ",\"role\":\"%s\",\"mustChange\":%s",
        access_role_name(access_role(account, GRANT_EVERY_HUB)),
        account->must_change ? "true" : "false");
    write_text_member(&body, "csrf", csrf);
    buf_add_text(&body, ",\"hubs\":[");
    write_hub_roles(rest, account, &body);
    buf_add_text(&body, "]}");
    return respond_json(rest, 200, &body);
}

/* ---- signing in and out ---------------------------------------------------------------------- */

static enum err read_text(struct rest *rest, const char *name, size_t most, struct span *ret_text)
{
    *ret_text = json_string_of(rest->body, name);
    if (ret_text->len == 0 || ret_text->len > most)
        return fail(ERR_ARGUMENT, rest->why, "%s must be a text of 1 to %zu bytes", name, most);
    return ERR_NONE;
}

static enum err new_password(struct rest *rest, struct access_password **ret_password)
{
    struct access_password *password = arena_alloc(rest->arena, sizeof(*password));
    if (password == NULL)
        return ERR_MEMORY;
    rest->access->password = password;
    *ret_password = password;
    return ERR_NONE;
}

enum err session_prepare_sign_in(struct rest *rest)
{
    struct access_password *password;
    enum err err = new_password(rest, &password);
    if (err == ERR_NONE)
        err = read_text(rest, "user", USER_MAX_BYTES, &password->user);
    if (err == ERR_NONE)
        err = read_text(rest, "password", PASSWORD_MAX_BYTES, &password->password);
    if (err != ERR_NONE) {
        rest->access->password = NULL;
        return err;
    }
    password->wrong = ERR_UNAUTHORIZED;
    return ERR_NONE;
}

/* The session that the browser had before ends. */
static enum err end_former_session(struct rest *rest)
{
    if (rest->access->token_hash.len == 0)
        return ERR_NONE;
    return store_web_session_delete(rest->txn, rest->access->token_hash);
}

enum err session_sign_in(struct rest *rest)
{
    const struct access_password *password = rest->access->password;
    struct account account;
    struct span csrf;
    enum err err = store_account_get(rest->txn, rest->arena, password->user, &account);
    if (err == ERR_NOT_FOUND ||
        (err == ERR_NONE && (account.disabled || !span_is(account.password_hash, password->hash))))
        return fail(ERR_UNAUTHORIZED, rest->why, "user or password are wrong");
    if (err == ERR_NONE)
        err = end_former_session(rest);
    if (err == ERR_NONE)
        err = make_session(rest, account.user, &csrf);
    if (err != ERR_NONE)
        return err;
    rest->caller.user = account.user;
    rest->audit.target = account.user;
    return respond_session(rest, &account, csrf);
}

enum err session_show(struct rest *rest)
{
    return respond_session(rest, &rest->access->account, rest->access->csrf);
}

enum err session_sign_out(struct rest *rest)
{
    enum err err = respond_cookie(rest, SPAN_NONE);
    rest->audit.target = rest->caller.user;
    if (err == ERR_NONE)
        err = store_web_session_delete(rest->txn, rest->access->token_hash);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

/* ---- the password ---------------------------------------------------------------------------- */

static size_t count_characters(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

enum err session_prepare_password(struct rest *rest)
{
    struct access_password *password;
    struct span old;
    struct span fresh;
    unsigned least = rest->service->options.limits.access.password_characters;
    enum err err = read_text(rest, "old", PASSWORD_MAX_BYTES, &old);
    if (err == ERR_NONE)
        err = read_text(rest, "new", PASSWORD_MAX_BYTES, &fresh);
    if (err != ERR_NONE)
        return err;
    if (count_characters(fresh) < least)
        return fail(ERR_ARGUMENT, rest->why, "a password needs at least %u characters", least);
    if (span_eq(old, fresh))
        return fail(ERR_ARGUMENT, rest->why, "the new password is the old one");
    err = new_password(rest, &password);
    if (err != ERR_NONE)
        return err;
    password->user = rest->access->account.user;
    password->password = old;
    password->fresh = fresh;
    password->wrong = ERR_PASSWORD;
    return ERR_NONE;
}

/* All other sessions of the account end: somebody else may hold one. */
enum err session_change_password(struct rest *rest)
{
    struct account account = rest->access->account;
    const struct access_password *password = rest->access->password;
    if (!span_is(account.password_hash, password->hash))
        return fail(ERR_PASSWORD, rest->why, "the password was changed at this moment");
    account.password_hash = span_of(password->fresh_hash);
    account.must_change = false;
    rest->audit.target = account.user;
    enum err err = store_account_put(rest->txn, &account);
    if (err == ERR_NONE)
        err = store_web_session_delete_user(rest->txn, account.user, rest->access->token_hash);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}
