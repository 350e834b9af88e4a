/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of the server, as an administrator keeps them. Passwords are never chosen here: an
 * account begins with a one-time password, which is told once and must be changed at first use.
 */
#include "service_priv.h"

#define USER_MAX_BYTES 64

/* ---- what is shown --------------------------------------------------------------------------- */

static struct span hub_name_of(const struct hub_table *table, int64_t hub_id)
{
    const struct hub_record *hub;
    if (hub_id == GRANT_EVERY_HUB)
        return SPAN_LIT("*");
    for (size_t i = 0; (hub = hub_at(table, i)) != NULL; i++)
        if (hub->id == hub_id)
            return hub->name;
    return SPAN_NONE; /* deleted just now */
}

static void write_roles(
    const struct hub_table *table, const struct account *account, struct buf *out)
{
    bool first = true;
    buf_add_byte(out, '[');
    for (size_t i = 0; i < account->grant_count; i++) {
        struct span hub = hub_name_of(table, account->grants[i].hub_id);
        if (hub.len == 0)
            continue;
        buf_add_text(out, first ? "{\"hub\":" : ",{\"hub\":");
        json_write_string(hub, out);
        buf_add_format(out, ",\"role\":\"%s\"}", access_role_name(account->grants[i].role));
        first = false;
    }
    buf_add_byte(out, ']');
}

static void write_account(
    const struct hub_table *table, const struct account *account, struct buf *out)
{
    buf_add_text(out, "{\"user\":");
    json_write_string(account->user, out);
    buf_add_text(out, ",\"roles\":");
    write_roles(table, account, out);
    buf_add_format(out, ",\"mustChange\":%s,\"disabled\":%s",
        account->must_change ? "true" : "false", account->disabled ? "true" : "false");
}

/* The hubs as this transaction sees them. */
static enum err read_hubs(struct rest *rest)
{
    hub_table_free(rest->hubs);
    rest->hubs = NULL;
    return hub_table_read(rest->txn, &rest->hubs);
}

enum err accounts_list(struct rest *rest)
{
    struct account *accounts;
    size_t count;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = read_hubs(rest);
    if (err == ERR_NONE)
        err = store_account_list(rest->txn, rest->arena, &accounts, &count);
    if (err != ERR_NONE)
        return err;
    buf_add_byte(&body, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_text(&body, i == 0 ? "" : ",");
        write_account(rest->hubs, &accounts[i], &body);
        buf_add_byte(&body, '}');
    }
    buf_add_byte(&body, ']');
    return respond_json(rest, 200, &body);
}

static enum err respond_account(struct rest *rest, const struct account *account)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    write_account(rest->hubs, account, &body);
    buf_add_byte(&body, '}');
    return respond_json(rest, 200, &body);
}

static enum err respond_password(struct rest *rest, int status, struct span user)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"user\":");
    json_write_string(user, &body);
    write_text_member(&body, "password", span_of(rest->input));
    buf_add_byte(&body, '}');
    enum err err = respond_json(rest, status, &body);
    mem_wipe(body.ptr, body.len);
    return err;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static bool is_user_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._-+@", c) != NULL);
}

static enum err check_user(struct span user, struct why *why)
{
    bool good = user.len > 0 && user.len <= USER_MAX_BYTES;
    for (size_t i = 0; i < user.len && good; i++)
        good = is_user_character(user.ptr[i]);
    if (good)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why,
        "a user's name has 1 to %u characters of A-Z, a-z, 0-9 and . _ - + @", USER_MAX_BYTES);
}

static enum err read_role(const struct json *item, enum role *ret_role, struct why *why)
{
    struct span name = json_string_of(item, "role");
    for (enum role role = ROLE_READER; role <= ROLE_ADMINISTRATOR; role++) {
        if (!span_is(name, access_role_name(role)))
            continue;
        *ret_role = role;
        return ERR_NONE;
    }
    return fail(ERR_ARGUMENT, why, "a role is reader, operator or administrator, not \"%.*s\"",
        SPAN_ARG(name));
}

