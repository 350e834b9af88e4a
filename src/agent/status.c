/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PART "status"
#define SOCKET_NAME "agent.sock"
#define TEXT_COLUMN 26u
#define DEPTH_MAX 8u

/* A socket's path has little room, a state directory may have a long one: so the way is through
 * the directory's descriptor. */
static int open_address(const char *state_dir, struct sockaddr_un *ret_address)
{
    int dir_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -1;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/" SOCKET_NAME,
        dir_fd);
    return dir_fd;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address)
{
    unlink(address->sun_path);
    mode_t mask = umask(0177);
    int result = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    umask(mask);
    return result == 0 ? listen(fd, 8) : result;
}

int status_listen(const char *state_dir)
{
    struct sockaddr_un address;
    int dir_fd = open_address(state_dir, &address);
    int fd = dir_fd < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind_and_listen(fd, &address) != 0) {
        log_warn(PART, "nobody can ask for the status: %s/" SOCKET_NAME ": %s", state_dir,
            strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    if (dir_fd >= 0)
        close(dir_fd);
    return fd;
}

void status_close(int listener, const char *state_dir)
{
    struct sockaddr_un address;
    if (listener < 0)
        return;
    close(listener);
    int dir_fd = open_address(state_dir, &address);
    if (dir_fd < 0)
        return;
    unlink(address.sun_path);
    close(dir_fd);
}

void status_serve(int listener, struct span text)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        /* The socket's buffer takes the whole; who sends nothing and reads nothing loses only his
         * own answer. */
        ssize_t sent = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (sent != (ssize_t)text.len)
            log_debug(PART, "an answer was cut off");
        close(fd);
    }
}

static enum err read_all(int fd, struct buf *text, struct why *why)
{
    for (;;) {
        char *room = buf_reserve(text, 4096);
        if (room == NULL)
            return fail(ERR_MEMORY, why, "no memory for the answer");
        ssize_t got = read(fd, room, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(ERR_IO, why, "reading the agent's answer: %s", strerror(errno));
        if (got == 0)
            return ERR_NONE;
        text->len += (size_t)got;
        text->ptr[text->len] = '\0';
    }
}

enum err status_ask(const char *state_dir, struct buf *ret_text, struct why *why)
{
    struct sockaddr_un address;
    struct timeval patience = {.tv_sec = 10};
    int dir_fd = open_address(state_dir, &address);
    int fd = dir_fd < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum err err = ERR_NONE;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        err = errno == EACCES ? fail(ERR_IO, why, "%s may not be asked by this user", state_dir)
                              : fail(ERR_NOT_FOUND, why, "no agent runs on %s", state_dir);
    if (err == ERR_NONE &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0)
        err = fail(ERR_IO, why, "%s", strerror(errno));
    if (err == ERR_NONE)
        err = read_all(fd, ret_text, why);
    if (fd >= 0)
        close(fd);
    if (dir_fd >= 0)
        close(dir_fd);
    return err;
}

static void write_members(const struct json *object, unsigned depth, struct buf *out)
{
    json_each (member, object) {
        size_t start = out->len;
        buf_add_format(out, "%*s", (int)(2 * depth), "");
        buf_add(out, member->key);
        if (member->kind == JSON_OBJECT && depth < DEPTH_MAX) {
            buf_add_text(out, "\n");
            write_members(member, depth + 1, out);
            continue;
        }
        do
            buf_add_byte(out, ' ');
        while (!out->failed && out->len - start < TEXT_COLUMN);
        if (member->kind == JSON_STRING)
            buf_add(out, member->text);
        else
            json_write(member, out);
        buf_add_byte(out, '\n');
    }
}

void status_write_text(const struct json *object, struct buf *out)
{
    write_members(object, 0, out);
}
