/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "mem.h"
#include "remote.h"
#include "remote_frame.h"
#include "remote_stream.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PART "link"
#define IN_FLIGHT_MAX 128u /* the agent's window is 100 */

/* The texts of a CONNECT, and which of them are contents of files. */
enum { URI, CLIENT_ID, USERNAME, PASSWORD, CA, CERTIFICATE, KEY, PROXY, TEXTS };
#define FIRST_FILE CA
#define FILES (KEY - CA + 1)

struct remote_server {
    struct link_driver link;
    int listener;
    char *path;
    struct remote_stream stream;
    uint32_t epoch; /* of the connection that the agent asked for last */
    bool in_use;    /* there may be one */
    struct {
        int link_token;
        int32_t agent_token; /* 0: free */
    } in_flight[IN_FLIGHT_MAX];
    int files[FILES]; /* in memory: what the present connection is made with; -1: none */
    struct buf frame;
};

static void forget_files(struct remote_server *server)
{
    for (size_t i = 0; i < FILES; i++) {
        if (server->files[i] >= 0)
            close(server->files[i]);
        server->files[i] = -1;
    }
}

/* ---- to the agent ---- */

static void drop_agent(struct remote_server *server)
{
    if (server->in_use)
        server->link.abort(server->link.self);
    server->in_use = false;
    memset(server->in_flight, 0, sizeof(server->in_flight));
    forget_files(server);
    remote_stream_close(&server->stream);
}

static void send_event(struct remote_server *server, const struct link_event *event)
{
    struct buf *frame = &server->frame;
    buf_clear(frame);
    size_t at = remote_begin(frame, REMOTE_EVENT, server->epoch);
    remote_add_number(frame, (int32_t)event->kind);
    remote_add_number(frame, event->code);
    remote_add_number(frame, event->token);
    remote_add_text(frame, span_of(event->text));
    remote_add_text(frame, event->kind == LINK_MESSAGE ? span_of(event->topic) : SPAN_NONE);
    remote_add_text(frame, event->kind == LINK_MESSAGE ? event->body : SPAN_NONE);
    remote_end(frame, at);
    if (frame->failed || remote_stream_send(&server->stream, buf_span(frame)) != ERR_NONE) {
        log_warn(PART, "the agent takes nothing: leaving it");
        drop_agent(server);
    }
    if (frame->cap > REMOTE_ROOM_KEPT)
        buf_done(frame);
}

static void refuse(struct remote_server *server, enum link_event_kind kind, const char *text)
{
    struct link_event event = {.kind = kind, .code = -1};
    snprintf(event.text, sizeof(event.text), "%s", text);
    send_event(server, &event);
}

/* The token as the agent knows it; false: nobody waits for that one. */
static bool translate_token(struct remote_server *server, int *token)
{
    for (size_t i = 0; i < IN_FLIGHT_MAX; i++) {
        if (server->in_flight[i].agent_token == 0 || server->in_flight[i].link_token != *token)
            continue;
        *token = server->in_flight[i].agent_token;
        server->in_flight[i].agent_token = 0;
        return true;
    }
    return false;
}

static void hand_events_on(struct remote_server *server)
{
    struct link_event event;
    while (server->link.take(server->link.self, &event)) {
        bool wanted = server->stream.fd >= 0 &&
                      (event.kind != LINK_DELIVERED || translate_token(server, &event.token));
        if (wanted)
            send_event(server, &event);
        if (event.kind == LINK_MESSAGE)
            mem_free(event.topic);
    }
}

/* ---- from the agent ---- */

/* A copy that ends in NUL; NULL where there is no text, or no memory. */
static char *copy_text(struct span text)
{
    return text.ptr == NULL ? NULL : mem_text(text);
}

/* Puts the content into a file in memory, which only this process has, and gives its path; NULL:
 * that failed. */
static char *keep_file(struct span content, int *ret_file)
{
    char path[40];
    int file = memfd_create("gemel", MFD_CLOEXEC);
    if (file < 0)
        return NULL;
    while (content.len > 0) {
        ssize_t written = write(file, content.ptr, content.len);
        if (written <= 0) {
            close(file);
            return NULL;
        }
        content = span_from(content, (size_t)written);
    }
    *ret_file = file;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    return mem_text(span_of(path));
}

