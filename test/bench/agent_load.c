/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load for agents that watch a machine, at a steady pace and counted exactly:
 *
 *   agent-load SECONDS STARTS PROGRAM PACKETS ADDRESS FILES FOLDER
 *   agent-load echo NETNS ADDRESS
 *
 * Each second STARTS times PROGRAM is run, PACKETS datagrams pass the interface that leads to
 * ADDRESS (half of them there, half back), and FILES files are made in FOLDER, written, closed and
 * removed. What falls behind is made up for. Prints what was done as JSON.
 *
 * The second form sends back what comes, in the network namespace of that name, until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT 5005
#define TICK_NS 10000000L
#define SECOND_NS 1000000000L
#define PAYLOAD "what a sensor may say in one datagram, sixty-four bytes of payload"

struct load {
    long seconds;
    long starts;
    char *program;
    long packets;
    struct sockaddr_in to;
    long files;
    const char *folder;
    int socket;
    long started, out, back, made;
};

static int quit(const char *what)
{
    fprintf(stderr, "agent-load: %s: %s\n", what, strerror(errno));
    return 1;
}

/* A load that was not done is no measure. */
static _Noreturn void give_up(const char *what)
{
    exit(quit(what));
}

static bool address_of(const char *text, struct sockaddr_in *ret_address)
{
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(PORT)};
    return inet_pton(AF_INET, text, &ret_address->sin_addr) == 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void start_one(struct load *load)
{
    char *words[] = {load->program, NULL};
    char *nothing[] = {NULL};
    pid_t pid;
    if (posix_spawn(&pid, load->program, NULL, NULL, words, nothing) != 0)
        give_up(load->program);
    load->started++;
}

static void make_one(struct load *load)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/file-%ld", load->folder, load->made % 16);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool done = fd >= 0 && write(fd, PAYLOAD, sizeof(PAYLOAD)) > 0;
    if (!done || close(fd) != 0 || unlink(path) != 0)
        give_up(path);
    load->made++;
}

static void send_one(struct load *load)
{
    if (send(load->socket, PAYLOAD, sizeof(PAYLOAD), 0) < 0)
        give_up("send");
    load->out++;
}

static void take_back(struct load *load)
{
    char space[256];
    while (recv(load->socket, space, sizeof(space), MSG_DONTWAIT) > 0)
        load->back++;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

/* Brings each count to what is due after so much time. */
static void catch_up(struct load *load, int64_t passed_ns)
{
    int64_t ms = passed_ns / 1000000;
    while (load->started < ms * load->starts / 1000)
        start_one(load);
    while (load->out < ms * load->packets / 2000)
        send_one(load);
    while (load->made < ms * load->files / 1000)
        make_one(load);
    take_back(load);
}

static int run(struct load *load)
{
    load->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int room = 1 << 20;
    if (load->socket < 0 ||
        setsockopt(load->socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) != 0 ||
        connect(load->socket, (struct sockaddr *)&load->to, sizeof(load->to)) != 0)
        return quit("socket");
    const int64_t begin_ns = now_ns();
    const int64_t length_ns = load->seconds * SECOND_NS;
    for (int64_t passed_ns = 0; passed_ns < length_ns; passed_ns = now_ns() - begin_ns) {
        catch_up(load, passed_ns);
        nanosleep(&(struct timespec){0, TICK_NS}, NULL);
    }
    catch_up(load, length_ns);
    for (int i = 0; i < 100 && load->back < load->out; i++) {
        nanosleep(&(struct timespec){0, TICK_NS}, NULL);
        take_back(load);
    }
    while (wait(NULL) > 0)
        ;
    printf("{\"started\":%ld,\"out\":%ld,\"back\":%ld,\"made\":%ld}\n", load->started, load->out,
        load->back, load->made);
    return 0;
}

static int echo(const char *netns, const char *address)
{
    char path[256];
    struct sockaddr_in own;
    snprintf(path, sizeof(path), "/run/netns/%s", netns);
    int ns = open(path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
        return quit(path);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !address_of(address, &own) || bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0)
        return quit(address);
    puts("ready");
    fflush(stdout);
    for (;;) {
        char space[256];
        struct sockaddr_in from;
        socklen_t len = sizeof(from);
        ssize_t got = recvfrom(fd, space, sizeof(space), 0, (struct sockaddr *)&from, &len);
        if (got < 0 || sendto(fd, space, (size_t)got, 0, (struct sockaddr *)&from, len) < 0)
            return quit(address);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "echo") == 0)
        return echo(argv[2], argv[3]);
    struct load load = {0};
    if (argc != 8 || !address_of(argv[5], &load.to)) {
        fputs("agent-load SECONDS STARTS PROGRAM PACKETS ADDRESS FILES FOLDER\n", stderr);
        return 2;
    }
    load.seconds = atol(argv[1]);
    load.starts = atol(argv[2]);
    load.program = argv[3];
    load.packets = atol(argv[4]);
    load.files = atol(argv[6]);
    load.folder = argv[7];
    return run(&load);
}
