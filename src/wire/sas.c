/* SPDX-License-Identifier: Apache-2.0 */
#include "sas.h"

#include "base64.h"
#include "host.h"
#include "urlcode.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const struct span scheme = {"SharedAccessSignature ", sizeof("SharedAccessSignature ") - 1};

/* Longer keys are no keys of ours (base64.h), but a policy's key may come from elsewhere. */
#define KEY_MAX_BYTES 256

enum field { FIELD_SR, FIELD_SIG, FIELD_SE, FIELD_SKN, FIELD_COUNT };
static const char *const field_names[FIELD_COUNT] = {"sr", "sig", "se", "skn"};

static enum err cut_fields(struct span token, struct span ret_fields[FIELD_COUNT], struct why *why)
{
    struct span part;
    while (span_cut(&token, '&', &part)) {
        size_t equals = span_find(part, '=');
        for (size_t i = 0; i < FIELD_COUNT; i++) {
            if (equals == part.len || !span_is(span_first(part, equals), field_names[i]))
                continue;
            if (ret_fields[i].ptr != NULL)
                return fail(ERR_UNAUTHORIZED, why, "the token has %s twice", field_names[i]);
            ret_fields[i] = (struct span){part.ptr + equals + 1, part.len - equals - 1};
        }
    }
    for (size_t i = 0; i < FIELD_SKN; i++)
        if (ret_fields[i].len == 0)
            return fail(ERR_UNAUTHORIZED, why, "the token has no %s", field_names[i]);
    return ERR_NONE;
}

static struct span without_tail(struct span path)
{
    size_t last = path.len;
    while (last > 0 && path.ptr[last - 1] != '/')
        last--;
    /* Some tools sign "{host}/devices/{id}/api-version=2016-11-14". */
    if (span_starts(span_from(path, last), SPAN_LIT("api-version=")))
        path = span_first(path, last == 0 ? 0 : last - 1);
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

static enum err read_resource(
    struct arena *arena, struct span text, struct sas *sas, struct why *why)
{
    struct span resource;
    enum err err = url_decode_text(arena, text, &resource, why);
    if (err != ERR_NONE)
        return err;
    char normal[HOST_SIZE];
    size_t slash = span_find(resource, '/');
    struct span host = host_normalise(span_first(resource, slash), normal);
    if (host.len == 0)
        return fail(ERR_FORMAT, why, "it does not begin with a host name");
    if (!arena_span(arena, host, &sas->host))
        return ERR_MEMORY;
    sas->resource_text = text;
    sas->path = without_tail(span_from(resource, slash + 1));
    return ERR_NONE;
}

static enum err read_signature(
    struct arena *arena, struct span text, struct sas *sas, struct why *why)
{
    struct span base64;
    size_t len = 0;
    enum err err = url_decode(arena, text, &base64, why);
    if (err == ERR_NONE)
        err = base64_decode(base64, sas->signature, sizeof(sas->signature), &len, why);
    if (err == ERR_NONE && len != sizeof(sas->signature))
        return fail(ERR_FORMAT, why, "it has %zu bytes and not %d", len, SAS_SIGNATURE_BYTES);
    return err;
}

static enum err read_expiry(struct span text, struct sas *sas, struct why *why)
{
    uint64_t seconds = 0;
    /* The greatest time that still counts in microseconds. */
    if (!span_u64(text, INT64_MAX / 1000000 - 86400, &seconds))
        return fail(ERR_FORMAT, why, "it is no number of seconds since 1970");
    sas->expiry_text = text;
    sas->expires_s = (int64_t)seconds;
    return ERR_NONE;
}

enum err sas_parse(struct arena *arena, struct span token, struct sas *ret_sas, struct why *why)
{
    if (!span_starts(token, scheme))
        return fail(
            ERR_UNAUTHORIZED, why, "the token does not begin with \"SharedAccessSignature\"");
    struct span fields[FIELD_COUNT] = {0};
    struct sas sas = {0};
    enum err err = cut_fields(span_from(token, scheme.len), fields, why);
    if (err != ERR_NONE)
        return err;
    enum field at = FIELD_SR;
    err = read_resource(arena, fields[FIELD_SR], &sas, why);
    if (err == ERR_NONE) {
        at = FIELD_SIG;
        err = read_signature(arena, fields[FIELD_SIG], &sas, why);
    }
    if (err == ERR_NONE) {
        at = FIELD_SE;
        err = read_expiry(fields[FIELD_SE], &sas, why);
    }
    if (err == ERR_NONE) {
        at = FIELD_SKN;
        err = url_decode_text(arena, fields[FIELD_SKN], &sas.policy, why);
    }
    if (err != ERR_NONE) {
        why_prefix(why, "%s of the token", field_names[at]);
        return err == ERR_MEMORY ? err : ERR_UNAUTHORIZED;
    }
    *ret_sas = sas;
    return ERR_NONE;
}

/* The .NET SDK encodes an id and then the whole resource; one decoding leaves the id encoded. */
static bool id_equal(struct span got, struct span id)
{
    if (span_eq(got, id))
        return true;
    if (span_find(got, '%') == got.len)
        return false;
    AUTO(arena_done) struct arena arena;
    arena_init(&arena, 0);
    struct span decoded;
    return url_decode(&arena, got, &decoded, NULL) == ERR_NONE && span_eq(decoded, id);
}

enum err sas_check_audience(const struct sas *sas, struct span path, struct why *why)
{
    struct span covers = sas->path;
    struct span segment;
    struct span wanted;
    if (covers.len == 0)
        return ERR_NONE;
    for (size_t i = 0; span_cut(&covers, '/', &segment); i++) {
        bool equal = span_cut(&path, '/', &wanted) &&
                     (i % 2 == 0 ? span_eq_nocase(segment, wanted) : id_equal(segment, wanted));
        if (!equal)
            return fail(ERR_UNAUTHORIZED, why, "the token is for another resource (sr \"%.*s\")",
                SPAN_ARG(sas->resource_text));
    }
    return ERR_NONE;
}

enum err sas_check_time(const struct sas *sas, int64_t now_us, unsigned skew_s, struct why *why)
{
    int64_t now_s = now_us / 1000000;
    if (now_s - (int64_t)skew_s >= sas->expires_s)
        return fail(ERR_UNAUTHORIZED, why, "the token expired %lld seconds ago",
            (long long)(now_s - sas->expires_s));
    return ERR_NONE;
}

/* HMAC-SHA256(base64-decoded key, resource + "\n" + expiry). */
static enum err compute(struct span key_base64, struct span resource, struct span expiry,
    uint8_t ret_mac[SAS_SIGNATURE_BYTES], struct why *why)
{
    uint8_t key[KEY_MAX_BYTES];
    size_t key_len = 0;
    enum err err = base64_decode(key_base64, key, sizeof(key), &key_len, why);
    if (err == ERR_NONE && key_len == 0) /* else anybody could sign for who has no key */
        err = fail(ERR_FORMAT, why, "the key is empty");
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    buf_add(&text, resource);
    buf_add_byte(&text, '\n');
    buf_add(&text, expiry);
    unsigned mac_len = 0;
    if (err == ERR_NONE &&
        (text.failed || HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text.ptr,
                            text.len, ret_mac, &mac_len) == NULL))
        err = fail(ERR_MEMORY, why, "no memory for a signature");
    mem_wipe(key, sizeof(key));
    return err;
}

