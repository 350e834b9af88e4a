/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACKET_BYTES (1024 * 1024)
#define READ_BYTES 16384

uint64_t bench_now_ns(void)
{
    struct timespec at;
    must(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void NORETURN give_up(const char *what, const char *about)
{
    fprintf(stderr, "gemel-bench: %s: %s\n", what, about);
    exit(1);
}

static char *take_field(struct span *line, const char *file)
{
    struct span field;
    if (!span_cut(line, '\t', &field))
        give_up(file, "a line needs three fields: client id, user name, password");
    char *text = mem_text(field);
    must(text != NULL);
    return text;
}

static void read_peers(struct swarm *swarm, const char *file)
{
    FILE *in = fopen(file, "r");
    if (in == NULL)
        give_up(file, strerror(errno));
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    size_t room = 0;
    while ((len = getline(&line, &cap, in)) > 0) {
        struct span rest = span_trim((struct span){line, (size_t)len});
        if (rest.len == 0)
            continue;
        if (swarm->count == room) {
            room = room == 0 ? 64 : room * 2;
            swarm->peers = mem_resize(swarm->peers, room * sizeof(struct peer));
            must(swarm->peers != NULL);
        }
        struct peer *peer = &swarm->peers[swarm->count++];
        *peer = (struct peer){.swarm = swarm, .fd = -1};
        peer->client_id = take_field(&rest, file);
        peer->username = take_field(&rest, file);
        peer->password = take_field(&rest, file);
    }
    free(line);
    fclose(in);
    if (swarm->count == 0)
        give_up(file, "holds no peers");
}

static void let_wait(struct peer *peer, uint64_t due_ns)
{
    peer->due_ns = due_ns;
    peer->waiting = NULL;
    *peer->swarm->last_waiting = peer;
    peer->swarm->last_waiting = &peer->waiting;
}

void swarm_open(struct swarm *swarm, const struct swarm_options *options, const char *peers_file)
{
    *swarm = (struct swarm){.options = *options};
    swarm->last_waiting = &swarm->waiting;
    read_peers(swarm, peers_file);
    for (size_t i = 0; i < swarm->count; i++)
        let_wait(&swarm->peers[i], 0);
    swarm->tls = SSL_CTX_new(TLS_client_method());
    must(swarm->tls != NULL);
    if (SSL_CTX_load_verify_locations(swarm->tls, options->ca_file, NULL) != 1)
        give_up(options->ca_file, "cannot be read as PEM certificates");
    SSL_CTX_set_verify(swarm->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(swarm->tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                     SSL_MODE_RELEASE_BUFFERS);
    swarm->epoll = epoll_create1(EPOLL_CLOEXEC);
    must(swarm->epoll >= 0);
}

void swarm_close(struct swarm *swarm)
{
    for (size_t i = 0; i < swarm->count; i++) {
        struct peer *peer = &swarm->peers[i];
        peer_close(peer);
        mem_free(peer->client_id);
        mem_free(peer->username);
        mem_wipe(peer->password, strlen(peer->password));
        mem_free(peer->password);
    }
    mem_free(swarm->peers);
    SSL_CTX_free(swarm->tls);
    close(swarm->epoll);
}

void peer_close(struct peer *peer)
{
    if (peer->fd < 0)
        return;
    if (peer->state == PEER_ONLINE)
        peer->swarm->online--;
    else
        peer->swarm->connecting--;
    SSL_free(peer->ssl);
    close(peer->fd);
    mqtt_reader_done(&peer->reader);
    buf_done(&peer->out);
    peer->fd = -1;
    peer->state = PEER_CLOSED;
}

static void fail_peer(struct peer *peer, const char *what)
{
    if (peer->swarm->failed++ == 0)
        fprintf(stderr, "gemel-bench: %s: %s\n", peer->client_id, what);
    peer_close(peer);
    if (peer->swarm->options.retry_ms > 0)
        let_wait(peer, bench_now_ns() + (uint64_t)peer->swarm->options.retry_ms * 1000000u);
}

void peer_lose(struct peer *peer)
{
    if (peer->fd >= 0)
        fail_peer(peer, "it was told to lose its connection");
}

static void watch(struct peer *peer, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};
    must(epoll_ctl(peer->swarm->epoll, how, peer->fd, &event) == 0);
}

/* One address has fewer ports than there may be peers. */
static void choose_source(const struct peer *peer)
{
    unsigned sources = peer->swarm->options.sources;
    if (sources == 0)
        return;
    unsigned number = (unsigned)(peer - peer->swarm->peers) % sources;
    int on = 1;
    struct sockaddr_in from = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number)};
    setsockopt(peer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(peer->fd, (const struct sockaddr *)&from, sizeof from) != 0)
        give_up("an address of the loopback", strerror(errno));
}