static enum err take_connect(struct remote_server *server, struct remote_frame *frame)
{
    struct span spans[TEXTS];
    char *texts[TEXTS] = {NULL};
    int32_t keep_alive_s;
    struct why why = {""};
    for (size_t i = 0; i < TEXTS; i++)
        if (!remote_text(frame, &spans[i]))
            return ERR_FORMAT;
    if (!remote_number(frame, &keep_alive_s) || spans[URI].ptr == NULL ||
        spans[CLIENT_ID].ptr == NULL || spans[USERNAME].ptr == NULL)
        return ERR_FORMAT;
    server->epoch = frame->epoch;
    server->in_use = true;
    memset(server->in_flight, 0, sizeof(server->in_flight));
    bool complete = true;
    forget_files(server);
    for (size_t i = 0; i < TEXTS; i++) {
        bool is_file = i - FIRST_FILE < FILES && spans[i].ptr != NULL;
        texts[i] =
            is_file ? keep_file(spans[i], &server->files[i - FIRST_FILE]) : copy_text(spans[i]);
        complete = complete && (texts[i] != NULL || spans[i].ptr == NULL);
    }
    const struct link_target target = {.uri = texts[URI],
        .client_id = texts[CLIENT_ID],
        .username = texts[USERNAME],
        .password = texts[PASSWORD],
        .ca_file = texts[CA],
        .certificate_file = texts[CERTIFICATE],
        .key_file = texts[KEY],
        .keep_alive_s = keep_alive_s,
        .proxy = texts[PROXY]};
    enum err err = complete ? server->link.connect(server->link.self, &target, &why) : ERR_MEMORY;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i] != NULL)
            mem_wipe(texts[i], strlen(texts[i]));
        mem_free(texts[i]);
    }
    if (err != ERR_NONE)
        refuse(server, LINK_REFUSED, why_text(&why, err));
    return ERR_NONE;
}

static enum err take_subscribe(struct remote_server *server, struct remote_frame *frame)
{
    int32_t count;
    char *filters[REMOTE_FILTERS_MAX] = {NULL};
    struct why why = {""};
    enum err err = ERR_NONE;
    if (!remote_number(frame, &count) || count < 1 || (size_t)count > REMOTE_FILTERS_MAX)
        return ERR_FORMAT;
    for (int32_t i = 0; i < count && err == ERR_NONE; i++) {
        struct span filter;
        if (!remote_text(frame, &filter) || filter.ptr == NULL)
            err = ERR_FORMAT;
        else if ((filters[i] = mem_text(filter)) == NULL)
            err = ERR_MEMORY;
    }
    if (err == ERR_NONE)
        err = server->link.subscribe(
            server->link.self, (const char *const *)filters, (size_t)count, &why);
    for (size_t i = 0; i < REMOTE_FILTERS_MAX; i++)
        mem_free(filters[i]);
    if (err == ERR_FORMAT)
        return err;
    if (err != ERR_NONE)
        refuse(server, LINK_UNUSABLE, why_text(&why, err));
    return ERR_NONE;
}

static enum err take_publish(struct remote_server *server, struct remote_frame *frame)
{
    int32_t agent_token;
    int32_t qos;
    struct span topic;
    struct span body;
    size_t free = 0;
    if (!remote_number(frame, &agent_token) || !remote_number(frame, &qos) ||
        !remote_text(frame, &topic) || !remote_text(frame, &body) || topic.ptr == NULL ||
        agent_token < 1 || qos < 0 || qos > 1)
        return ERR_FORMAT;
    while (free < IN_FLIGHT_MAX && server->in_flight[free].agent_token != 0)
        free++;
    char *copy = mem_text(topic);
    int token = 0;
    enum err err = copy == NULL || (qos > 0 && free == IN_FLIGHT_MAX)
                       ? ERR_MEMORY
                       : server->link.publish(server->link.self, copy, body, qos, &token);
    mem_free(copy);
    if (err != ERR_NONE)
        refuse(server, LINK_UNUSABLE, "a message could not be handed to the MQTT client");
    else if (qos > 0) {
        server->in_flight[free].link_token = token;
        server->in_flight[free].agent_token = agent_token;
    }
    return ERR_NONE;
}