static enum err read_grant(struct rest *rest, const struct json *item, struct account *account)
{
    struct grant grant = {.hub_id = GRANT_EVERY_HUB};
    struct span name = json_string_of(item, "hub");
    enum err err = read_role(item, &grant.role, rest->why);
    if (err != ERR_NONE)
        return err;
    if (!span_is(name, "*")) {
        const struct hub_record *hub = hub_find_by_name(rest->hubs, name);
        if (hub == NULL)
            return fail(ERR_ARGUMENT, rest->why, "there is no hub \"%.*s\"", SPAN_ARG(name));
        grant.hub_id = hub->id;
    }
    for (size_t i = 0; i < account->grant_count; i++)
        if (account->grants[i].hub_id == grant.hub_id)
            return fail(ERR_ARGUMENT, rest->why, "the hub \"%.*s\" has two roles", SPAN_ARG(name));
    account->grants[account->grant_count++] = grant;
    return ERR_NONE;
}

static enum err read_roles(struct rest *rest, struct account *account)
{
    const struct json *roles = json_find_text(rest->body, "roles");
    if (!json_is(roles, JSON_ARRAY))
        return fail(ERR_ARGUMENT, rest->why,
            "roles must be an array of {\"hub\":…,\"role\":…}, where hub \"*\" is every hub");
    account->grant_count = 0;
    account->grants = arena_alloc(rest->arena, (roles->count + 1) * sizeof(*account->grants));
    if (account->grants == NULL)
        return ERR_MEMORY;
    enum err err = ERR_NONE;
    for (const struct json *item = roles->first; item != NULL && err == ERR_NONE; item = item->next)
        err = read_grant(rest, item, account);
    return err;
}

/* ---- what stays as it must ------------------------------------------------------------------- */

static bool is_administrator(const struct account *account)
{
    return !account->disabled && access_role(account, GRANT_EVERY_HUB) == ROLE_ADMINISTRATOR;
}

/* Without an administrator nobody could make another one. */
static enum err check_administrator_stays(struct rest *rest, struct span but_user)
{
    struct account *accounts;
    size_t count;
    enum err err = store_account_list(rest->txn, rest->arena, &accounts, &count);
    if (err != ERR_NONE)
        return err;
    for (size_t i = 0; i < count; i++)
        if (is_administrator(&accounts[i]) && !span_eq(accounts[i].user, but_user))
            return ERR_NONE;
    return fail(ERR_CONFLICT, rest->why, "\"%.*s\" is the last administrator of the server",
        SPAN_ARG(but_user));
}

static enum err find_account(struct rest *rest, struct account *ret_account)
{
    enum err err = store_account_get(rest->txn, rest->arena, rest->arguments[0], ret_account);
    if (err == ERR_NOT_FOUND)
        return fail(
            ERR_NO_ROUTE, rest->why, "there is no account \"%.*s\"", SPAN_ARG(rest->arguments[0]));
    return err;
}

/* All of the account's sessions end, but for the one that asks, should it be its own. */
static enum err end_sessions(struct rest *rest, struct span user)
{
    return store_web_session_delete_user(rest->txn, user, rest->access->token_hash);
}

static enum err note_roles(struct rest *rest, const struct account *account)
{
    AUTO(buf_done) struct buf detail = BUF_EMPTY;
    buf_add_text(&detail, "{\"roles\":");
    write_roles(rest->hubs, account, &detail);
    buf_add_format(&detail, ",\"disabled\":%s}", account->disabled ? "true" : "false");
    rest->audit.target = account->user;
    return !detail.failed && arena_span(rest->arena, buf_span(&detail), &rest->audit.detail)
               ? ERR_NONE
               : ERR_MEMORY;
}

/* ---- one-time passwords ---------------------------------------------------------------------- */

static enum err ask_for_password(struct rest *rest)
{
    struct access_password *password = arena_alloc(rest->arena, sizeof(*password));
    char *text = arena_alloc(rest->arena, PASSWORD_GENERATED_SIZE);
    char *told = arena_alloc(rest->arena, PASSWORD_GENERATED_SIZE);
    if (password == NULL || text == NULL || told == NULL)
        return ERR_MEMORY;
    enum err err = password_generate(text, rest->why);
    if (err != ERR_NONE)
        return err;
    memcpy(told, text, PASSWORD_GENERATED_SIZE);
    password->fresh = span_of(text);
    rest->access->password = password;
    rest->input = told;
    return ERR_NONE;
}

