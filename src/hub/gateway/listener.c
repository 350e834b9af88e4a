/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void set_text(struct listen_address *address)
{
    char host[INET6_ADDRSTRLEN];
    bool six = address->storage.ss_family == AF_INET6;
    const void *bytes = six ? (const void *)&((struct sockaddr_in6 *)&address->storage)->sin6_addr
                            : (const void *)&((struct sockaddr_in *)&address->storage)->sin_addr;
    if (inet_ntop(address->storage.ss_family, bytes, host, sizeof host) == NULL)
        host[0] = '\0';
    snprintf(address->text, sizeof address->text, six ? "[%s]" : "%s", host);
}

static bool machine_has_ipv6(void)
{
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return false;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    bool works = bind(probe, (const struct sockaddr *)&any, sizeof any) == 0;
    close(probe);
    return works;
}

static void every_address(struct listen_address *address)
{
    if (machine_has_ipv6()) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
        memcpy(&address->storage, &any, sizeof any);
        address->size = sizeof any;
    } else {
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
        memcpy(&address->storage, &any, sizeof any);
        address->size = sizeof any;
    }
}

enum err listen_address_parse(const char *text, struct listen_address *ret_address, struct why *why)
{
    struct listen_address address = {.size = 0};
    if (text == NULL || text[0] == '\0' || strcmp(text, "::") == 0 || strcmp(text, "[::]") == 0) {
        every_address(&address);
    } else {
        char bare[256];
        size_t len = strlen(text);
        bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
        snprintf(bare, sizeof bare, "%.*s", (int)(bracketed ? len - 2 : len),
            text + (bracketed ? 1 : 0));
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        struct addrinfo *found;
        int code = getaddrinfo(bare, NULL, &hints, &found);
        if (code != 0)
            return fail(ERR_ARGUMENT, why, "the address to listen on, '%s', is none: %s", text,
                gai_strerror(code));
        memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
        address.size = found->ai_addrlen;
        freeaddrinfo(found);
    }
    set_text(&address);
    *ret_address = address;
    return ERR_NONE;
}

static void set_port(struct sockaddr_storage *storage, unsigned port)
{
    if (storage->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)storage)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)storage)->sin_port = htons((uint16_t)port);
}

static unsigned port_of(int socket_fd)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    if (getsockname(socket_fd, (struct sockaddr *)&storage, &size) != 0)
        return 0;
    return ntohs(storage.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&storage)->sin6_port
                                               : ((struct sockaddr_in *)&storage)->sin_port);
}

/* The address is told by --listen, the port by the option that is named. */
static enum err explain(int error, const struct listen_address *address, unsigned port,
    const char *option, struct why *why)
{
    if (error == EADDRINUSE)
        return fail(ERR_REFUSED, why,
            "port %u on %s is in use: stop what listens there (ss -ltnp sport = :%u shows it) or "
            "choose another port with %s",
            port, address->text, port, option);
    if (error == EACCES)
        return fail(ERR_REFUSED, why,
            "port %u needs a privilege: give it with 'setcap cap_net_bind_service=+ep' on "
            "gemel-hub or AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit, or choose a port "
            "of 1024 or more with %s",
            port, option);
    if (error == EADDRNOTAVAIL)
        return fail(ERR_REFUSED, why, "this machine has no address %s to listen on (--listen)",
            address->text);
    return fail(
        ERR_IO, why, "cannot listen on %s port %u: %s", address->text, port, strerror(error));
}

static int open_socket(const struct listen_address *address, unsigned port, bool shared)
{
    struct sockaddr_storage storage = address->storage;
    set_port(&storage, port);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    bool ready = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (shared)
        ready = ready && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    if (storage.ss_family == AF_INET6)
        ready = ready && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
    if (!ready || bind(fd, (const struct sockaddr *)&storage, address->size) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void close_all(const int *sockets, size_t count)
{
    int error = errno;
    for (size_t i = 0; i < count; i++)
        close(sockets[i]);
    errno = error;
}

enum err listener_open(const struct listen_address *address, unsigned *port, unsigned backlog,
    const char *option, size_t count, int *ret_sockets, struct why *why)
{
    int claim = open_socket(address, *port, false);
    if (claim < 0)
        return explain(errno, address, *port, option, why);
    if (*port != 0 && listen(claim, 1) != 0) {
        close_all(&claim, 1);
        return explain(errno, address, *port, option, why);
    }
    close(claim);

    for (size_t i = 0; i < count; i++) {
        ret_sockets[i] = open_socket(address, *port, true);
        if (ret_sockets[i] < 0) {
            close_all(ret_sockets, i);
            return explain(errno, address, *port, option, why);
        }
        if (*port == 0)
            *port = port_of(ret_sockets[i]);
        if (listen(ret_sockets[i], (int)backlog) != 0) {
            close_all(ret_sockets, i + 1);
            return explain(errno, address, *port, option, why);
        }
    }
    return ERR_NONE;
}
