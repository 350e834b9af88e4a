/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts with their grants, and the sessions of those who are signed in. */
#include "sqlite_priv.h"

/* ---- reading --------------------------------------------------------------------------------- */

static enum err count_rows(
    struct store_txn *txn, enum sql sql, const struct span *user, size_t *ret_count)
{
    AUTO(query_done) struct query query = query_open(txn, sql);
    if (user != NULL)
        query_put_text(&query, *user);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_count = (size_t)query_int(&query);
    return err;
}

static enum err read_grants(struct store_txn *txn, struct arena *arena, struct account *account)
{
    size_t count = 0;
    enum err err = count_rows(txn, SQL_GRANT_COUNT, &account->user, &count);
    if (err != ERR_NONE)
        return err;
    account->grants = arena_alloc(arena, count * sizeof(*account->grants));
    if (account->grants == NULL)
        return ERR_MEMORY;
    AUTO(query_done) struct query query = query_open(txn, SQL_GRANT_LIST);
    query_put_text(&query, account->user);
    while ((err = query_row(&query)) == ERR_NONE && account->grant_count < count) {
        struct grant *grant = &account->grants[account->grant_count++];
        grant->hub_id = query_int(&query);
        grant->role = (enum role)query_int(&query);
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err read_account(
    struct store_txn *txn, struct query *query, struct arena *arena, struct account *ret_account)
{
    struct account account = {0};
    if (!query_copy(query, arena, &account.user) ||
        !query_copy(query, arena, &account.password_hash))
        return ERR_MEMORY;
    account.must_change = query_int(query) != 0;
    account.disabled = query_int(query) != 0;
    enum err err = read_grants(txn, arena, &account);
    if (err == ERR_NONE)
        *ret_account = account;
    return err;
}

enum err sqlite_account_get(
    struct store_txn *txn, struct arena *arena, struct span user, struct account *ret_account)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_ACCOUNT_GET);
    query_put_text(&query, user);
    enum err err = query_row(&query);
    return err == ERR_NONE ? read_account(txn, &query, arena, ret_account) : err;
}

enum err sqlite_account_list(
    struct store_txn *txn, struct arena *arena, struct account **ret_accounts, size_t *ret_count)
{
    size_t room = 0;
    size_t count = 0;
    enum err err = count_rows(txn, SQL_ACCOUNT_COUNT, NULL, &room);
    if (err != ERR_NONE)
        return err;
    struct account *accounts = arena_alloc(arena, room * sizeof(*accounts));
    if (accounts == NULL)
        return ERR_MEMORY;
    AUTO(query_done) struct query query = query_open(txn, SQL_ACCOUNT_LIST);
    while ((err = query_row(&query)) == ERR_NONE && count < room) {
        err = read_account(txn, &query, arena, &accounts[count++]);
        if (err != ERR_NONE)
            return err;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_accounts = accounts;
    *ret_count = count;
    return ERR_NONE;
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum err change_by_user(
    struct store_txn *txn, enum sql sql, struct span user, int64_t *ret_changed)
{
    AUTO(query_done) struct query query = query_open(txn, sql);
    query_put_text(&query, user);
    return query_change(&query, ret_changed);
}

static enum err insert_grant(
    struct store_txn *txn, const struct account *account, const struct grant *grant)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_GRANT_INSERT);
    query_put_text(&query, account->user);
    query_put_int(&query, grant->hub_id);
    query_put_int(&query, grant->role);
    return query_change(&query, NULL);
}

enum err sqlite_account_put(struct store_txn *txn, const struct account *account)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_ACCOUNT_PUT);
    query_put_text(&query, account->user);
    query_put_text(&query, account->password_hash);
    query_put_int(&query, account->must_change);
    query_put_int(&query, account->disabled);
    enum err err = query_change(&query, NULL);
    if (err == ERR_NONE)
        err = change_by_user(txn, SQL_GRANTS_DELETE, account->user, NULL);
    for (size_t i = 0; i < account->grant_count && err == ERR_NONE; i++)
        err = insert_grant(txn, account, &account->grants[i]);
    return err;
}

enum err sqlite_account_delete(struct store_txn *txn, struct span user)
{
    int64_t changed = 0;
    enum err err = change_by_user(txn, SQL_ACCOUNT_DELETE, user, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

/* ---- web sessions ---------------------------------------------------------------------------- */

enum err sqlite_web_session_get(struct store_txn *txn, struct arena *arena, struct span token_hash,
    struct web_session *ret_session)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_WEB_SESSION_GET);
    query_put_bytes(&query, token_hash);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    struct web_session session = {0};
    if (!query_copy(&query, arena, &session.token_hash) ||
        !query_copy(&query, arena, &session.user))
        return ERR_MEMORY;
    session.created_us = query_int(&query);
    session.used_us = query_int(&query);
    if (!query_copy(&query, arena, &session.address) || !query_copy(&query, arena, &session.agent))
        return ERR_MEMORY;
    *ret_session = session;
    return ERR_NONE;
}

static enum err trim_sessions(struct store_txn *txn, struct span user, size_t keep)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_WEB_SESSION_TRIM);
    query_put_text(&query, user);
    query_put_int(&query, keep > INT64_MAX ? INT64_MAX : (int64_t)keep);
    return query_change(&query, NULL);
}

enum err sqlite_web_session_insert(
    struct store_txn *txn, const struct web_session *session, size_t keep)
{
    /* Room is made before: of sessions of the same moment the new one must be the one that stays.
     */
    enum err err = trim_sessions(txn, session->user, keep - 1);
    if (err != ERR_NONE)
        return err;
    AUTO(query_done) struct query query = query_open(txn, SQL_WEB_SESSION_INSERT);
    query_put_bytes(&query, session->token_hash);
    query_put_text(&query, session->user);
    query_put_int(&query, session->created_us);
    query_put_int(&query, session->used_us);
    query_put_text(&query, session->address);
    query_put_text(&query, session->agent);
    return query_change(&query, NULL);
}

enum err sqlite_web_session_touch(struct store_txn *txn, struct span token_hash, int64_t used_us)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_WEB_SESSION_TOUCH);
    query_put_int(&query, used_us);
    query_put_bytes(&query, token_hash);
    return query_change(&query, NULL);
}

enum err sqlite_web_session_delete(struct store_txn *txn, struct span token_hash)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_WEB_SESSION_DELETE);
    query_put_bytes(&query, token_hash);
    return query_change(&query, NULL);
}

enum err sqlite_web_session_delete_user(
    struct store_txn *txn, struct span user, struct span but_token_hash)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_WEB_SESSION_DELETE_USER);
    query_put_text(&query, user);
    query_put_bytes(&query, but_token_hash);
    return query_change(&query, NULL);
}

enum err sqlite_web_session_prune(
    struct store_txn *txn, int64_t created_before_us, int64_t used_before_us)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_WEB_SESSION_PRUNE);
    query_put_int(&query, created_before_us);
    query_put_int(&query, used_before_us);
    return query_change(&query, NULL);
}
