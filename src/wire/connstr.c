/* SPDX-License-Identifier: Apache-2.0 */
#include "connstr.h"

#include "host.h"

enum field {
    FIELD_HOST,
    FIELD_GATEWAY,
    FIELD_DEVICE,
    FIELD_MODULE,
    FIELD_KEY_NAME,
    FIELD_KEY,
    FIELD_SIGNATURE,
    FIELD_X509,
    FIELD_COUNT
};

/* In the order in which the Azure tools write them. */
static const struct {
    enum field field;
    const char *name;
} rows[FIELD_COUNT] = {
    {FIELD_HOST, "HostName"},
    {FIELD_DEVICE, "DeviceId"},
    {FIELD_MODULE, "ModuleId"},
    {FIELD_KEY_NAME, "SharedAccessKeyName"},
    {FIELD_KEY, "SharedAccessKey"},
    {FIELD_SIGNATURE, "SharedAccessSignature"},
    {FIELD_X509, "x509"},
    {FIELD_GATEWAY, "GatewayHostName"},
};

static struct span *place(struct connstr *connstr, struct span *x509, enum field field)
{
    struct span *const places[FIELD_COUNT] = {
        [FIELD_HOST] = &connstr->host_name,
        [FIELD_GATEWAY] = &connstr->gateway_host_name,
        [FIELD_DEVICE] = &connstr->device_id,
        [FIELD_MODULE] = &connstr->module_id,
        [FIELD_KEY_NAME] = &connstr->key_name,
        [FIELD_KEY] = &connstr->key,
        [FIELD_SIGNATURE] = &connstr->signature,
        [FIELD_X509] = x509,
    };
    return places[field];
}

/* The shortest key that we accept is longer than the longest name. */
#define LONGEST_NAME 21

/* What stands before '=' is a name and safe to show, unless somebody pasted a bare key. */
static enum err unknown_field(struct span name, struct why *why)
{
    bool is_name = name.len > 0 && name.len <= LONGEST_NAME;
    for (size_t i = 0; i < name.len && is_name; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        is_name = letter || (i > 0 && c >= '0' && c <= '9');
    }
    if (!is_name)
        return fail(ERR_FORMAT, why, "the connection string has a part that is no \"name=value\"");
    return fail(ERR_FORMAT, why,
        "the connection string has the unknown field \"%.*s\", known are HostName, DeviceId, "
        "ModuleId, SharedAccessKeyName, SharedAccessKey, SharedAccessSignature, x509 and "
        "GatewayHostName",
        SPAN_ARG(name));
}

static enum err read_part(
    struct span part, struct connstr *connstr, struct span *x509, struct why *why)
{
    size_t equals = span_find(part, '=');
    if (equals == part.len)
        return fail(ERR_FORMAT, why, "the connection string has a part that is no \"name=value\"");
    struct span name = span_trim(span_first(part, equals));
    struct span value = span_trim(span_from(part, equals + 1));
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!span_eq_nocase(name, span_of(rows[i].name)))
            continue;
        struct span *to = place(connstr, x509, rows[i].field);
        if (to->len > 0)
            return fail(ERR_FORMAT, why, "the connection string has %s twice", rows[i].name);
        if (value.len == 0)
            return fail(ERR_FORMAT, why, "the connection string has no value for %s", rows[i].name);
        *to = value;
        return ERR_NONE;
    }
    return unknown_field(name, why);
}

static enum err read_x509(struct span text, struct connstr *connstr, struct why *why)
{
    connstr->x509 = span_eq_nocase(text, SPAN_LIT("true"));
    if (text.len > 0 && !connstr->x509 && !span_eq_nocase(text, SPAN_LIT("false")))
        return fail(ERR_FORMAT, why, "x509 of the connection string is neither true nor false");
    return ERR_NONE;
}

static enum err check_hosts(const struct connstr *connstr, struct why *why)
{
    char normal[HOST_SIZE];
    if (connstr->host_name.len > 0 && host_normalise(connstr->host_name, normal).len == 0)
        return fail(ERR_FORMAT, why, "HostName of the connection string is no host name");
    if (connstr->gateway_host_name.len > 0 &&
        host_normalise(connstr->gateway_host_name, normal).len == 0)
        return fail(ERR_FORMAT, why, "GatewayHostName of the connection string is no host name");
    return ERR_NONE;
}

enum err connstr_parse(struct span text, struct connstr *ret_connstr, struct why *why)
{
    struct connstr connstr = {0};
    struct span x509 = SPAN_NONE;
    struct span part;
    if (span_starts(text, SPAN_LIT("\xEF\xBB\xBF")))
        text = span_from(text, 3);
    text = span_trim(text);
    if (text.len == 0)
        return fail(ERR_FORMAT, why, "the connection string is empty");
    while (span_cut(&text, ';', &part)) {
        part = span_trim(part);
        if (part.len == 0)
            continue;
        enum err err = read_part(part, &connstr, &x509, why);
        if (err != ERR_NONE)
            return err;
    }
    enum err err = read_x509(x509, &connstr, why);
    if (err == ERR_NONE)
        err = check_hosts(&connstr, why);
    if (err == ERR_NONE)
        *ret_connstr = connstr;
    return err;
}

static enum err missing(const char *what, const char *kind, struct why *why)
{
    return fail(
        ERR_FORMAT, why, "the connection string has no %s, which that of a %s needs", what, kind);
}

enum err connstr_check_device(const struct connstr *connstr, struct why *why)
{
    if (connstr->host_name.len == 0)
        return missing("HostName", "device", why);
    if (connstr->device_id.len == 0)
        return missing("DeviceId", "device", why);
    int ways = (connstr->key.len > 0) + (connstr->signature.len > 0) + connstr->x509;
    if (ways == 0)
        return missing("SharedAccessKey, SharedAccessSignature or x509=true", "device", why);
    if (ways > 1)
        return fail(ERR_FORMAT, why,
            "the connection string has more than one of SharedAccessKey, SharedAccessSignature and "
            "x509=true");
    return ERR_NONE;
}

enum err connstr_check_service(const struct connstr *connstr, struct why *why)
{
    if (connstr->host_name.len == 0)
        return missing("HostName", "service", why);
    if (connstr->device_id.len > 0 && connstr->key_name.len == 0)
        return fail(ERR_FORMAT, why,
            "the connection string is that of a device (it has DeviceId and no "
            "SharedAccessKeyName), and a shared access policy's is needed");
    if (connstr->key_name.len == 0)
        return missing("SharedAccessKeyName", "service", why);
    if (connstr->key.len == 0 && connstr->signature.len == 0)
        return missing("SharedAccessKey or SharedAccessSignature", "service", why);
    return ERR_NONE;
}

void connstr_write(const struct connstr *connstr, struct buf *out)
{
    struct connstr fields = *connstr;
    struct span x509 = connstr->x509 ? SPAN_LIT("true") : SPAN_NONE;
    bool any = false;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        struct span value = *place(&fields, &x509, rows[i].field);
        if (value.len == 0)
            continue;
        if (any)
            buf_add_byte(out, ';');
        any = true;
        buf_add_text(out, rows[i].name);
        buf_add_byte(out, '=');
        buf_add(out, value);
    }
}
