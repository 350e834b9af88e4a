/* SPDX-License-Identifier: Apache-2.0 */
/* Which enrollment lets a device in: its own, if there is one, or else a group whose key or
 * authority it can show to have. */
#include "enrollment.h"

#include "certificate.h"
#include "provision.h"

/* ---- by key ---------------------------------------------------------------------------------- */

/* The key of a device in a group. */
static enum err derive(
    struct arena *arena, struct span group_key, struct span registration_id, struct span *ret_key)
{
    AUTO(buf_wipe) struct buf text = BUF_EMPTY;
    enum err err = provision_write_device_key(group_key, registration_id, &text, NULL);
    if (err != ERR_NONE)
        return err == ERR_MEMORY ? err : ERR_CORRUPT;
    return arena_span(arena, buf_span(&text), ret_key) ? ERR_NONE : ERR_MEMORY;
}

static enum err judge_keys(struct rest *rest, struct enrollee *enrollee, bool group,
    const struct json *attestation, struct why *why)
{
    const struct json *keys = json_find_text(attestation, "symmetricKey");
    struct span primary = json_string_of(keys, "primaryKey");
    struct span secondary = json_string_of(keys, "secondaryKey");
    enum err err = ERR_NONE;
    if (!enrollee->by_token)
        return fail(ERR_FORBIDDEN, why, "the enrollment needs a token, none was sent");
    if (group)
        err = derive(rest->arena, primary, enrollee->registration_id, &primary);
    if (err == ERR_NONE && group)
        err = derive(rest->arena, secondary, enrollee->registration_id, &secondary);
    if (err != ERR_NONE)
        return err;
    if (sas_check_signature(&enrollee->sas, primary, why) != ERR_NONE &&
        sas_check_signature(&enrollee->sas, secondary, why) != ERR_NONE)
        return ERR_FORBIDDEN;
    enrollee->primary_key = primary;
    enrollee->secondary_key = secondary;
    return ERR_NONE;
}

/* ---- by certificate -------------------------------------------------------------------------- */

static bool is_one_of(struct arena *arena, const struct json *parts, const char *sha256)
{
    if (!json_is(parts, JSON_OBJECT))
        return false;
    json_each (part, parts) {
        struct span der;
        struct certificate expected;
        if (certificate_of_text(arena, json_string_of(part, "certificate"), &der, NULL) ==
                ERR_NONE &&
            certificate_read(arena, der, &expected, NULL) == ERR_NONE &&
            strcmp(expected.sha256, sha256) == 0)
            return true;
    }
    return false;
}

static enum err judge_own(
    struct rest *rest, const struct enrollee *enrollee, const struct json *x509, struct why *why)
{
    const struct json *parts = json_find_text(x509, "clientCertificates");
    if (!is_one_of(rest->arena, parts, enrollee->certificate->sha256))
        return fail(ERR_FORBIDDEN, why, "the certificate is not that of the enrollment");
    if (certificate_check_time(enrollee->certificate, now_us(rest->service),
            rest->service->options.limits.skew_seconds, why) != ERR_NONE)
        return ERR_FORBIDDEN;
    return ERR_NONE;
}

/* The authorities of a group: its own, or those of the hub that it names. */
static enum err read_authorities(
    struct rest *rest, const struct json *x509, struct span **ret_authorities, size_t *ret_count)
{
    const struct json *parts = json_is(x509, JSON_OBJECT) ? x509->first : NULL;
    struct span *authorities =
        arena_alloc(rest->arena, (parts == NULL ? 0 : parts->count) * sizeof(*authorities));
    size_t count = 0;
    if (authorities == NULL)
        return ERR_MEMORY;
    for (const struct json *part = parts == NULL ? NULL : parts->first; part != NULL;
         part = part->next) {
        struct ca_certificate row = {.etag = 0};
        enum err err = ERR_NONE;
        if (part->kind == JSON_STRING)
            err = store_ca_get(rest->txn, rest->arena, rest->hub_id, part->text, &row);
        else
            err = certificate_of_text(
                rest->arena, json_string_of(part, "certificate"), &row.certificate, NULL);
        if (err == ERR_NONE)
            authorities[count++] = row.certificate;
        else if (err != ERR_NOT_FOUND && err != ERR_ARGUMENT)
            return err;
    }
    *ret_authorities = authorities;
    *ret_count = count;
    return ERR_NONE;
}

