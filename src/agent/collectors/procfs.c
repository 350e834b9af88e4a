/* SPDX-License-Identifier: Apache-2.0 */
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* include/linux/sched.h */
#define PF_FORKNOEXEC 0x00000040u
#define PF_KTHREAD 0x00200000u

/* "PID/NAME", below /proc. */
struct path {
    char text[32];
    size_t name_at;
};

static void path_begin(struct path *ret_path, pid_t pid)
{
    char digits[12];
    size_t count = 0, at = 0;
    must(pid >= 0);
    for (unsigned rest = (unsigned)pid; rest > 0 || count == 0; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count > 0)
        ret_path->text[at++] = digits[--count];
    ret_path->text[at++] = '/';
    ret_path->name_at = at;
}

static const char *path_to(struct path *path, const char *name)
{
    size_t size = strlen(name) + 1;
    must(path->name_at + size <= sizeof(path->text));
    memcpy(path->text + path->name_at, name, size);
    return path->text;
}

/* Reads from the start of a file, at most `size`, in one call: what /proc has of a process comes
 * whole, or as much as there is room for. -1 on failure, with errno. */
static ssize_t read_at(int dir_fd, const char *name, char *ret_bytes, size_t size)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got;
    do
        got = read(fd, ret_bytes, size);
    while (got < 0 && errno == EINTR);
    int saved = errno;
    close(fd);
    errno = saved;
    return got;
}

static bool next_u64(struct span *rest, uint64_t *ret_value)
{
    struct span part;
    do {
        if (!span_cut(rest, ' ', &part))
            return false;
    } while (part.len == 0);
    return span_u64(span_trim(part), UINT64_MAX, ret_value);
}

/* Whether arg_end, field 49, is set (arg_start is a moment before); `rest` begins at 23. */
static bool has_arguments(struct span rest)
{
    struct span part;
    for (unsigned field = 23; field <= 49; field++)
        if (!span_cut(&rest, ' ', &part))
            return false;
    return part.len > 0 && !span_is(part, "0");
}

bool procfs_parse_stat(struct span text, struct process_stat *ret_stat)
{
    /* pid (name) S ppid …: the name may hold blanks and brackets, so look for the last one. */
    size_t close_at = text.len;
    while (close_at > 0 && text.ptr[close_at - 1] != ')')
        close_at--;
    struct span rest = span_from(text, close_at + 1);
    if (close_at == 0 || rest.len < 2)
        return false;
    struct process_stat stat = {.state = rest.ptr[0]};
    rest = span_from(rest, 2);

    /* proc_pid_stat(5) counts from 1 with the pid; `rest` begins at 4, the parent. */
    for (unsigned field = 4; field <= 22; field++) {
        uint64_t value = 0;
        struct span before = rest, part;
        /* tpgid, priority and nice may be negative; none of them is wanted. */
        if (field == 4 || field == 9 || field == 22) {
            if (!next_u64(&rest, &value))
                return false;
        } else if (!span_cut(&before, ' ', &part)) {
            return false;
        } else {
            rest = before;
        }
        if (field == 4)
            stat.parent_process_id = (uint32_t)value;
        else if (field == 9) {
            stat.kernel_thread = (value & PF_KTHREAD) != 0;
            stat.executed = (value & PF_FORKNOEXEC) == 0;
        } else if (field == 22)
            stat.start_ticks = value;
    }
    stat.has_arguments = has_arguments(rest);
    *ret_stat = stat;
    return true;
}

bool procfs_stat(int proc_fd, pid_t pid, struct process_stat *ret_stat)
{
    char text[1024];
    struct path path;
    path_begin(&path, pid);
    ssize_t len = read_at(proc_fd, path_to(&path, "stat"), text, sizeof(text));
    return len > 0 && procfs_parse_stat((struct span){text, (size_t)len}, ret_stat);
}

bool procfs_is_starting(int proc_fd, pid_t pid)
{
    char byte;
    struct path path;
    path_begin(&path, pid);
    return read_at(proc_fd, path_to(&path, "cmdline"), &byte, 1) == 0;
}

/* The first number after the name of a line, such as "Uid:\t0\t0\t0\t0". */
static bool first_number(struct span line, uint32_t *ret_number)
{
    struct span rest = span_trim(line), part;
    uint64_t value;
    if (!span_cut(&rest, '\t', &part) || !span_u64(part, UINT32_MAX, &value))
        return false;
    *ret_number = (uint32_t)value;
    return true;
}

