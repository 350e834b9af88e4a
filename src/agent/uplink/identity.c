/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include "base64.h"
#include "files.h"
#include "host.h"
#include "ids.h"
#include "mem.h"
#include "sas.h"
#include "urlcode.h"

#define CONNECTION_STRING_MAX_BYTES (16u << 10)
#define API_VERSION "2021-04-12"

static enum err check(const struct connstr *connstr, struct why *why)
{
    char host[HOST_SIZE];
    enum err err = connstr_check_device(connstr, why);
    if (err != ERR_NONE)
        return err;
    if (connstr->module_id.len == 0)
        return fail(ERR_FORMAT, why,
            "it is the connection string of device %.*s itself, and the agent is a module of it: "
            "create the module and take its connection string",
            SPAN_ARG(connstr->device_id));
    err = ids_check_device(connstr->device_id, why);
    if (err == ERR_NONE)
        err = ids_check_module(connstr->module_id, why);
    if (err != ERR_NONE)
        return ERR_FORMAT;
    if (host_normalise(connstr->host_name, host).len == 0)
        return fail(
            ERR_FORMAT, why, "HostName '%.*s' is no host name", SPAN_ARG(connstr->host_name));
    if (connstr->gateway_host_name.len > 0 &&
        host_normalise(connstr->gateway_host_name, host).len == 0)
        return fail(ERR_FORMAT, why, "GatewayHostName '%.*s' is no host name",
            SPAN_ARG(connstr->gateway_host_name));
    if (connstr->key.len > 0 && base64_check_key(connstr->key, why) != ERR_NONE)
        return ERR_FORMAT;
    return ERR_NONE;
}

enum err identity_load(const char *path, struct identity *ret_identity, struct why *why)
{
    static const char hint[] =
        "; it must hold the module's connection string in one line: "
        "HostName=…;DeviceId=…;ModuleId=DefenderIotMicroAgent;SharedAccessKey=…";
    struct why reason = {""};
    struct identity identity = {.text = BUF_EMPTY};
    enum err err = files_read(path, CONNECTION_STRING_MAX_BYTES, &identity.text, &reason);
    if (err != ERR_NONE) {
        identity_done(&identity);
        return fail(err, why, "%s%s", why_text(&reason, err), hint);
    }
    if (span_trim(buf_span(&identity.text)).len == 0)
        err = fail(ERR_FORMAT, &reason, "the file is empty");
    if (err == ERR_NONE)
        err = connstr_parse(buf_span(&identity.text), &identity.connstr, &reason);
    if (err == ERR_NONE)
        err = check(&identity.connstr, &reason);
    if (err != ERR_NONE) {
        identity_done(&identity);
        return fail(err, why, "%s: %s%s", path, why_text(&reason, err), hint);
    }
    *ret_identity = identity;
    return ERR_NONE;
}

void identity_done(struct identity *identity)
{
    if (identity->text.ptr != NULL)
        mem_wipe(identity->text.ptr, identity->text.len);
    buf_done(&identity->text);
    identity->connstr = (struct connstr){.x509 = false};
}

struct span identity_host(const struct identity *identity)
{
    const struct connstr *connstr = &identity->connstr;
    return connstr->gateway_host_name.len > 0 ? connstr->gateway_host_name : connstr->host_name;
}

void identity_write_client_id(const struct identity *identity, struct buf *out)
{
    buf_add(out, identity->connstr.device_id);
    buf_add_byte(out, '/');
    buf_add(out, identity->connstr.module_id);
}

void identity_write_username(const struct identity *identity, const char *version, struct buf *out)
{
    AUTO(buf_done) struct buf client_type = BUF_EMPTY;
    buf_add_format(&client_type, "gemel-agent/%s", version);
    buf_add(out, identity->connstr.host_name);
    buf_add_byte(out, '/');
    identity_write_client_id(identity, out);
    buf_add_text(out, "/?api-version=" API_VERSION "&DeviceClientType=");
    url_encode(buf_span(&client_type), out);
}

enum err identity_write_password(
    const struct identity *identity, int64_t expires_s, struct buf *out, struct why *why)
{
    const struct connstr *connstr = &identity->connstr;
    if (connstr->x509)
        return ERR_NONE;
    if (connstr->signature.len > 0) {
        buf_add(out, connstr->signature);
        return out->failed ? ERR_MEMORY : ERR_NONE;
    }
    struct sas_request request = {.host = connstr->host_name,
        .device_id = connstr->device_id,
        .module_id = connstr->module_id,
        .key_base64 = connstr->key,
        .expires_s = expires_s};
    return sas_sign(&request, out, why);
}
