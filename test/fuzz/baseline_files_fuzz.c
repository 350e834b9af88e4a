/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the machine that is judged: every probe reads what anybody may have put there. One
 * input stands at all their places at once. */
#include "probe_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const places[] = {"etc/passwd", "etc/group", "etc/shadow", "etc/login.defs",
    "etc/environment", "etc/profile", "etc/subuid", "etc/ssh/sshd_config",
    "etc/ssh/sshd_config.d/a", "etc/pam.d/su", "etc/pam.d/a", "etc/sysctl.d/a.conf",
    "etc/modprobe.d/a.conf", "proc/1/mountinfo", "proc/1/net/tcp", "proc/1/net/udp6",
    "proc/modules", "proc/sys/kernel/a", "lib/modules/6/modules.dep",
    "lib/modules/6/modules.builtin", "var/lib/dpkg/status", "lib/apk/db/installed"};

static const char rules[] =
    "[{\"probe\":\"mount\",\"path\":\"/tmp\",\"option\":\"nodev\"},"
    "{\"probe\":\"sysctl\",\"key\":\"kernel.a\",\"equals\":\"1\",\"configured\":true},"
    "{\"probe\":\"kernel_module\",\"module\":\"udf\",\"state\":\"disabled\"},"
    "{\"probe\":\"package\",\"name\":\"a\",\"installed\":true},"
    "{\"probe\":\"sshd\",\"keyword\":\"Ciphers\",\"none_of_words\":[\"a\"],\"default\":\"a\"},"
    "{\"probe\":\"sshd\",\"keyword\":\"MaxAuthTries\",\"at_most\":4,\"default\":\"6\"},"
    "{\"probe\":\"pam\",\"services\":[\"su\"],\"type\":\"auth\",\"module\":\"a.so\",\"argument\":"
    "{\"name\":\"n\",\"at_least\":1}},"
    "{\"probe\":\"login_defs\",\"key\":\"UMASK\",\"at_most\":1},"
    "{\"probe\":\"line\",\"paths\":[\"/etc/passwd\"],\"pattern\":\"^(a|b)*c([0-9]+)\","
    "\"present\":true,\"at_most\":4},"
    "{\"probe\":\"port\",\"protocol\":\"tcp\",\"port\":25,\"beyond_loopback\":false},"
    "{\"probe\":\"accounts\",\"rule\":\"unique_uid\"},"
    "{\"probe\":\"accounts\",\"rule\":\"groups_exist\"},"
    "{\"probe\":\"accounts\",\"rule\":\"home_mode\"},"
    "{\"probe\":\"accounts\",\"rule\":\"shadow_group_empty\"},"
    "{\"probe\":\"accounts\",\"rule\":\"empty_password\"},"
    "{\"probe\":\"accounts\",\"rule\":\"last_change_past\"},"
    "{\"probe\":\"accounts\",\"rule\":\"default_umask\"},"
    "{\"probe\":\"accounts\",\"rule\":\"shell_timeout\",\"at_most\":900},"
    "{\"probe\":\"accounts\",\"rule\":\"root_path\"}]";

static char root[] = "/tmp/baseline_files_fuzz_XXXXXX";

static void clean(void)
{
    char path[256];
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, places[i]);
        (void)unlink(path);
    }
    /* The folders, from the inside: each path's, again and again up to the root. */
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, places[i]);
        for (char *slash;
             (slash = strrchr(path, '/')) != NULL && (size_t)(slash - path) > strlen(root);) {
            *slash = '\0';
            (void)rmdir(path);
        }
    }
    (void)rmdir(root);
}

/* One file under many names. Returns a descriptor of it. */
static int make_machine(void)
{
    char path[256], first[256];
    must(mkdtemp(root) != NULL);
    must(atexit(clean) == 0);
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, places[i]);
        for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
            *at = '\0';
            (void)mkdir(path, 0700);
            *at = '/';
        }
        if (i == 0) {
            int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            must(fd >= 0);
            close(fd);
            memcpy(first, path, sizeof(first));
        } else {
            must(link(first, path) == 0);
        }
    }
    return open(first, O_WRONLY | O_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = make_machine();
    must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    struct context context = {.clock = &clock_system, .kernel_release = "6"};
    struct arena parsed;
    struct json *list;
    arena_init(&context.arena, 4u * 1024 * 1024);
    arena_init(&parsed, 0);
    must(root_open(root, &context.root, NULL) == ERR_NONE);
    must(json_parse(&parsed, span_of(rules), 0, &list, NULL) == ERR_NONE);
    json_each (rule, list) {
        struct why why = {""};
        arena_init(&context.scratch, 1024u * 1024);
        (void)rule_judge(&context, rule, &why);
        must(why.text[0] != '\0');
        arena_done(&context.scratch);
    }
    root_close(&context.root);
    arena_done(&parsed);
    arena_done(&context.arena);
    return 0;
}
