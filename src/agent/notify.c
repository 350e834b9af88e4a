/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include "log.h"
#include "span.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void notify_send(const char *state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct span path = span_of(getenv("NOTIFY_SOCKET"));
    if (path.len < 2 || path.len >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, path.ptr, path.len);
    if (to.sun_path[0] == '@') /* the abstract namespace */
        to.sun_path[0] = '\0';
    else if (to.sun_path[0] != '/')
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len);
    /* Nobody could be told of a failure. */
    ssize_t sent UNUSED =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to, len);
    close(fd);
}

void notify_log(void)
{
    struct stat stat;
    if (fstat(STDERR_FILENO, &stat) == 0)
        log_use_journal(getenv("JOURNAL_STREAM"), stat.st_dev, stat.st_ino);
}

int64_t notify_watchdog_us(void)
{
    uint64_t patience_us;
    uint64_t pid;
    const char *for_pid = getenv("WATCHDOG_PID");
    if (for_pid != NULL && (!span_u64(span_of(for_pid), INT32_MAX, &pid) || (pid_t)pid != getpid()))
        return 0;
    if (!span_u64(span_of(getenv("WATCHDOG_USEC")), INT64_MAX, &patience_us))
        return 0;
    return (int64_t)(patience_us / 2);
}
