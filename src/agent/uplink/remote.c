/* SPDX-License-Identifier: Apache-2.0 */
#include "remote.h"

#include "credentials.h"
#include "files.h"
#include "mem.h"
#include "remote_frame.h"
#include "remote_stream.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum phase { NOTHING, CONNECTING, ATTACHED };

struct remote {
    char *path;
    struct remote_stream stream;
    enum phase phase;
    uint32_t epoch;
    int32_t last_token;
    struct buf frame; /* that is being written; it may hold a password */
    bool ended;       /* the end of the other process is to be told */
    bool closed;      /* LINK_CLOSED is to be told */
};

static void drop_stream(struct remote *remote)
{
    remote_stream_close(&remote->stream);
    if (remote->phase != NOTHING)
        remote->ended = true;
}

static enum err reach(struct remote *remote, struct why *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (remote->stream.fd >= 0)
        return ERR_NONE;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", remote->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return fail(ERR_UNAVAILABLE, why, "the process gemel-agent link is not there at %s: %s",
            remote->path, strerror(error));
    }
    remote_stream_open(&remote->stream, fd);
    return ERR_NONE;
}

static size_t begin(struct remote *remote, enum remote_kind kind)
{
    buf_clear(&remote->frame);
    return remote_begin(&remote->frame, kind, remote->epoch);
}

static enum err end_and_send(struct remote *remote, size_t at)
{
    remote_end(&remote->frame, at);
    enum err err = remote->frame.failed || remote->stream.fd < 0
                       ? ERR_UNAVAILABLE
                       : remote_stream_send(&remote->stream, buf_span(&remote->frame));
    buf_wipe(&remote->frame);
    if (err != ERR_NONE)
        drop_stream(remote);
    return err;
}

static struct span text_of(const char *text)
{
    return text == NULL ? SPAN_NONE : span_of(text);
}

/* Adds what is in the file; `path` may be NULL. */
static enum err add_file(struct buf *frame, const char *path, struct why *why)
{
    struct buf content = BUF_EMPTY;
    enum err err = path == NULL ? ERR_NONE : files_read(path, CREDENTIAL_MAX_BYTES, &content, why);
    if (err == ERR_NONE)
        remote_add_text(frame, path == NULL ? SPAN_NONE : buf_span(&content));
    buf_wipe(&content);
    return err;
}

static enum err add_target(struct buf *frame, const struct link_target *target, struct why *why)
{
    const char *const texts[] = {
        target->uri, target->client_id, target->username, target->password};
    const char *const paths[] = {target->ca_file, target->certificate_file, target->key_file};
    enum err err = ERR_NONE;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        remote_add_text(frame, text_of(texts[i]));
    for (size_t i = 0; i < COUNT_OF(paths) && err == ERR_NONE; i++)
        err = add_file(frame, paths[i], why);
    remote_add_text(frame, text_of(target->proxy));
    remote_add_number(frame, target->keep_alive_s);
    return err;
}

static enum err do_connect(void *self, const struct link_target *target, struct why *why)
{
    struct remote *remote = self;
    remote->phase = NOTHING;
    remote->ended = remote->closed = false;
    enum err err = reach(remote, why);
    if (err != ERR_NONE)
        return err;
    remote->epoch++;
    size_t at = begin(remote, REMOTE_CONNECT);
    err = add_target(&remote->frame, target, why);
    if (err != ERR_NONE) {
        buf_wipe(&remote->frame);
        return err;
    }
    if (end_and_send(remote, at) != ERR_NONE)
        return fail(ERR_UNAVAILABLE, why, "the process gemel-agent link does not answer");
    remote->phase = CONNECTING;
    return ERR_NONE;
}

static enum err do_subscribe(void *self, const char *const *filters, size_t count, struct why *why)
{
    struct remote *remote = self;
    must(count <= REMOTE_FILTERS_MAX);
    size_t at = begin(remote, REMOTE_SUBSCRIBE);
    remote_add_number(&remote->frame, (int32_t)count);
    for (size_t i = 0; i < count; i++)
        remote_add_text(&remote->frame, span_of(filters[i]));
    if (end_and_send(remote, at) != ERR_NONE)
        return fail(ERR_UNAVAILABLE, why, "the process gemel-agent link has ended");
    return ERR_NONE;
}

static enum err do_publish(void *self, const char *topic, struct span body, int qos, int *ret_token)
{
    struct remote *remote = self;
    int32_t token = remote->last_token == INT32_MAX ? 1 : remote->last_token + 1;
    size_t at = begin(remote, REMOTE_PUBLISH);
    remote_add_number(&remote->frame, token);
    remote_add_number(&remote->frame, qos);
    remote_add_text(&remote->frame, span_of(topic));
    remote_add_text(&remote->frame, body);
    enum err err = end_and_send(remote, at);
    if (err != ERR_NONE)
        return err;
    remote->last_token = *ret_token = token;
    return ERR_NONE;
}

static void do_close(void *self)
{
    struct remote *remote = self;
    if (remote->stream.fd < 0 || end_and_send(remote, begin(remote, REMOTE_CLOSE)) != ERR_NONE) {
        remote->ended = false;
        remote->closed = true;
    }
}