enum err accounts_prepare_create(struct rest *rest)
{
    enum err err = check_user(json_string_of(rest->body, "user"), rest->why);
    return err == ERR_NONE ? ask_for_password(rest) : err;
}

enum err accounts_prepare_reset(struct rest *rest)
{
    return ask_for_password(rest);
}

/* ---- changes --------------------------------------------------------------------------------- */

static enum err check_room(struct rest *rest, struct span user)
{
    struct account *accounts;
    size_t count;
    size_t most = rest->service->options.limits.access.accounts;
    enum err err = store_account_list(rest->txn, rest->arena, &accounts, &count);
    if (err != ERR_NONE)
        return err;
    for (size_t i = 0; i < count; i++)
        if (span_eq(accounts[i].user, user))
            return fail(
                ERR_CONFLICT, rest->why, "there is an account \"%.*s\" already", SPAN_ARG(user));
    if (count >= most)
        return fail(ERR_QUOTA, rest->why,
            "there are %zu accounts, at most %zu are allowed (access.accounts)", count, most);
    return ERR_NONE;
}

enum err accounts_create(struct rest *rest)
{
    struct account account = {.user = json_string_of(rest->body, "user"),
        .password_hash = span_of(rest->access->password->fresh_hash),
        .must_change = true};
    enum err err = check_room(rest, account.user);
    if (err == ERR_NONE)
        err = read_hubs(rest);
    if (err == ERR_NONE)
        err = read_roles(rest, &account);
    if (err == ERR_NONE)
        err = note_roles(rest, &account);
    if (err == ERR_NONE)
        err = store_account_put(rest->txn, &account);
    return err == ERR_NONE ? respond_password(rest, 201, account.user) : err;
}

static enum err read_disabled(struct rest *rest, struct account *account)
{
    const struct json *disabled = json_find_text(rest->body, "disabled");
    if (disabled == NULL)
        return ERR_NONE;
    if (disabled->kind != JSON_BOOL)
        return fail(ERR_ARGUMENT, rest->why, "disabled is %s, it must be a boolean",
            json_kind_name(disabled));
    account->disabled = disabled->truth;
    return ERR_NONE;
}

enum err accounts_update(struct rest *rest)
{
    struct account account;
    enum err err = find_account(rest, &account);
    if (err != ERR_NONE)
        return err;
    bool was_administrator = is_administrator(&account);
    err = read_hubs(rest);
    if (err == ERR_NONE && json_find_text(rest->body, "roles") != NULL)
        err = read_roles(rest, &account);
    if (err == ERR_NONE)
        err = read_disabled(rest, &account);
    if (err == ERR_NONE && was_administrator && !is_administrator(&account))
        err = check_administrator_stays(rest, account.user);
    if (err == ERR_NONE)
        err = note_roles(rest, &account);
    if (err == ERR_NONE)
        err = store_account_put(rest->txn, &account);
    if (err == ERR_NONE)
        err = end_sessions(rest, account.user);
    return err == ERR_NONE ? respond_account(rest, &account) : err;
}

enum err accounts_delete(struct rest *rest)
{
    struct account account;
    enum err err = find_account(rest, &account);
    if (err == ERR_NONE && is_administrator(&account))
        err = check_administrator_stays(rest, account.user);
    if (err == ERR_NONE)
        err = store_account_delete(rest->txn, account.user);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

enum err accounts_reset(struct rest *rest)
{
    struct account account;
    enum err err = find_account(rest, &account);
    if (err != ERR_NONE)
        return err;
    account.password_hash = span_of(rest->access->password->fresh_hash);
    account.must_change = true;
    rest->audit.target = account.user;
    err = store_account_put(rest->txn, &account);
    if (err == ERR_NONE)
        err = store_web_session_delete_user(rest->txn, account.user, SPAN_NONE);
    return err == ERR_NONE ? respond_password(rest, 200, account.user) : err;
}