enum err sas_check_signature(const struct sas *sas, struct span key_base64, struct why *why)
{
    uint8_t mac[SAS_SIGNATURE_BYTES];
    enum err err = compute(key_base64, sas->resource_text, sas->expiry_text, mac, why);
    if (err == ERR_FORMAT)
        return fail(ERR_UNAUTHORIZED, why, "the key to compare with is no base64");
    if (err != ERR_NONE)
        return err;
    bool equal = CRYPTO_memcmp(mac, sas->signature, sizeof(mac)) == 0;
    mem_wipe(mac, sizeof(mac));
    if (!equal)
        return fail(ERR_UNAUTHORIZED, why, "the token is signed with another key");
    return ERR_NONE;
}

void sas_write_path(struct buf *out, struct span device_id, struct span module_id)
{
    if (device_id.len == 0)
        return;
    buf_add_text(out, "devices/");
    buf_add(out, device_id);
    if (module_id.len == 0)
        return;
    buf_add_text(out, "/modules/");
    buf_add(out, module_id);
}

static void write_resource(const struct sas_request *request, struct buf *out)
{
    AUTO(buf_done) struct buf resource = BUF_EMPTY;
    buf_add(&resource, request->host);
    if (request->device_id.len > 0 || request->path.len > 0)
        buf_add_byte(&resource, '/');
    buf_add(&resource, request->path);
    sas_write_path(&resource, request->device_id, request->module_id);
    out->failed |= resource.failed;
    url_encode(buf_span(&resource), out);
}

static void write_token(const struct sas_request *request, struct span resource, struct span expiry,
    const uint8_t mac[SAS_SIGNATURE_BYTES], struct buf *out)
{
    AUTO(buf_done) struct buf base64 = BUF_EMPTY;
    base64_write((struct span){(const char *)mac, SAS_SIGNATURE_BYTES}, &base64);
    out->failed |= base64.failed;
    buf_add(out, scheme);
    buf_add_text(out, "sr=");
    buf_add(out, resource);
    buf_add_text(out, "&sig=");
    url_encode(buf_span(&base64), out);
    buf_add_text(out, "&se=");
    buf_add(out, expiry);
    if (request->policy.len > 0) {
        buf_add_text(out, "&skn=");
        url_encode(request->policy, out);
    }
}

enum err sas_sign(const struct sas_request *request, struct buf *out, struct why *why)
{
    AUTO(buf_done) struct buf resource = BUF_EMPTY;
    AUTO(buf_done) struct buf expiry = BUF_EMPTY;
    write_resource(request, &resource);
    buf_add_format(&expiry, "%lld", (long long)request->expires_s);
    if (resource.failed || expiry.failed)
        return fail(ERR_MEMORY, why, "no memory for a token");
    uint8_t mac[SAS_SIGNATURE_BYTES];
    enum err err = compute(request->key_base64, buf_span(&resource), buf_span(&expiry), mac, why);
    if (err != ERR_NONE) {
        why_prefix(why, "the shared access key");
        return err == ERR_MEMORY ? err : ERR_ARGUMENT;
    }
    write_token(request, buf_span(&resource), buf_span(&expiry), mac, out);
    mem_wipe(mac, sizeof(mac));
    return out->failed ? fail(ERR_MEMORY, why, "no memory for a token") : ERR_NONE;
}