static void do_abort(void *self)
{
    struct remote *remote = self;
    remote->phase = NOTHING;
    remote->epoch++;
    remote->ended = remote->closed = false;
    if (remote->stream.fd >= 0)
        (void)!end_and_send(remote, begin(remote, REMOTE_ABORT));
    remote->ended = false;
}

static int get_fd(void *self)
{
    return ((const struct remote *)self)->stream.fd;
}

/* ---- events ---- */

/* A message's topic and body share one piece of memory. */
static bool copy_message(struct span topic, struct span body, struct link_event *event)
{
    event->topic = mem_alloc(topic.len + 1 + body.len);
    if (event->topic == NULL)
        return false;
    memcpy(event->topic, topic.ptr, topic.len);
    if (body.len > 0)
        memcpy(event->topic + topic.len + 1, body.ptr, body.len);
    event->body = (struct span){event->topic + topic.len + 1, body.len};
    return true;
}

static enum err decode(struct remote_frame *frame, struct link_event *ret_event)
{
    int32_t kind;
    int32_t code;
    int32_t token;
    struct span text;
    struct span topic;
    struct span body;
    if (frame->kind != REMOTE_EVENT || !remote_number(frame, &kind) ||
        !remote_number(frame, &code) || !remote_number(frame, &token) ||
        !remote_text(frame, &text) || !remote_text(frame, &topic) || !remote_text(frame, &body) ||
        kind < 0 || kind > LINK_CLOSED || (kind == LINK_MESSAGE) != (topic.ptr != NULL))
        return ERR_FORMAT;
    *ret_event =
        (struct link_event){.kind = (enum link_event_kind)kind, .code = code, .token = token};
    snprintf(ret_event->text, sizeof(ret_event->text), "%.*s", SPAN_ARG(text));
    if (kind == LINK_MESSAGE && !copy_message(topic, body, ret_event))
        return ERR_MEMORY;
    return ERR_NONE;
}

static void note_phase(struct remote *remote, enum link_event_kind kind)
{
    if (kind == LINK_CONNECTED)
        remote->phase = ATTACHED;
    else if (kind == LINK_REFUSED || kind == LINK_LOST || kind == LINK_CLOSED)
        remote->phase = NOTHING;
}

/* What this side itself has to say. */
static bool take_own(struct remote *remote, struct link_event *ret_event)
{
    static const char text[] = "the process gemel-agent link has ended";
    if (remote->closed) {
        remote->closed = false;
        *ret_event = (struct link_event){.kind = LINK_CLOSED};
    } else if (remote->ended) {
        remote->ended = false;
        *ret_event = (struct link_event){
            .kind = remote->phase == CONNECTING ? LINK_REFUSED : LINK_LOST, .code = -1};
        snprintf(ret_event->text, sizeof(ret_event->text), "%s", text);
    } else {
        return false;
    }
    note_phase(remote, ret_event->kind);
    return true;
}

static bool take(void *self, struct link_event *ret_event)
{
    struct remote *remote = self;
    for (;;) {
        struct remote_frame frame;
        enum err err = remote_stream_next(&remote->stream, &frame);
        if (err == ERR_NOT_FOUND)
            return take_own(remote, ret_event);
        if (err == ERR_NONE && frame.epoch != remote->epoch)
            continue;
        if (err == ERR_NONE)
            err = decode(&frame, ret_event);
        if (err == ERR_NONE) {
            note_phase(remote, ret_event->kind);
            return true;
        }
        drop_stream(remote);
    }
}

/* ---- life ---- */

struct link_driver remote_link(struct remote *remote)
{
    return (struct link_driver){.connect = do_connect,
        .subscribe = do_subscribe,
        .publish = do_publish,
        .close = do_close,
        .abort = do_abort,
        .fd = get_fd,
        .take = take,
        .self = remote};
}

/* This process makes tokens and checks signatures; what only TLS needs is the other's: names of
 * errors, and of algorithms. OpenSSL would load them with its first use, and keep them. */
static void keep_crypto_small(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
                                  OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
        NULL);
}

enum err remote_new(const char *path, struct remote **ret_remote, struct why *why)
{
    struct sockaddr_un address;
    keep_crypto_small();
    if (strlen(path) >= sizeof(address.sun_path))
        return fail(ERR_ARGUMENT, why, "the path of a socket has at most %zu bytes: %s",
            sizeof(address.sun_path) - 1, path);
    struct remote *remote = mem_alloc(sizeof(*remote));
    if (remote != NULL)
        remote->path = mem_text(span_of(path));
    if (remote == NULL || remote->path == NULL) {
        mem_free(remote);
        return fail(ERR_MEMORY, why, "no memory for the link");
    }
    remote->stream.fd = -1;
    *ret_remote = remote;
    return ERR_NONE;
}

void remote_free(struct remote *remote)
{
    if (remote == NULL)
        return;
    remote_stream_close(&remote->stream);
    buf_wipe(&remote->frame);
    mem_free(remote->path);
    mem_free(remote);
}
