/* SPDX-License-Identifier: Apache-2.0 */
#include "privileges.h"

#include "log.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PART "agent"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ARCHITECTURE AUDIT_ARCH_ARM
#elif defined(__i386__)
#define ARCHITECTURE AUDIT_ARCH_I386
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

/* A sanitizer starts programs and traces its own process. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static const char *const capability_names[] = {
    [CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
    [CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
    [CAP_CHOWN] = "CAP_CHOWN",
    [CAP_NET_ADMIN] = "CAP_NET_ADMIN",
    [CAP_NET_RAW] = "CAP_NET_RAW",
    [CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
    [CAP_SYS_NICE] = "CAP_SYS_NICE",
};

/* Starting programs, looking into others, changing the machine: nothing that an agent does. */
static const unsigned refused_calls[] = {
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_acct,
    SYS_quotactl,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_open_by_handle_at,
    SYS_personality,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_vhangup,
    SYS_syslog,
    SYS_fanotify_init,
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup,
#endif
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_pidfd_getfd
    SYS_pidfd_getfd,
#endif
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
#endif
#ifdef SYS_iopl
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
#endif
};

#define CALLS COUNT_OF(refused_calls)

static bool filtered;
static uint64_t in_use;

/* ---- system calls ---- */

/* load arch; if another, refuse; load number; for each refused one jump to the refusal; allow. */
static bool filter_calls(void)
{
#ifdef ARCHITECTURE
    enum { HEAD = 4, TAIL = 2 };
    struct sock_filter program[HEAD + CALLS + TAIL];
    const struct sock_fprog filter = {.len = COUNT_OF(program), .filter = program};
    size_t at = 0;
    program[at++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    program[at++] = (struct sock_filter)BPF_STMT(
        BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA));
    program[at++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++)
        program[at++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, refused_calls[i], (uint8_t)(CALLS - i), 0);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[at++] = (struct sock_filter)BPF_STMT(
        BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA));
    must(at == COUNT_OF(program));
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
#else
    errno = ENOSYS;
    return false;
#endif
}

void privileges_enclose(void)
{
    const struct rlimit none = {0, 0};
    /* A dump of this process would hold keys, and what others' processes said of themselves. */
    (void)setrlimit(RLIMIT_CORE, &none);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        log_info(PART, "no_new_privs: %s", strerror(errno));
    if (SANITIZED)
        return;
    filtered = filter_calls();
    if (!filtered)
        log_info(PART, "system calls are not filtered here: %s", strerror(errno));
}

/* ---- capabilities ---- */

static bool get(struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capget, &header, data) == 0;
}

static bool set(const struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capset, &header, data) == 0;
}

static uint64_t permitted_of(const struct __user_cap_data_struct data[2])
{
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static void write_set(struct __user_cap_data_struct data[2], uint64_t permitted, uint64_t effective)
{
    for (size_t i = 0; i < 2; i++) {
        data[i].permitted = (uint32_t)(permitted >> (32 * i));
        data[i].effective = (uint32_t)(effective >> (32 * i));
        data[i].inheritable = 0;
    }
}

static uint64_t effective_now(void)
{
    struct __user_cap_data_struct data[2];
    if (!get(data))
        return 0;
    return data[0].effective | (uint64_t)data[1].effective << 32;
}

void privileges_limit(uint64_t most)
{
    struct __user_cap_data_struct data[2];
    if (!get(data))
        return;
    uint64_t kept = permitted_of(data) & most;
    if (kept == permitted_of(data))
        return;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    write_set(data, kept, kept);
    if (!set(data))
        log_debug(PART, "capabilities stay as they were given: %s", strerror(errno));
}

void privileges_use(uint64_t wanted)
{
    struct __user_cap_data_struct data[2];
    if (get(data)) {
        uint64_t permitted = permitted_of(data);
        write_set(data, permitted, permitted & wanted);
        if (!set(data))
            log_debug(PART, "capabilities stay as they were given: %s", strerror(errno));
    }
    in_use = effective_now();
}

bool privileges_status(struct arena *arena, struct json *object)
{
    AUTO(buf_done) struct buf names = BUF_EMPTY;
    for (size_t i = 0; i < 64; i++) {
        if ((in_use & PRIVILEGE(i)) == 0)
            continue;
        buf_add_text(&names, names.len == 0 ? "" : " ");
        if (i < COUNT_OF(capability_names) && capability_names[i] != NULL)
            buf_add_text(&names, capability_names[i]);
        else
            buf_add_format(&names, "%zu", i);
    }
    return !names.failed && json_set_text(arena, object, "capabilities", buf_span(&names)) &&
           json_set_text(arena, object, "system_calls", span_of(filtered ? "filtered" : "open"));
}
