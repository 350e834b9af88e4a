/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

#include "base64.h"

#include <argon2.h>

#define BASIC_MAX_BYTES 512

/* Verified in place of a password hash where there is no such user, so that the time tells nothing:
 * the costs are those of `gemel-hub init`. */
static const char no_such_user[] = "$argon2id$v=19$m=32768,t=2,p=1$Z2VtZWwtbm8tc3VjaC11c2Vy$"
                                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

void auth_wipe(struct span secret)
{
    mem_wipe((char *)secret.ptr, secret.len);
}

static enum err check_keys(
    const struct sas *sas, struct span primary, struct span secondary, struct why *why)
{
    /* Both are always tried: the time must not tell which one fits. */
    struct why of_second = {""};
    enum err first = sas_check_signature(sas, primary, why);
    enum err second = sas_check_signature(sas, secondary, &of_second);
    if (first == ERR_NONE || second == ERR_NONE)
        return ERR_NONE;
    if (first == ERR_UNAUTHORIZED && second != ERR_UNAUTHORIZED)
        return fail(second, why, "%s", of_second.text);
    return first;
}

static const struct policy *find_policy(const struct hub_record *hub, struct span name)
{
    for (size_t i = 0; i < hub->policy_count; i++)
        if (span_eq(hub->policies[i].name, name))
            return &hub->policies[i];
    return NULL;
}

enum err auth_token(const struct service *service, const struct hub_record *hub,
    const struct sas *sas, struct span resource, unsigned *ret_rights, struct why *why)
{
    if (!hub_has_host(hub, sas->host))
        return fail(ERR_UNAUTHORIZED, why, "the token is for the host %.*s, which is not this hub",
            SPAN_ARG(sas->host));
    enum err err = sas_check_time(sas, now_us(service), service->options.limits.skew_seconds, why);
    if (err == ERR_NONE)
        err = sas_check_audience(sas, resource, why);
    if (err != ERR_NONE)
        return err;
    if (sas->policy.len == 0) {
        *ret_rights = 0;
        return ERR_NONE;
    }
    const struct policy *policy = find_policy(hub, sas->policy);
    if (policy == NULL)
        return fail(ERR_UNAUTHORIZED, why, "the hub has no policy \"%.*s\"", SPAN_ARG(sas->policy));
    err = check_keys(sas, policy->primary_key, policy->secondary_key, why);
    if (err == ERR_NONE)
        *ret_rights = policy->rights;
    return err;
}

enum err auth_identity_key(const struct sas *sas, const struct identity *identity, struct why *why)
{
    return check_keys(sas, identity->primary_key, identity->secondary_key, why);
}

struct credentials {
    char text[BASIC_MAX_BYTES];
    struct span user;
    struct span password;
};

static enum err read_basic(
    struct span authorization, struct credentials *ret_credentials, struct why *why)
{
    size_t len = 0;
    if (!span_eq_nocase(span_first(authorization, 6), SPAN_LIT("Basic ")))
        return fail(ERR_UNAUTHORIZED, why,
            "this takes the user and password of an administrator of the server (HTTP Basic)");
    enum err err = base64_decode(span_trim(span_from(authorization, 6)), ret_credentials->text,
        sizeof(ret_credentials->text), &len, why);
    if (err != ERR_NONE)
        return fail(ERR_UNAUTHORIZED, why, "the credentials are no base64");
    struct span text = {ret_credentials->text, len};
    size_t colon = span_find(text, ':');
    if (colon == text.len)
        return fail(ERR_UNAUTHORIZED, why, "the credentials hold no colon");
    ret_credentials->user = span_first(text, colon);
    ret_credentials->password = span_from(text, colon + 1);
    return ERR_NONE;
}

static enum err check_password(struct store_txn *txn, struct arena *arena,
    const struct credentials *credentials, struct why *why)
{
    struct account account;
    enum err err = store_account_get(txn, arena, credentials->user, &account);
    if (err != ERR_NONE && err != ERR_NOT_FOUND)
        return err;
    const char *hash = err == ERR_NONE ? arena_text(arena, account.password_hash) : no_such_user;
    if (hash == NULL)
        return ERR_MEMORY;
    int verdict = argon2id_verify(hash, credentials->password.ptr, credentials->password.len);
    if (verdict == ARGON2_MEMORY_ALLOCATION_ERROR)
        return ERR_MEMORY;
    if (verdict != ARGON2_OK || err != ERR_NONE)
        return fail(ERR_UNAUTHORIZED, why, "user or password are wrong");
    if (account.disabled)
        return fail(ERR_UNAUTHORIZED, why, "user or password are wrong");
    if (account.grant_count == 0 || account.grants[0].hub_id != GRANT_EVERY_HUB ||
        account.grants[0].role != ROLE_ADMINISTRATOR)
        return fail(ERR_FORBIDDEN, why, "the account is no administrator of the server");
    return ERR_NONE;
}

enum err auth_administrator(
    struct store_txn *txn, struct arena *arena, struct span authorization, struct why *why)
{
    struct credentials credentials;
    enum err err = read_basic(authorization, &credentials, why);
    if (err == ERR_NONE)
        err = check_password(txn, arena, &credentials, why);
    mem_wipe(&credentials, sizeof(credentials));
    return err;
}
