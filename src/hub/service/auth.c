/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

#include <openssl/sha.h>

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

/* ---- marks of keys --------------------------------------------------------------------------- */

uint64_t auth_key_mark(struct span key)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    uint64_t mark;
    SHA256((const unsigned char *)key.ptr, key.len, hash);
    memcpy(&mark, hash, sizeof(mark));
    return mark == 0 ? 1 : mark;
}

/* Other than the mark of a policy's key with the same text, which may go while this one stays. */
uint64_t auth_own_mark(struct span key)
{
    uint64_t mark = ~auth_key_mark(key);
    return mark == 0 ? 1 : mark;
}

uint64_t auth_policy_mark(const struct hub_record *hub, const struct sas *sas)
{
    const struct policy *policy = find_policy(hub, sas->policy);
    if (policy == NULL)
        return 0;
    if (sas_check_signature(sas, policy->primary_key, NULL) == ERR_NONE)
        return auth_key_mark(policy->primary_key);
    if (sas_check_signature(sas, policy->secondary_key, NULL) == ERR_NONE)
        return auth_key_mark(policy->secondary_key);
    return 0;
}

enum err auth_identity_key(
    const struct sas *sas, const struct identity *identity, uint64_t *ret_mark, struct why *why)
{
    enum err err = check_keys(sas, identity->primary_key, identity->secondary_key, why);
    if (err != ERR_NONE)
        return err;
    bool primary = sas_check_signature(sas, identity->primary_key, NULL) == ERR_NONE;
    *ret_mark = auth_own_mark(primary ? identity->primary_key : identity->secondary_key);
    return ERR_NONE;
}

bool auth_mark_is_current(
    struct service *service, int64_t hub_id, struct span policy_name, uint64_t mark)
{
    const struct hub_record *hub;
    bool found = false;
    const struct hub_table *table = hub_cache_lock(&service->hubs);
    for (size_t i = 0; (hub = hub_at(table, i)) != NULL; i++) {
        const struct policy *policy = hub->id == hub_id ? find_policy(hub, policy_name) : NULL;
        if (policy != NULL)
            found = auth_key_mark(policy->primary_key) == mark ||
                    auth_key_mark(policy->secondary_key) == mark;
    }
    hub_cache_unlock(&service->hubs);
    return found;
}
