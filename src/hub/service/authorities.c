/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authorities of a hub: whoever shows a certificate that one of them signed, with the name of a
 * device that authenticates so, is that device. That an administrator of the hub uploads one is
 * what verifies it; there is nobody else here who could claim another's authority.
 */
#include "service_priv.h"

#include "base64.h"
#include "certificate.h"

#define NAME_MAX_BYTES 64

static enum err find(struct rest *rest, struct ca_certificate *ret_certificate)
{
    enum err err =
        store_ca_get(rest->txn, rest->arena, rest->hub_id, rest->arguments[0], ret_certificate);
    if (err == ERR_NOT_FOUND)
        return fail(ERR_NO_ROUTE, rest->why, "the hub has no certificate \"%.*s\"",
            SPAN_ARG(rest->arguments[0]));
    return err;
}

/* ---- for those who connect ------------------------------------------------------------------- */

enum err authorities_verify(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span chain, int64_t now_us, unsigned skew_s, struct span *ret_authority,
    int64_t *ret_until_us, struct why *why)
{
    struct ca_certificate *certificates = NULL;
    size_t count = 0;
    size_t which = 0;
    enum err err = store_ca_list(txn, arena, hub_id, &certificates, &count);
    if (err != ERR_NONE)
        return err;
    struct span *authorities = arena_alloc(arena, count * sizeof(*authorities));
    if (authorities == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        authorities[i] = certificates[i].certificate;
    err = certificate_verify(chain, authorities, count, now_us, skew_s, &which, ret_until_us, why);
    if (err == ERR_NONE)
        *ret_authority = authorities[which];
    return err;
}

enum err authorities_check_mark(
    struct store_txn *txn, struct arena *arena, int64_t hub_id, uint64_t mark, struct why *why)
{
    struct ca_certificate *certificates = NULL;
    size_t count = 0;
    enum err err = store_ca_list(txn, arena, hub_id, &certificates, &count);
    for (size_t i = 0; i < count && err == ERR_NONE; i++)
        if (auth_key_mark(certificates[i].certificate) == mark)
            return ERR_NONE;
    if (err != ERR_NONE)
        return err;
    return fail(ERR_UNAUTHORIZED, why, "the hub's authority was removed at this moment");
}

/* ---- the operations -------------------------------------------------------------------------- */

static enum err write_certificate(
    struct rest *rest, const struct ca_certificate *row, struct buf *out)
{
    struct certificate facts;
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = certificate_read(rest->arena, row->certificate, &facts, rest->why);
    if (err != ERR_NONE)
        return err == ERR_MEMORY ? err : ERR_CORRUPT;
    buf_add_text(out, "{\"name\":");
    json_write_string(row->name, out);
    write_text_member(out, "etag", span_of(identity_etag(row->etag, etag)));
    buf_add_text(out, ",\"properties\":{\"isVerified\":true");
    write_text_member(out, "subject", facts.subject);
    write_text_member(out, "thumbprint", span_of(facts.sha1));
    write_text_member(out, "sha256Thumbprint", span_of(facts.sha256));
    write_time_member(out, "expiry", facts.until_us);
    write_time_member(out, "created", row->created_us);
    write_time_member(out, "updated", row->updated_us);
    buf_add_text(out, ",\"certificate\":\"");
    base64_write(row->certificate, out);
    buf_add_text(out, "\"}}");
    return ERR_NONE;
}

static enum err respond_certificate(
    struct rest *rest, int status, const struct ca_certificate *certificate)
{
    char etag[IDENTITY_ETAG_SIZE];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = write_certificate(rest, certificate, &body);
    if (err == ERR_NONE)
        err = respond_json(rest, status, &body);
    return err == ERR_NONE ? respond_etag(rest, identity_etag(certificate->etag, etag)) : err;
}

enum err authorities_list(struct rest *rest)
{
    struct ca_certificate *certificates = NULL;
    size_t count = 0;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = store_ca_list(rest->txn, rest->arena, rest->hub_id, &certificates, &count);
    buf_add_text(&body, "{\"value\":[");
    for (size_t i = 0; i < count && err == ERR_NONE; i++) {
        buf_add_text(&body, i == 0 ? "" : ",");
        err = write_certificate(rest, &certificates[i], &body);
    }
    buf_add_text(&body, "]}");
    return err == ERR_NONE ? respond_json(rest, 200, &body) : err;
}

enum err authorities_get(struct rest *rest)
{
    struct ca_certificate certificate;
    enum err err = find(rest, &certificate);
    return err == ERR_NONE ? respond_certificate(rest, 200, &certificate) : err;
}

static enum err check_name(struct span name, struct why *why)
{
    bool fits = name.len > 0 && name.len <= NAME_MAX_BYTES;
    for (size_t i = 0; i < name.len && fits; i++) {
        char c = name.ptr[i];
        fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_';
    }
    if (fits)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why,
        "the name of a certificate has 1 to %d letters, digits, '-', '.' or '_'", NAME_MAX_BYTES);
}

