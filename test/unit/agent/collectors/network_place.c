/* SPDX-License-Identifier: Apache-2.0 */
#include "network_place.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int here = -1, there_fd = -1;

static int current(void)
{
    return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

bool place_ip(const char *arguments)
{
    char text[512], program[] = "ip", *words[48] = {program}, *save = NULL;
    size_t count = 1;
    pid_t pid;
    int result;
    must(snprintf(text, sizeof(text), "%s", arguments) < (int)sizeof(text));
    for (char *word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    must(count < COUNT_OF(words));
    if (posix_spawnp(&pid, "ip", NULL, NULL, words, environ) != 0)
        return false;
    return waitpid(pid, &result, 0) == pid && WIFEXITED(result) && WEXITSTATUS(result) == 0;
}

static void there_do(const char *arguments)
{
    must(setns(there_fd, CLONE_NEWNET) == 0);
    (void)place_ip(arguments);
    must(setns(here, CLONE_NEWNET) == 0);
}

void place_cable(void)
{
    char text[128];
    snprintf(text, sizeof(text), "link add a0 type veth peer name b0 netns /proc/%d/fd/%d",
        (int)getpid(), there_fd);
    must(place_ip(text));
    /* Packets as the wire has them, so that each can be counted. */
    (void)place_ip("link set a0 gso_max_segs 1");
    there_do("link set b0 gso_max_segs 1");
    there_do("addr add 10.9.0.2/24 dev b0");
    there_do("addr add fd09::2/64 dev b0 nodad");
    there_do("link set b0 up");
    (void)place_ip("addr add 10.9.0.1/24 dev a0");
    (void)place_ip("addr add fd09::1/64 dev a0 nodad");
    (void)place_ip("link set a0 up");
    place_await_road("10.9.0.1", "10.9.0.2");
    place_await_road("fd09::1", "fd09::2");
}

bool place_make(void)
{
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    there_fd = current();
    (void)place_ip("link set lo up");
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    here = current();
    (void)place_ip("link set lo up");
    place_cable();
    return true;
}

socklen_t place_size(const union place_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->ipv6) : sizeof(address->ipv4);
}

union place_address place_at(const char *text, uint16_t port)
{
    union place_address address = {0};
    if (strchr(text, ':') != NULL) {
        address.ipv6.sin6_family = AF_INET6;
        address.ipv6.sin6_port = htons(port);
        must(inet_pton(AF_INET6, text, &address.ipv6.sin6_addr) == 1);
    } else {
        address.ipv4.sin_family = AF_INET;
        address.ipv4.sin_port = htons(port);
        must(inet_pton(AF_INET, text, &address.ipv4.sin_addr) == 1);
    }
    return address;
}

int place_socket(bool there, int type, const char *text, uint16_t port)
{
    const int on = 1;
    union place_address address = place_at(text, port);
    if (there)
        must(setns(there_fd, CLONE_NEWNET) == 0);
    int fd = socket(address.any.sa_family, type | SOCK_CLOEXEC, 0);
    if (there)
        must(setns(here, CLONE_NEWNET) == 0);
    must(fd >= 0);
    must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    must(bind(fd, &address.any, place_size(&address)) == 0);
    return fd;
}

uint16_t place_port(int fd)
{
    union place_address address = {0};
    socklen_t len = sizeof(address);
    must(getsockname(fd, &address.any, &len) == 0);
    return ntohs(
        address.any.sa_family == AF_INET6 ? address.ipv6.sin6_port : address.ipv4.sin_port);
}

unsigned place_send(int fd, const char *text, uint16_t port, unsigned count, size_t size)
{
    static char bytes[65536];
    union place_address address = place_at(text, port);
    unsigned sent = 0;
    for (unsigned i = 0; i < count; i++)
        if (sendto(fd, bytes, size, 0, &address.any, place_size(&address)) == (ssize_t)size)
            sent++;
    return sent;
}

void place_await_road(const char *from_text, const char *to_text)
{
    int from = place_socket(false, SOCK_DGRAM, from_text, 4098);
    int to = place_socket(true, SOCK_DGRAM, to_text, 4099);
    struct pollfd arrived = {.fd = to, .events = POLLIN};
    do
        (void)place_send(from, to_text, 4099, 1, 1);
    while (poll(&arrived, 1, 20) <= 0);
    close(from);
    close(to);
}