static enum err judge_member(
    struct rest *rest, const struct enrollee *enrollee, const struct json *x509, struct why *why)
{
    struct span *authorities = NULL;
    size_t count = 0;
    size_t which;
    int64_t until_us;
    if (!span_eq_nocase(enrollee->certificate->common_name, enrollee->registration_id))
        return fail(ERR_FORBIDDEN, why, "the certificate's common name is not the registration id");
    enum err err = read_authorities(rest, x509, &authorities, &count);
    if (err == ERR_NONE)
        err = certificate_verify(enrollee->certificates, authorities, count, now_us(rest->service),
            rest->service->options.limits.skew_seconds, &which, &until_us, why);
    return err == ERR_UNAUTHORIZED ? ERR_FORBIDDEN : err;
}

/* ---- which ----------------------------------------------------------------------------------- */

static enum err judge(struct rest *rest, struct enrollee *enrollee,
    const struct enrollment *enrollment, struct why *why)
{
    struct json *document = NULL;
    bool group = enrollment->kind == ENROLLMENT_GROUP;
    enum err err = json_parse(rest->arena, enrollment->document, 0, &document, why);
    if (err != ERR_NONE)
        return err == ERR_MEMORY ? err : ERR_CORRUPT;
    const struct json *attestation = json_find_text(document, "attestation");
    const struct json *x509 = json_find_text(attestation, "x509");
    if (x509 == NULL)
        err = judge_keys(rest, enrollee, group, attestation, why);
    else if (enrollee->certificate == NULL)
        err = fail(ERR_FORBIDDEN, why, "the enrollment needs a certificate, none was shown");
    else
        err =
            group ? judge_member(rest, enrollee, x509, why) : judge_own(rest, enrollee, x509, why);
    if (err == ERR_NONE && span_is(json_string_of(document, "provisioningStatus"), "disabled"))
        err = fail(ERR_FORBIDDEN, why, "the enrollment is disabled");
    if (err == ERR_NONE)
        enrollee->document = document;
    return err;
}

struct search {
    struct rest *rest;
    struct enrollee *enrollee;
    bool found;
};

/* A group that does not fit is passed over. */
static enum err try_group(void *self, const struct enrollment *group)
{
    struct search *search = self;
    struct rest *rest = search->rest;
    struct enrollment copy = *group;
    struct why why = {""};
    if (!arena_span(rest->arena, group->document, &copy.document))
        return ERR_MEMORY;
    enum err err = judge(rest, search->enrollee, &copy, &why);
    if (err == ERR_FORBIDDEN)
        return ERR_NONE;
    if (err != ERR_NONE)
        return err;
    search->found = true;
    return arena_span(rest->arena, group->id, &search->enrollee->group_id) ? ERR_CANCELLED
                                                                           : ERR_MEMORY;
}

enum err enrollee_judge(struct rest *rest, struct enrollee *enrollee)
{
    struct enrollment own;
    struct search search = {.rest = rest, .enrollee = enrollee};
    struct span id = enrollment_id(rest->arena, enrollee->registration_id);
    enrollee->group_id = SPAN_NONE;
    if (id.len == 0)
        return ERR_MEMORY;
    enum err err =
        store_enrollment_get(rest->txn, rest->arena, rest->hub_id, ENROLLMENT_INDIVIDUAL, id, &own);
    if (err == ERR_NONE)
        return judge(rest, enrollee, &own, rest->why);
    if (err != ERR_NOT_FOUND)
        return err;
    err = store_enrollment_list(rest->txn, rest->hub_id, ENROLLMENT_GROUP, SPAN_NONE,
        rest->service->options.limits.enrollment_groups, try_group, &search);
    if (search.found && err == ERR_CANCELLED)
        return ERR_NONE;
    if (err != ERR_NONE)
        return err;
    return fail(ERR_FORBIDDEN, rest->why, "no enrollment lets this registration in");
}
