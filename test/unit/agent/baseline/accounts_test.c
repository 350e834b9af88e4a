/* SPDX-License-Identifier: Apache-2.0 */
/* The rules about accounts, and what the walk over the file systems finds. */
#include "machine.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#define RULE(name) "{'probe':'accounts','rule':'" name "'}"
#define PASSES(rule, reason) machine_expect(m, rule, BASELINE_PASS, reason)
#define FAILS(rule, reason) machine_expect(m, rule, BASELINE_FAIL, reason)
#define SKIPS(rule, reason) machine_expect(m, rule, BASELINE_SKIP, reason)
#define ERRS(rule, reason) machine_expect(m, rule, BASELINE_ERROR, reason)

#define PASSWD                                                                                     \
    "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"                   \
    "ann:x:1000:1000::/home/ann:/bin/bash\n"
#define GROUP "root:x:0:\ndaemon:x:1:\nshadow:x:42:\nann:x:1000:\n"
/* Day 19675 is today. */
#define SHADOW "root:*:19000:0:99999:7:::\ndaemon:!:1::::::\nann:$y$x:19600:7:365:7:30::\n"

static void fill(struct machine *m)
{
    machine_file(m, "/etc/passwd", PASSWD);
    machine_file(m, "/etc/group", GROUP);
    machine_file(m, "/etc/shadow", SHADOW);
    machine_folder(m, "/root");
    machine_mode(m, "/root", 0700);
    machine_folder(m, "/home/ann");
    machine_mode(m, "/home/ann", 0750);
    machine_owner(m, "/home/ann", 1000, 1000);
}

struct row {
    const char *rule;
    const char *path; /* what makes it fail */
    const char *content;
    const char *reason;
};

static const struct row rows[] = {
    {RULE("empty_password"), "/etc/shadow", "ann::1::::::\n", "ann has or have no password"},
    {RULE("empty_password"), "/etc/passwd", PASSWD "eve::7:7::/:/bin/sh\n", "eve"},
    {RULE("uid0_only_root"), "/etc/passwd", PASSWD "toor:x:0:0::/root:/bin/sh\n", "toor"},
    {RULE("unique_uid"), "/etc/passwd", PASSWD "bob:x:1000:1::/home/bob:/bin/sh\n", "1000"},
    {RULE("unique_user"), "/etc/passwd", PASSWD "ann:x:9:1::/:/bin/false\n", "ann"},
    {RULE("unique_gid"), "/etc/group", GROUP "b:x:42:\n", "42"},
    {RULE("unique_group"), "/etc/group", GROUP "ann:x:43:\n", "ann"},
    {RULE("groups_exist"), "/etc/group", "root:x:0:\ndaemon:x:1:\n", "ann"},
    {RULE("root_gid0"), "/etc/passwd", "root:x:0:7::/root:/bin/sh\n", "is 7"},
    {RULE("system_nologin"), "/etc/passwd", PASSWD "www:x:33:1::/:/bin/sh\n", "www"},
    {RULE("shadow_group_empty"), "/etc/group", "shadow:x:42:ann, eve\n", "ann, eve"},
    {RULE("no_legacy_plus"), "/etc/passwd", PASSWD "+::::::\n", "/etc/passwd"},
    {RULE("no_legacy_plus"), "/etc/group", GROUP "+:::\n", "/etc/group"},
    {RULE("home_exists"), "/etc/passwd", PASSWD "bob:x:1001:1::/home/bob:/bin/sh\n", "bob"},
    {RULE("home_owned"), "/etc/passwd", "eve:x:1001:1::/home/ann:/bin/sh\n", "eve"},
    {RULE("no_rhosts"), "/home/ann/.rhosts", "", "ann has or have a file .rhosts"},
    {RULE("no_netrc"), "/home/ann/.netrc", "", "ann"},
    {RULE("no_forward"), "/home/ann/.forward", "", "ann"},
    {RULE("last_change_past"), "/etc/shadow", "ann:$y$x:19676:7:365:7:30::\n", "ann"},
    {"{'probe':'accounts','rule':'password_max_days','at_most':365}", "/etc/shadow",
        "ann:$y$x:1:7:99999:7:30::\n", "ann"},
    {"{'probe':'accounts','rule':'password_max_days','at_most':365}", "/etc/shadow",
        "ann:$y$x:1:7::7:30::\n", "ann"},
    {"{'probe':'accounts','rule':'password_min_days','at_least':7}", "/etc/shadow",
        "ann:$y$x:1:0:365:7:30::\n", "ann"},
    {"{'probe':'accounts','rule':'password_warn_days','at_least':7}", "/etc/shadow",
        "ann:$y$x:1:7:365::30::\n", "ann"},
    {"{'probe':'accounts','rule':'inactive_days','at_most':30}", "/etc/shadow",
        "ann:$y$x:1:7:365:7:::\n", "ann"},
};

