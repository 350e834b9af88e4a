/* SPDX-License-Identifier: Apache-2.0 */
#include "link_process.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "notify.h"
#include "paho.h"
#include "privileges.h"
#include "remote.h"
#include "run.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PART "link"

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void serve(struct remote_server *server, int signal_fd)
{
    const int64_t watchdog_us = notify_watchdog_us();
    const int timeout_ms = watchdog_us == 0 ? -1 : (int)(watchdog_us / 1000);
    for (;;) {
        int fds[REMOTE_SERVER_FDS];
        struct pollfd ready[REMOTE_SERVER_FDS + 1] = {{.fd = signal_fd, .events = POLLIN}};
        size_t count = remote_server_fds(server, fds);
        for (size_t i = 0; i < count; i++)
            ready[i + 1] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        if (poll(ready, (nfds_t)count + 1, timeout_ms) < 0 && errno != EINTR)
            return;
        if (ready[0].revents != 0)
            return;
        remote_server_run(server);
        mem_give_back();
        if (watchdog_us > 0)
            notify_send("WATCHDOG=1");
    }
}

int agent_link(const char *socket_path)
{
    struct why why = {""};
    struct paho *paho = NULL;
    struct remote_server *server = NULL;
    mallopt(M_ARENA_MAX, 1); /* as in agent_run() */
    signal(SIGPIPE, SIG_IGN);
    privileges_enclose();
    privileges_limit(0);
    int signal_fd = open_signals();
    enum err err =
        signal_fd < 0 ? fail(ERR_IO, &why, "signalfd: %s", strerror(errno)) : paho_new(&paho, &why);
    if (err == ERR_NONE)
        err = remote_server_new(socket_path, paho_link(paho), &server, &why);
    if (err == ERR_NONE) {
        log_info(PART, "gemel-agent %s holds the connection for the agent at %s", GEMEL_VERSION,
            socket_path);
        notify_send("READY=1");
        serve(server, signal_fd);
        log_info(PART, "stopped");
    } else {
        log_error(PART, "%s", why_text(&why, err));
    }
    remote_server_free(server);
    if (signal_fd >= 0)
        close(signal_fd);
    int code = err == ERR_NONE ? EXIT_DONE : err == ERR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
    if (!paho_free(paho))
        _exit(code);
    return code;
}