static enum err obey(struct remote_server *server, struct remote_frame *frame)
{
    switch (frame->kind) {
    case REMOTE_CONNECT:
        return take_connect(server, frame);
    case REMOTE_SUBSCRIBE:
        return take_subscribe(server, frame);
    case REMOTE_PUBLISH:
        return take_publish(server, frame);
    case REMOTE_CLOSE:
        server->link.close(server->link.self);
        return ERR_NONE;
    case REMOTE_ABORT:
        server->link.abort(server->link.self);
        server->epoch = frame->epoch;
        server->in_use = false;
        return ERR_NONE;
    case REMOTE_EVENT:
    case REMOTE_KIND_COUNT:
        break;
    }
    return ERR_FORMAT;
}

/* A new agent takes the place of the old, which may hang or be gone without a word. */
static void accept_agents(struct remote_server *server)
{
    for (;;) {
        struct ucred peer = {.uid = (uid_t)-1};
        socklen_t len = sizeof(peer);
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
        if (peer.uid != geteuid() && peer.uid != 0) {
            log_warn(PART, "user %u may not use this connection", (unsigned)peer.uid);
            close(fd);
            continue;
        }
        drop_agent(server);
        remote_stream_open(&server->stream, fd);
        log_info(PART, "the agent, process %d, uses this connection", (int)peer.pid);
    }
}

void remote_server_run(struct remote_server *server)
{
    accept_agents(server);
    for (;;) {
        struct remote_frame frame;
        enum err err = remote_stream_next(&server->stream, &frame);
        if (err == ERR_NOT_FOUND)
            break;
        if (err == ERR_NONE)
            err = obey(server, &frame);
        if (err != ERR_NONE) {
            log_info(PART, "the agent %s", err == ERR_IO ? "is gone" : "says what makes no sense");
            drop_agent(server);
        }
    }
    hand_events_on(server);
}

/* ---- life ---- */

size_t remote_server_fds(const struct remote_server *server, int ret_fds[REMOTE_SERVER_FDS])
{
    ret_fds[0] = server->listener;
    ret_fds[1] = server->link.fd(server->link.self);
    ret_fds[2] = server->stream.fd;
    return server->stream.fd < 0 ? 2 : 3;
}

static enum err listen_at(struct remote_server *server, struct why *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(server->path) >= sizeof(address.sun_path))
        return fail(ERR_ARGUMENT, why, "the path of a socket has at most %zu bytes: %s",
            sizeof(address.sun_path) - 1, server->path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(server->path);
    mode_t mask = umask(0177);
    bool done = server->listener >= 0 &&
                bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                listen(server->listener, 4) == 0;
    int error = errno;
    umask(mask);
    return done ? ERR_NONE
                : fail(ERR_IO, why, "listening at %s: %s", server->path, strerror(error));
}

enum err remote_server_new(
    const char *path, struct link_driver link, struct remote_server **ret_server, struct why *why)
{
    struct remote_server *server = mem_alloc(sizeof(*server));
    if (server == NULL)
        return fail(ERR_MEMORY, why, "no memory for the link");
    server->link = link;
    server->listener = server->stream.fd = -1;
    memset(server->files, -1, sizeof(server->files));
    server->path = mem_text(span_of(path));
    enum err err = server->path == NULL ? fail(ERR_MEMORY, why, "no memory for the link")
                                        : listen_at(server, why);
    if (err != ERR_NONE) {
        remote_server_free(server);
        return err;
    }
    *ret_server = server;
    return ERR_NONE;
}

void remote_server_free(struct remote_server *server)
{
    if (server == NULL)
        return;
    drop_agent(server);
    if (server->listener >= 0) {
        close(server->listener);
        unlink(server->path);
    }
    buf_done(&server->frame);
    mem_free(server->path);
    mem_free(server);
}