static void each_rule_passes_before_and_fails_after(void **state)
{
    struct machine *m = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        machine_clear(m);
        fill(m);
        PASSES(rows[i].rule, NULL);
        machine_file(m, rows[i].path, rows[i].content);
        FAILS(rows[i].rule, rows[i].reason);
        machine_clear(m);
        ERRS(rows[i].rule, "/etc/passwd does not exist");
    }
}

static void modes_of_homes_and_dot_files_are_judged(void **state)
{
    struct machine *m = *state;
    fill(m);
    PASSES(RULE("home_mode"), NULL);
    machine_mode(m, "/home/ann", 0755);
    FAILS(RULE("home_mode"), "ann");
    machine_file(m, "/home/ann/.profile", "");
    PASSES(RULE("dotfiles_mode"), NULL);
    machine_mode(m, "/home/ann/.profile", 0664);
    FAILS(RULE("dotfiles_mode"), "ann has or have a dot file");
}

static void a_missing_shadow_file_is_skipped_and_no_hash_is_told(void **state)
{
    struct machine *m = *state;
    fill(m);
    machine_file(m, "/etc/shadow", "ann:$y$SECRET:1::::::\n");
    FAILS("{'probe':'accounts','rule':'password_max_days','at_most':365}", NULL);
    assert_null(strstr(m->reason, "SECRET"));
    machine_remove(m, "/etc/shadow");
    SKIPS("{'probe':'accounts','rule':'password_max_days','at_most':365}", "does not exist");
}

static void what_shells_begin_with_is_read_from_their_files(void **state)
{
    struct machine *m = *state;
    static const char timeout[] = "{'probe':'accounts','rule':'shell_timeout','at_most':900}";
    fill(m);
    FAILS(RULE("default_umask"), "neither");
    machine_file(m, "/etc/login.defs", "UMASK 022\n");
    FAILS(RULE("default_umask"), "the umask in /etc/login.defs is 022");
    machine_file(m, "/etc/login.defs", "UMASK 027\n");
    PASSES(RULE("default_umask"), NULL);
    machine_file(m, "/etc/profile", "umask 077\n");
    PASSES(RULE("default_umask"), NULL);
    machine_file(m, "/etc/profile.d/a.sh", "x\n umask 022\n");
    FAILS(RULE("default_umask"), "/etc/profile.d/a.sh, line 2");
    machine_file(m, "/etc/profile.d/a.sh", "umask u=rwx,g=rx,o=\n");
    PASSES(RULE("default_umask"), NULL);
    machine_file(m, "/etc/profile.d/a.sh", "umask u=rwx,g=rwx,o=\n");
    FAILS(RULE("default_umask"), NULL);
    FAILS(timeout, "no file of the shells sets TMOUT");
    machine_file(m, "/etc/profile", "readonly TMOUT=600 ; export TMOUT\n");
    PASSES(timeout, NULL);
    machine_file(m, "/etc/bash.bashrc", "TMOUT=0\n");
    FAILS(timeout, "/etc/bash.bashrc, line 1");
}

static void the_path_of_root_leads_to_trusted_folders_only(void **state)
{
    struct machine *m = *state;
    fill(m);
    machine_folder(m, "/usr/sbin");
    SKIPS(RULE("root_path"), "neither");
    machine_file(m, "/etc/login.defs", "ENV_SUPATH PATH=/usr/sbin:/usr/none\n");
    PASSES(RULE("root_path"), NULL);
    machine_file(m, "/etc/environment", "PATH=\"/usr/sbin:\"\n");
    FAILS(RULE("root_path"), "an empty part");
    machine_file(m, "/etc/environment", "PATH=/usr/sbin:bin\n");
    FAILS(RULE("root_path"), "bin in the path in /etc/environment is not absolute");
    machine_file(m, "/etc/environment", "PATH=/usr/sbin:/opt/bin\n");
    machine_folder(m, "/opt/bin");
    machine_mode(m, "/opt/bin", 0777);
    FAILS(RULE("root_path"), "can be written to by others");
    machine_mode(m, "/opt/bin", 0755);
    machine_owner(m, "/opt/bin", 1000, 0);
    FAILS(RULE("root_path"), "does not belong to root");
}