static void start_peer(struct peer *peer)
{
    struct swarm *swarm = peer->swarm;
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_family = swarm->options.sources > 0 ? AF_INET : AF_UNSPEC};
    struct addrinfo *found;
    int outcome = getaddrinfo(swarm->options.host, swarm->options.port, &hints, &found);
    if (outcome != 0)
        give_up(swarm->options.host, gai_strerror(outcome));
    peer->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (peer->fd < 0)
        give_up("socket", strerror(errno));
    choose_source(peer);
    if (connect(peer->fd, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS)
        give_up(swarm->options.port, strerror(errno));
    freeaddrinfo(found);
    int on = 1;
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    peer->ssl = SSL_new(swarm->tls);
    must(peer->ssl != NULL && SSL_set_fd(peer->ssl, peer->fd) == 1);
    SSL_set_tlsext_host_name(peer->ssl, swarm->options.host);
    SSL_set1_host(peer->ssl, swarm->options.host);
    SSL_set_connect_state(peer->ssl);
    mqtt_reader_init(&peer->reader, MQTT_CLIENT, PACKET_BYTES);
    peer->state = PEER_HANDSHAKE;
    swarm->connecting++;
    watch(peer, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

void peer_send(struct peer *peer)
{
    while (peer->fd >= 0 && peer->out.len > 0) {
        int sent = SSL_write(peer->ssl, peer->out.ptr, (int)peer->out.len);
        if (sent <= 0) {
            int why = SSL_get_error(peer->ssl, sent);
            if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ) {
                watch(peer, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
                return;
            }
            fail_peer(peer, "the connection was closed while sending");
            return;
        }
        buf_drop(&peer->out, (size_t)sent);
    }
}

static void say_connect(struct peer *peer)
{
    peer->state = PEER_CONNECTING;
    struct mqtt_connect connect = {.client_id = span_of(peer->client_id),
        .clean_session = true,
        .keep_alive_seconds = 1177,
        .has_username = peer->username[0] != '\0',
        .username = span_of(peer->username),
        .has_password = peer->password[0] != '\0',
        .password = span_of(peer->password)};
    mqtt_write_connect(&peer->out, &connect);
    watch(peer, EPOLLIN, EPOLL_CTL_MOD);
    peer_send(peer);
}

static void handshake(struct peer *peer)
{
    int done = SSL_do_handshake(peer->ssl);
    if (done == 1) {
        say_connect(peer);
        return;
    }
    int why = SSL_get_error(peer->ssl, done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        fail_peer(peer, "the TLS handshake failed");
    else
        watch(peer, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT, EPOLL_CTL_MOD);
}

static void handle(struct peer *peer, const struct mqtt_packet *packet)
{
    if (packet->kind != MQTT_CONNACK) {
        peer->swarm->options.packet(peer, packet);
        return;
    }
    if (packet->connack.code != MQTT_CODE_ACCEPTED) {
        fail_peer(peer, "the server refused the connection");
        return;
    }
    peer->state = PEER_ONLINE;
    peer->swarm->connecting--;
    peer->swarm->online++;
    peer->swarm->options.packet(peer, NULL);
}

static void receive(struct peer *peer)
{
    char bytes[READ_BYTES];
    while (peer->fd >= 0) {
        int got = SSL_read(peer->ssl, bytes, sizeof(bytes));
        if (got <= 0) {
            if (SSL_get_error(peer->ssl, got) != SSL_ERROR_WANT_READ)
                fail_peer(peer, "the server closed the connection");
            return;
        }
        struct span input = {bytes, (size_t)got};
        struct mqtt_packet packet;
        struct why why = {{0}};
        enum err err = ERR_NONE;
        while (peer->fd >= 0 && (err = mqtt_read(&peer->reader, &input, &packet, &why)) == ERR_NONE)
            handle(peer, &packet);
        if (peer->fd >= 0 && err != ERR_AGAIN)
            fail_peer(peer, why_text(&why, err));
    }
}

static void start_waiting(struct swarm *swarm)
{
    struct peer *peer;
    while ((peer = swarm->waiting) != NULL &&
           swarm->connecting < swarm->options.connecting_at_once &&
           (peer->due_ns == 0 || peer->due_ns <= bench_now_ns())) {
        swarm->waiting = peer->waiting;
        if (swarm->waiting == NULL)
            swarm->last_waiting = &swarm->waiting;
        start_peer(peer);
    }
}

void swarm_run(struct swarm *swarm, int timeout_ms)
{
    start_waiting(swarm);
    struct epoll_event events[128];
    int count = epoll_wait(swarm->epoll, events, (int)COUNT_OF(events), timeout_ms);
    for (int i = 0; i < count; i++) {
        struct peer *peer = events[i].data.ptr;
        if (peer->state == PEER_HANDSHAKE) {
            handshake(peer);
            continue;
        }
        if ((events[i].events & EPOLLOUT) != 0 && peer->fd >= 0) {
            watch(peer, EPOLLIN, EPOLL_CTL_MOD);
            peer_send(peer);
        }
        if (peer->fd >= 0)
            receive(peer);
    }
}
