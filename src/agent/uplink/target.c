/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "host.h"
#include "log.h"
#include "mem.h"
#include "urlcode.h"

#define PART "uplink"
#define PORT_MQTT "8883"
#define PORT_WEBSOCKET "443"
#define WEBSOCKET_PATH "/$iothub/websocket"
/* Who proves himself by a token says so, and a hub need not ask for a certificate. */
#define WITHOUT_CERTIFICATE "?iothub-no-client-cert=true"

/* TRANSPORT_AMQP… say by their names which way out of the network is open. */
static bool over_websocket(enum transport transport)
{
    return transport == TRANSPORT_MQTT_WEBSOCKET || transport == TRANSPORT_AMQP_WEBSOCKET;
}

void target_write_uri(
    struct span name, enum transport transport, bool by_certificate, struct buf *out)
{
    struct span host;
    struct span port;
    bool websocket = over_websocket(transport);
    host_split(name, &host, &port);
    bool bare_ipv6 = span_find(host, ':') < host.len && host.ptr[0] != '[';
    buf_add_text(out, websocket ? "wss://" : "ssl://");
    buf_add_text(out, bare_ipv6 ? "[" : "");
    buf_add(out, host);
    buf_add_text(out, bare_ipv6 ? "]:" : ":");
    buf_add(out, port.len > 0 ? port : span_of(websocket ? PORT_WEBSOCKET : PORT_MQTT));
    if (websocket)
        buf_add_text(out, by_certificate ? WEBSOCKET_PATH : WEBSOCKET_PATH WITHOUT_CERTIFICATE);
}

/* From "host,port[,user,password]" to "[user:password@]host:port", with what would be taken for a
 * separator percent-encoded. */
static void write_proxy(struct span config, struct buf *out)
{
    struct span host = SPAN_NONE, port = SPAN_NONE, user = SPAN_NONE;
    struct span rest = config;
    must(span_cut(&rest, ',', &host) && span_cut(&rest, ',', &port));
    if (span_cut(&rest, ',', &user)) {
        url_encode(user, out);
        buf_add_byte(out, ':');
        url_encode(rest, out); /* a password may hold commas */
        buf_add_byte(out, '@');
    }
    buf_add(out, host);
    buf_add_byte(out, ':');
    buf_add(out, port);
}

/* Who connects, and what proves it. */
struct who {
    struct span host;
    struct span client_id;
    struct span username;
    bool by_certificate;
    const struct buf *password; /* else */
};

static enum err connect_with(
    const struct target_way *way, const struct who *who, const char *proxy, struct why *why)
{
    const struct credentials *credentials = way->credentials;
    AUTO(buf_done) struct buf uri = BUF_EMPTY;
    AUTO(buf_done) struct buf client_id = BUF_EMPTY;
    AUTO(buf_done) struct buf username = BUF_EMPTY;
    target_write_uri(who->host, way->transport, who->by_certificate, &uri);
    buf_add(&client_id, who->client_id);
    buf_add(&username, who->username);
    if (uri.failed || client_id.failed || username.failed || who->password->failed)
        return fail(ERR_MEMORY, why, "no memory to connect");
    struct link_target target = {.uri = uri.ptr,
        .client_id = client_id.ptr,
        .username = username.ptr,
        .ca_file = credentials_path(credentials, CREDENTIAL_CA),
        .proxy = proxy,
        .keep_alive_s = way->keep_alive_s};
    if (who->by_certificate) {
        target.certificate_file = credentials->files[CREDENTIAL_CERTIFICATE].path;
        target.key_file = credentials->files[CREDENTIAL_KEY].path;
    } else {
        target.password = who->password->ptr;
    }
    log_info(PART, "connecting to %s as %s%s", uri.ptr, client_id.ptr,
        proxy == NULL ? "" : " through the proxy");
    return way->link->connect(way->link->self, &target, why);
}

static enum err connect_as(const struct target_way *way, const struct who *who, struct why *why)
{
    struct buf proxy = BUF_EMPTY;
    enum err err = credentials_check(way->credentials, who->by_certificate, why);
    if (err != ERR_NONE)
        return err;
    if (way->proxy != NULL)
        write_proxy(span_of(way->proxy), &proxy);
    err = proxy.failed ? fail(ERR_MEMORY, why, "no memory to connect")
                       : connect_with(way, who, proxy.ptr, why);
    buf_wipe(&proxy);
    return err;
}

enum err target_connect_as_module(const struct target_way *way, const struct identity *identity,
    int64_t expires_s, struct why *why)
{
    AUTO(buf_done) struct buf client_id = BUF_EMPTY;
    AUTO(buf_done) struct buf username = BUF_EMPTY;
    struct buf password = BUF_EMPTY;
    identity_write_client_id(identity, &client_id);
    identity_write_username(identity, way->agent_version, &username);
    enum err err = identity_write_password(identity, expires_s, &password, why);
    const struct who who = {.host = identity_host(identity),
        .client_id = buf_span(&client_id),
        .username = buf_span(&username),
        .by_certificate = identity->connstr.x509,
        .password = &password};
    if (err == ERR_NONE && (client_id.failed || username.failed))
        err = fail(ERR_MEMORY, why, "no memory to connect");
    if (err == ERR_NONE)
        err = connect_as(way, &who, why);
    buf_wipe(&password);
    return err;
}

enum err target_connect_to_register(const struct target_way *way,
    const struct registration *registration, int64_t expires_s, struct why *why)
{
    AUTO(buf_done) struct buf username = BUF_EMPTY;
    struct buf password = BUF_EMPTY;
    registration_write_username(registration, way->agent_version, &username);
    enum err err = registration_write_password(registration, expires_s, &password, why);
    const struct who who = {.host = registration_host(registration),
        .client_id = registration_client_id(registration),
        .username = buf_span(&username),
        .by_certificate = registration_by_certificate(registration),
        .password = &password};
    if (err == ERR_NONE && username.failed)
        err = fail(ERR_MEMORY, why, "no memory to connect");
    if (err == ERR_NONE)
        err = connect_as(way, &who, why);
    buf_wipe(&password);
    return err;
}