/* ---- the walk -------------------------------------------------------------------------------- */

#define TREE(find) "{'probe':'tree','find':'" find "'}"

static void the_walk_finds_each_kind_and_not_what_is_known(void **state)
{
    struct machine *m = *state;
    static const char *const all[] = {TREE("world_writable_files"), TREE("unowned"),
        TREE("ungrouped"), TREE("world_writable_dirs_without_sticky"), TREE("suid"), TREE("sgid")};
    fill(m);
    machine_file(m, "/usr/bin/passwd", "");
    machine_mode(m, "/usr/bin/passwd", 04755);
    machine_folder(m, "/tmp");
    machine_mode(m, "/tmp", 01777);
    machine_link(m, "/srv/link", "/nowhere");
    machine_file(m, "/var/lib/docker/x/su", "");
    machine_mode(m, "/var/lib/docker/x/su", 06777);
    machine_file(m, "/srv/dynamic", "");
    machine_owner(m, "/srv/dynamic", 61184, 65519);
    machine_file(m, "/etc/subuid", "ann:100000:65536\n");
    machine_file(m, "/srv/subordinate", "");
    machine_owner(m, "/srv/subordinate", 165535, 100000);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        PASSES(all[i], "nothing was found");
    machine_file(m, "/srv/a/open", "");
    machine_mode(m, "/srv/a/open", 0666);
    machine_file(m, "/srv/a/left", "");
    machine_owner(m, "/srv/a/left", 4711, 4712);
    machine_folder(m, "/srv/a/dir");
    machine_mode(m, "/srv/a/dir", 0777);
    machine_file(m, "/srv/a/passwd", "");
    machine_mode(m, "/srv/a/passwd", 06755);
    FAILS(all[0], "1 found: /srv/a/open");
    FAILS(all[1], "1 found: /srv/a/left");
    FAILS(all[2], "1 found: /srv/a/left");
    FAILS(all[3], "1 found: /srv/a/dir");
    FAILS(all[4], "1 found: /srv/a/passwd");
    FAILS(all[5], "1 found: /srv/a/passwd");
    /* A known program that others can change is none. */
    machine_remove(m, "/srv/a/passwd");
    machine_mode(m, "/usr/bin/passwd", 04775);
    FAILS(all[4], "/usr/bin/passwd");
}

static void the_walk_can_be_made_in_pieces_and_ends_in_time(void **state)
{
    struct machine *m = *state;
    struct why why = {""};
    fill(m);
    for (size_t i = 0; i < 300; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/srv/d%zu/f", i);
        machine_file(m, path, "");
    }
    machine_mode(m, "/srv/d299/f", 0666);
    assert_int_equal(
        baseline_tree_new(m->root, m->options.clock, &m->options.tree, &why), ERR_NONE);
    assert_false(baseline_tree_step(m->options.tree, 0));
    assert_true(baseline_tree_step(m->options.tree, 1));
    FAILS(TREE("world_writable_files"), "/srv/d299/f");
    baseline_tree_free(m->options.tree);
    m->options.tree = NULL;
    /* Without time the answer is not known. */
    machine_mode(m, "/srv/d299/f", 0644);
    m->options.clock = &clock_system;
    m->options.tree_limit_us = 1;
    SKIPS(TREE("world_writable_files"), "took too long");
    m->options.tree_limit_us = 0;
    PASSES(TREE("world_writable_files"), NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        T(each_rule_passes_before_and_fails_after),
        T(modes_of_homes_and_dot_files_are_judged),
        T(a_missing_shadow_file_is_skipped_and_no_hash_is_told),
        T(what_shells_begin_with_is_read_from_their_files),
        T(the_path_of_root_leads_to_trusted_folders_only),
        T(the_walk_finds_each_kind_and_not_what_is_known),
        T(the_walk_can_be_made_in_pieces_and_ends_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