bool procfs_parse_status(struct span text, struct process_status *ret_status)
{
    struct process_status status = {0};
    bool parent = false, user = false;
    struct span line;
    while (!(parent && user) && span_cut(&text, '\n', &line)) {
        struct span name;
        if (!span_cut(&line, ':', &name))
            continue;
        if (span_is(name, "Name"))
            status.comm = span_trim(line);
        else if (span_is(name, "State") && span_trim(line).len > 0)
            status.state = span_trim(line).ptr[0];
        else if (span_is(name, "PPid"))
            parent = first_number(line, &status.parent_process_id);
        else if (span_is(name, "Uid"))
            user = first_number(line, &status.user_id);
    }
    if (!parent || !user)
        return false;
    *ret_status = status;
    return true;
}

static enum command_line_state state_of_errno(void)
{
    return errno == ENOENT || errno == ESRCH ? COMMAND_LINE_GONE : COMMAND_LINE_UNREADABLE;
}

/* Returns whether nothing at all was there: even an empty argument is a byte. */
static bool read_command_line(int proc_fd, struct path *path, struct process_facts *facts)
{
    char bytes[PROCESS_COMMAND_LINE_MAX + 2]; /* room for the last NUL, and for one too many */
    ssize_t got = read_at(proc_fd, path_to(path, "cmdline"), bytes, sizeof(bytes));
    if (got < 0) {
        facts->state = state_of_errno();
        return false;
    }
    size_t len = (size_t)got;
    if (len > 0 && len < sizeof(bytes) && bytes[len - 1] == '\0')
        len--; /* the end of the last argument; an empty argument before it stays */
    bool cut = len > PROCESS_COMMAND_LINE_MAX;
    if (cut)
        len = PROCESS_COMMAND_LINE_MAX;
    facts->state = cut ? COMMAND_LINE_CUT : COMMAND_LINE_COMPLETE;
    for (size_t i = 0; i < len; i++)
        facts->command_line[i] = bytes[i] == '\0' ? ' ' : bytes[i];
    facts->command_line_len = len;
    return got == 0;
}

static void begin(struct process_facts *facts, pid_t pid)
{
    facts->process_id = (uint32_t)pid;
    facts->identity_known = false;
    facts->parent_process_id = facts->user_id = 0;
    facts->command_line_len = facts->executable_len = 0;
}

/* False: there is no trace of the process. */
static bool read_program(int proc_fd, struct path *path, struct process_facts *facts)
{
    /* The command line first: it is the identity, and the first thing that goes. */
    bool nothing = read_command_line(proc_fd, path, facts);
    if (facts->state == COMMAND_LINE_GONE)
        return false;
    ssize_t len =
        readlinkat(proc_fd, path_to(path, "exe"), facts->executable, sizeof(facts->executable));
    facts->executable_len = len > 0 ? (size_t)len : 0;
    if (nothing && len < 0 && errno == ENOENT)
        facts->state = COMMAND_LINE_GONE; /* its memory is gone, and with it both */
    return true;
}

static void read_identity(int proc_fd, struct path *path, struct process_facts *facts)
{
    char text[1024];
    ssize_t got = read_at(proc_fd, path_to(path, "status"), text, sizeof(text));
    struct process_status status;
    if (got < 0 || !procfs_parse_status((struct span){text, (size_t)got}, &status))
        return;
    facts->identity_known = true;
    facts->parent_process_id = status.parent_process_id;
    facts->user_id = status.user_id;
    if (facts->executable_len == 0) {
        struct span comm = span_first(status.comm, PROCESS_COMM_MAX);
        if (comm.len > 0)
            memcpy(facts->executable, comm.ptr, comm.len);
        facts->executable_len = comm.len;
    }
}

void procfs_read(int proc_fd, pid_t pid, struct process_facts *ret_facts)
{
    struct path path;
    path_begin(&path, pid);
    begin(ret_facts, pid);
    if (read_program(proc_fd, &path, ret_facts))
        read_identity(proc_fd, &path, ret_facts);
}

void procfs_read_of_user(int proc_fd, pid_t pid, uint32_t parent_process_id, uint32_t user_id,
    struct process_facts *ret_facts)
{
    struct path path;
    path_begin(&path, pid);
    begin(ret_facts, pid);
    if (read_program(proc_fd, &path, ret_facts) && ret_facts->executable_len == 0)
        read_identity(proc_fd, &path, ret_facts); /* for its name */
    ret_facts->identity_known = true;
    ret_facts->parent_process_id = parent_process_id;
    ret_facts->user_id = user_id;
}

bool procfs_shows_all_users(int proc_fd)
{
    char text[128];
    uint64_t first, shown_as, count;
    ssize_t got = read_at(proc_fd, "self/uid_map", text, sizeof(text));
    struct span rest = {text, got < 0 ? 0 : (size_t)got};
    return next_u64(&rest, &first) && next_u64(&rest, &shown_as) && next_u64(&rest, &count) &&
           first == 0 && shown_as == 0 && count == UINT32_MAX;
}