/* {"certificate": …}, or as Azure's management has it {"properties": {"certificate": …}}. */
enum err authorities_prepare(struct rest *rest)
{
    const struct json *properties = json_find_text(rest->body, "properties");
    struct span text = json_string_of(rest->body, "certificate");
    struct span *der = arena_alloc(rest->arena, sizeof(*der));
    if (der == NULL)
        return ERR_MEMORY;
    if (text.len == 0 && json_is(properties, JSON_OBJECT))
        text = json_string_of(properties, "certificate");
    if (text.len == 0)
        return fail(ERR_ARGUMENT, rest->why, "the body needs the member certificate, a string");
    enum err err = check_name(rest->arguments[0], rest->why);
    if (err == ERR_NONE)
        err = certificate_of_text(rest->arena, text, der, rest->why);
    if (err == ERR_NONE)
        err = certificate_check_authority(*der, rest->why);
    rest->input = der;
    return err;
}

/* Sessions that the certificate let in end. */
static enum err end_sessions(struct rest *rest, struct span authority)
{
    struct effect *effect;
    enum err err = rest_add_effect(rest, EFFECT_POLICY_KEY, &effect);
    if (err == ERR_NONE)
        effect->mark = auth_key_mark(authority);
    return err;
}

/* There is room, and no other name has the same certificate: which of the two let somebody in could
 * not be told. */
static enum err check_others(struct rest *rest, struct span der)
{
    struct ca_certificate *others = NULL;
    size_t count = 0;
    size_t most = rest->service->options.limits.certificates_per_hub;
    bool is_new = true;
    enum err err = store_ca_list(rest->txn, rest->arena, rest->hub_id, &others, &count);
    for (size_t i = 0; i < count && err == ERR_NONE; i++) {
        bool same_name = span_eq(others[i].name, rest->arguments[0]);
        is_new = is_new && !same_name;
        if (!same_name && span_eq(others[i].certificate, der))
            err = fail(ERR_CONFLICT, rest->why, "the hub has this certificate already, as \"%.*s\"",
                SPAN_ARG(others[i].name));
    }
    if (err == ERR_NONE && is_new && count >= most)
        return fail(ERR_QUOTA, rest->why,
            "the hub has %zu certificates, at most %zu are allowed (limits.certificates_per_hub)",
            count, most);
    return err;
}

enum err authorities_put(struct rest *rest)
{
    struct ca_certificate before;
    struct ca_certificate row = {.name = rest->arguments[0],
        .certificate = *(const struct span *)rest->input,
        .etag = 1,
        .created_us = now_us(rest->service),
        .updated_us = now_us(rest->service)};
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = check_others(rest, row.certificate);
    if (err != ERR_NONE)
        return err;
    err = store_ca_get(rest->txn, rest->arena, rest->hub_id, row.name, &before);
    bool exists = err == ERR_NONE;
    if (exists) {
        row.etag = before.etag + 1;
        row.created_us = before.created_us;
        err = match_check(&rest->match, span_of(identity_etag(before.etag, etag)), rest->why);
    } else if (err == ERR_NOT_FOUND) {
        err = ERR_NONE;
    }
    if (err == ERR_NONE && exists && !span_eq(before.certificate, row.certificate))
        err = end_sessions(rest, before.certificate);
    if (err == ERR_NONE)
        err = store_ca_put(rest->txn, rest->hub_id, &row);
    return err == ERR_NONE ? respond_certificate(rest, exists ? 200 : 201, &row) : err;
}

enum err authorities_delete(struct rest *rest)
{
    struct ca_certificate certificate;
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = find(rest, &certificate);
    if (err == ERR_NONE)
        err = match_check(&rest->match, span_of(identity_etag(certificate.etag, etag)), rest->why);
    if (err == ERR_NONE)
        err = end_sessions(rest, certificate.certificate);
    if (err == ERR_NONE)
        err = store_ca_delete(rest->txn, rest->hub_id, certificate.name);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}
