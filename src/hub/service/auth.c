/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

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
