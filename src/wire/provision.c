/* SPDX-License-Identifier: Apache-2.0 */
#include "provision.h"

#include "base64.h"
#include "urlcode.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define SCOPE_BEGIN "0ne"
#define ID_MAX_BYTES 128

static const struct span word = SPAN_INIT("registrations");
static const struct span register_begin = SPAN_INIT("$dps/registrations/PUT/iotdps-register/?");
static const struct span status_begin =
    SPAN_INIT("$dps/registrations/GET/iotdps-get-operationstatus/?");

/* {scope}/registrations/{rest} */
static bool split(struct span text, struct span *ret_scope, struct span *ret_rest)
{
    struct span part;
    if (!span_cut(&text, '/', ret_scope) || !span_cut(&text, '/', &part))
        return false;
    *ret_rest = text;
    return span_eq_nocase(span_first(*ret_scope, sizeof(SCOPE_BEGIN) - 1), SPAN_LIT(SCOPE_BEGIN)) &&
           span_eq_nocase(part, word);
}

bool provision_is_user(struct span text)
{
    struct span scope;
    struct span rest;
    return split(text, &scope, &rest);
}

enum err provision_parse_user(struct span text, struct provision_user *ret_user, struct why *why)
{
    struct provision_user user;
    struct span rest;
    struct span version;
    if (!split(text, &user.id_scope, &rest) || !span_cut(&rest, '/', &user.registration_id) ||
        user.registration_id.len == 0)
        return fail(ERR_FORMAT, why,
            "the user name is not {idScope}/registrations/{registrationId}/api-version=…");
    if (span_starts(rest, SPAN_LIT("?")))
        rest = span_from(rest, 1);
    if (!url_query_find(rest, "api-version", &version) || version.len == 0)
        return fail(ERR_FORMAT, why, "the user name has no api-version");
    *ret_user = user;
    return ERR_NONE;
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

enum err provision_check_id(struct span registration_id, struct why *why)
{
    size_t len = registration_id.len;
    bool fits = len > 0 && len <= ID_MAX_BYTES && is_letter_or_digit(registration_id.ptr[len - 1]);
    for (size_t i = 0; i < len && fits; i++) {
        char c = registration_id.ptr[i];
        fits = is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == ':';
    }
    if (fits)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why,
        "an id of provisioning has 1 to %d letters, digits, '-', '.', '_' or ':', and ends in a "
        "letter or digit",
        ID_MAX_BYTES);
}

enum err provision_parse_topic(struct span text, struct provision_topic *ret_topic, struct why *why)
{
    struct provision_topic topic = {.is_status = span_starts(text, status_begin)};
    if (!topic.is_status && !span_starts(text, register_begin))
        return fail(ERR_NOT_FOUND, why, "there is no topic \"%.*s\" for provisioning",
            SPAN_ARG(span_first(text, 100)));
    struct span query = span_from(text, topic.is_status ? status_begin.len : register_begin.len);
    if (!url_query_find(query, "$rid", &topic.rid) || topic.rid.len == 0)
        return fail(ERR_ARGUMENT, why, "the topic has no $rid");
    if (topic.is_status &&
        (!url_query_find(query, "operationId", &topic.operation_id) || topic.operation_id.len == 0))
        return fail(ERR_ARGUMENT, why, "the topic has no operationId");
    *ret_topic = topic;
    return ERR_NONE;
}

bool provision_is_filter(struct span text)
{
    return span_is(text, PROVISION_FILTER);
}

void provision_write_topic(struct buf *out, int status, struct span rid, unsigned retry_s)
{
    buf_add_format(out, "$dps/registrations/res/%d/?$rid=", status);
    buf_add(out, rid);
    if (retry_s > 0)
        buf_add_format(out, "&retry-after=%u", retry_s);
}

#define API_VERSION "2019-03-31"

void provision_write_user(
    const struct provision_user *user, struct span client_version, struct buf *out)
{
    buf_add(out, user->id_scope);
    buf_add_text(out, "/registrations/");
    buf_add(out, user->registration_id);
    buf_add_text(out, "/api-version=" API_VERSION "&ClientVersion=");
    url_encode(client_version, out);
}

void provision_write_register(struct buf *out, struct span rid)
{
    buf_add(out, register_begin);
    buf_add_text(out, "$rid=");
    buf_add(out, rid);
}

void provision_write_status(struct buf *out, struct span rid, struct span operation_id)
{
    buf_add(out, status_begin);
    buf_add_text(out, "$rid=");
    buf_add(out, rid);
    buf_add_text(out, "&operationId=");
    url_encode(operation_id, out);
}

enum err provision_parse_answer(
    struct span text, struct provision_answer *ret_answer, struct why *why)
{
    static const struct span begin = SPAN_INIT("$dps/registrations/res/");
    struct provision_answer answer = {0};
    struct span status;
    struct span retry;
    uint64_t number;
    struct span rest = span_from(text, begin.len);
    if (!span_starts(text, begin) || !span_cut(&rest, '/', &status) ||
        !span_u64(status, 999, &number) || !span_starts(rest, SPAN_LIT("?")))
        return fail(ERR_NOT_FOUND, why, "no answer of provisioning: \"%.*s\"",
            SPAN_ARG(span_first(text, 100)));
    answer.status = (int)number;
    rest = span_from(rest, 1);
    if (!url_query_find(rest, "$rid", &answer.rid) || answer.rid.len == 0)
        return fail(ERR_NOT_FOUND, why, "an answer of provisioning without $rid");
    if (url_query_find(rest, "retry-after", &retry) && span_u64(retry, 86400, &number))
        answer.retry_s = (unsigned)number;
    *ret_answer = answer;
    return ERR_NONE;
}

enum err provision_write_device_key(
    struct span group_key, struct span registration_id, struct buf *out, struct why *why)
{
    unsigned char key[BASE64_KEY_MAX_BYTES];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    size_t len = 0;
    enum err err = base64_decode(group_key, key, sizeof(key), &len, why);
    if (err != ERR_NONE)
        return err;
    bool made = HMAC(EVP_sha256(), key, (int)len, (const unsigned char *)registration_id.ptr,
                    registration_id.len, digest, &size) != NULL;
    if (made)
        base64_write((struct span){(const char *)digest, size}, out);
    mem_wipe(key, sizeof(key));
    mem_wipe(digest, sizeof(digest));
    return made && !out->failed ? ERR_NONE : ERR_MEMORY;
}
