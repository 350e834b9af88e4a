/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor.h"

#include "http_parse.h"
#include "listener.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 16u
#define HEAD_BYTES 4096u
#define PATIENCE_US 5000000
#define BACKLOG 16u

struct client {
    int fd; /* -1: none */
    int64_t until_us;
    char head[HEAD_BYTES];
    size_t got;
    struct buf answer; /* empty: the head is still being read */
    size_t sent;
};

struct monitor {
    struct service *service;
    int listener;
    int stop[2]; /* closing the second end ends the thread */
    pthread_t thread;
    bool started;
    struct client clients[CLIENTS];
};

/* ---- answers --------------------------------------------------------------------------------- */

static void write_answer(
    struct client *client, const char *status, const char *type, struct span body, bool head_only)
{
    buf_add_format(&client->answer,
        "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\ncache-control: no-store\r\n"
        "connection: close\r\n\r\n",
        status, type, body.len);
    if (!head_only)
        buf_add(&client->answer, body);
}

static void answer(
    struct monitor *monitor, struct client *client, const struct http_request *request)
{
    static const char plain[] = "text/plain; charset=utf-8";
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    bool head_only = span_is(request->method, "HEAD");
    if (!head_only && !span_is(request->method, "GET")) {
        write_answer(
            client, "405 Method Not Allowed", plain, SPAN_LIT("GET and HEAD only\n"), false);
    } else if (span_is(request->path, "/healthz")) {
        write_answer(client, "200 OK", plain, SPAN_LIT("alive\n"), head_only);
    } else if (span_is(request->path, "/readyz")) {
        const char *reason;
        bool ready = service_is_ready(monitor->service, &reason);
        buf_add_format(&body, "%s\n", reason);
        write_answer(client, ready ? "200 OK" : "503 Service Unavailable", plain, buf_span(&body),
            head_only);
    } else if (span_is(request->path, "/metrics")) {
        service_write_metrics(&body);
        write_answer(client, "200 OK", "text/plain; version=0.0.4; charset=utf-8", buf_span(&body),
            head_only);
    } else {
        write_answer(client, "404 Not Found", plain,
            SPAN_LIT("there are /healthz, /readyz and /metrics\n"), head_only);
    }
    client->answer.failed = client->answer.failed || body.failed;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void let_go(struct client *client)
{
    close(client->fd);
    client->fd = -1;
    buf_done(&client->answer);
}

static void take_client(struct monitor *monitor)
{
    int fd = accept4(monitor->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &monitor->clients[i];
        if (client->fd >= 0)
            continue;
        *client = (struct client){.fd = fd, .until_us = clock_mono_us(&clock_system) + PATIENCE_US};
        return;
    }
    close(fd);
}

static void read_some(struct monitor *monitor, struct client *client)
{
    struct http_request request;
    struct http_fault fault;
    ssize_t got = recv(client->fd, client->head + client->got, HEAD_BYTES - client->got, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            let_go(client);
        return;
    }
    client->got += (size_t)got;
    enum err err =
        http_parse_head((struct span){client->head, client->got}, HEAD_BYTES, &request, &fault);
    if (err == ERR_NONE)
        answer(monitor, client, &request);
    else if (err != ERR_AGAIN || client->got == HEAD_BYTES)
        write_answer(client, "400 Bad Request", "text/plain; charset=utf-8",
            SPAN_LIT("this is no request\n"), false);
    if (client->answer.failed)
        let_go(client);
}

static void send_some(struct client *client)
{
    ssize_t sent = send(client->fd, client->answer.ptr + client->sent,
        client->answer.len - client->sent, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            let_go(client);
        return;
    }
    client->sent += (size_t)sent;
    if (client->sent < client->answer.len)
        return;
    shutdown(client->fd, SHUT_WR);
    let_go(client);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* False when it is to end. */
static bool wait_and_serve(struct monitor *monitor)
{
    struct pollfd polls[CLIENTS + 2] = {
        {.fd = monitor->stop[0], .events = POLLIN}, {.fd = monitor->listener, .events = POLLIN}};
    bool busy = false;
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct client *client = &monitor->clients[i];
        polls[i + 2] =
            (struct pollfd){.fd = client->fd, .events = client->answer.len > 0 ? POLLOUT : POLLIN};
        busy = busy || client->fd >= 0;
    }
    if (poll(polls, CLIENTS + 2, busy ? 1000 : -1) < 0)
        return errno == EINTR;
    if (polls[0].revents != 0)
        return false;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &monitor->clients[i];
        if (client->fd < 0)
            continue;
        if (polls[i + 2].revents != 0 && client->answer.len > 0)
            send_some(client);
        else if (polls[i + 2].revents != 0)
            read_some(monitor, client);
        if (client->fd >= 0 && clock_mono_us(&clock_system) > client->until_us)
            let_go(client);
    }
    if (polls[1].revents != 0)
        take_client(monitor);
    return true;
}

static void *run(void *self)
{
    struct monitor *monitor = self;
    pthread_setname_np(pthread_self(), "monitor");
    while (wait_and_serve(monitor)) {
    }
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

enum err monitor_start(const char *address, unsigned port, struct service *service,
    struct monitor **ret_monitor, struct why *why)
{
    struct listen_address parsed;
    struct monitor *monitor = mem_alloc(sizeof(*monitor));
    if (monitor == NULL)
        return fail(ERR_MEMORY, why, "no memory for the monitor");
    monitor->service = service;
    monitor->listener = monitor->stop[0] = monitor->stop[1] = -1;
    for (size_t i = 0; i < CLIENTS; i++)
        monitor->clients[i].fd = -1;
    enum err err = listen_address_parse(address, &parsed, why);
    if (err == ERR_NONE)
        err = listener_open(
            &parsed, &port, BACKLOG, "--set monitor.port", 1, &monitor->listener, why);
    if (err == ERR_NONE && pipe2(monitor->stop, O_CLOEXEC) != 0)
        err = fail(ERR_SERVER, why, "no pipe for the monitor: %s", strerror(errno));
    if (err == ERR_NONE) {
        monitor->started = pthread_create(&monitor->thread, NULL, run, monitor) == 0;
        if (!monitor->started)
            err = fail(ERR_SERVER, why, "cannot start the monitor's thread");
    }
    if (err != ERR_NONE) {
        monitor_stop(monitor);
        return err;
    }
    log_info("monitor", "health and metrics at http://%s:%u", parsed.text, port);
    *ret_monitor = monitor;
    return ERR_NONE;
}

void monitor_stop(struct monitor *monitor)
{
    if (monitor == NULL)
        return;
    if (monitor->stop[1] >= 0)
        close(monitor->stop[1]);
    if (monitor->started)
        pthread_join(monitor->thread, NULL);
    if (monitor->stop[0] >= 0)
        close(monitor->stop[0]);
    if (monitor->listener >= 0)
        close(monitor->listener);
    for (size_t i = 0; i < CLIENTS; i++)
        if (monitor->clients[i].fd >= 0)
            let_go(&monitor->clients[i]);
    mem_free(monitor);
}
