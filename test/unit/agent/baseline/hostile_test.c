/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody may put where the probes look: each is judged or said to be unreadable, in time. */
#include "machine.h"

#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSES(rule, reason) machine_expect(m, rule, BASELINE_PASS, reason)
#define FAILS(rule, reason) machine_expect(m, rule, BASELINE_FAIL, reason)
#define ERRS(rule, reason) machine_expect(m, rule, BASELINE_ERROR, reason)

#define LINE(present) "{'probe':'line','paths':['/etc/a'],'pattern':'needle','present':" present "}"

/* `before` bytes, a text, `after` bytes. */
static void write_long(struct machine *m, size_t before, const char *text, size_t after)
{
    size_t len = strlen(text);
    char *bytes = mem_alloc(before + len + after);
    assert_non_null(bytes);
    memset(bytes, 'x', before + len + after);
    memcpy(bytes + before, text, len);
    machine_bytes(m, "/etc/a", (struct span){bytes, before + len + after});
    mem_free(bytes);
}

static void a_long_line_is_judged_by_its_beginning_or_not_at_all(void **state)
{
    struct machine *m = *state;
    static const size_t befores[] = {0, 4090, 4091, 8186, 100000};
    for (size_t i = 0; i < COUNT_OF(befores); i++) {
        /* A line of its own is found behind any other. */
        write_long(m, befores[i], "\nneedle\n", 5000);
        PASSES(LINE("true"), "line 2");
        FAILS(LINE("false"), "line 2");
    }
    write_long(m, 0, "needle", 1 << 20);
    PASSES(LINE("true"), "line 1");
    /* What stands behind the bound could be what must not be there. */
    write_long(m, 4096, "needle", 0);
    ERRS(LINE("false"), "a line of more than 4096 bytes");
    ERRS(LINE("true"), "a line of more than 4096 bytes");
    write_long(m, 4090, "needle\n", 0);
    PASSES(LINE("true"), NULL);
    write_long(m, 4090, "", 6);
    PASSES(LINE("false"), NULL); /* exactly 4096, without a line's end */
}

static void what_is_no_regular_file_is_not_opened(void **state)
{
    struct machine *m = *state;
    char path[256];
    machine_folder(m, "/etc");
    snprintf(path, sizeof(path), "%s/etc/a", m->root);
    assert_int_equal(mkfifo(path, 0666), 0); /* opening it would wait for a writer */
    ERRS(LINE("false"), "it is no regular file");
    machine_remove(m, "/etc/a");
    if (mknod(path, S_IFCHR | 0666, 1 << 8 | 5) == 0) { /* as /dev/zero */
        ERRS(LINE("false"), "it is no regular file");
        machine_remove(m, "/etc/a");
    }
    machine_folder(m, "/etc/a");
    ERRS(LINE("false"), "Is a directory");
}

static void what_may_not_be_read_is_an_error_with_the_reason(void **state)
{
    struct machine *m = *state;
    if (geteuid() != 0)
        skip();
    machine_file(m, "/etc/a", "needle\n");
    machine_mode(m, "/etc/a", 0600);
    assert_int_equal(chmod(m->dir, 0755), 0);
    /* What it writes anew at each judging must be its own. */
    assert_int_equal(chown(m->checks, 65534, 65534), 0);
    assert_int_equal(seteuid(65534), 0);
    enum baseline_result result = machine_judge(m, LINE("false"));
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, BASELINE_ERROR);
    assert_non_null(strstr(m->reason, "/etc/a cannot be read: Permission denied"));
    machine_mode(m, "/etc", 0700);
    assert_int_equal(seteuid(65534), 0);
    result = machine_judge(m, "{'probe':'file','path':'/etc/a','exists':false}");
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, BASELINE_ERROR);
    assert_non_null(strstr(m->reason, "Permission denied"));
}

static void a_folder_of_many_files_is_looked_at_up_to_a_bound(void **state)
{
    struct machine *m = *state;
    machine_file(m, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    machine_file(m, "/etc/group", "root:x:0:\n");
    machine_file(m, "/etc/many/f0", "");
    char from[256], to[256];
    snprintf(from, sizeof(from), "%s/etc/many/f0", m->root);
    for (size_t i = 1; i <= 1100; i++) {
        snprintf(to, sizeof(to), "%s/etc/many/f%zu", m->root, i);
        assert_int_equal(link(from, to), 0);
    }
    ERRS("{'probe':'file','paths':['/etc/many/*'],'mode_at_most':'0644'}",
        "more than 1024 files match");
    PASSES("{'probe':'file','paths':['/etc/many/f9*'],'mode_at_most':'0644'}", NULL);
}

static void too_many_accounts_are_an_error(void **state)
{
    struct machine *m = *state;
    size_t len = 0, cap = 20000 * 40;
    char *text = mem_alloc(cap);
    assert_non_null(text);
    for (size_t i = 0; i < 20000; i++)
        len += (size_t)snprintf(text + len, cap - len, "u%zu:x:%zu:0::/:/bin/sh\n", i, i);
    machine_bytes(m, "/etc/passwd", (struct span){text, len});
    machine_file(m, "/etc/group", "root:x:0:\n");
    mem_free(text);
    ERRS("{'probe':'accounts','rule':'unique_uid'}", "/etc/passwd has more than 16384 lines");
}

static void a_deep_tree_and_links_in_circles_end_the_walk(void **state)
{
    struct machine *m = *state;
    char path[512] = "/srv";
    machine_file(m, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    machine_file(m, "/etc/group", "root:x:0:\n");
    machine_link(m, "/srv/up", "..");
    PASSES("{'probe':'tree','find':'suid'}", NULL);
    for (size_t i = 0; i < 80; i++)
        strcat(path, "/d");
    machine_folder(m, path);
    machine_expect(
        m, "{'probe':'tree','find':'suid'}", BASELINE_SKIP, "some directories could not be read");
}

static void a_pattern_that_backtracks_elsewhere_is_quick(void **state)
{
    struct machine *m = *state;
    write_long(m, 4000, "", 0);
    int64_t begin_us = clock_mono_us(&clock_system);
    FAILS("{'probe':'line','paths':['/etc/a'],'pattern':'^(x|xx)*(x*)*y$','present':true}", NULL);
    assert_true(clock_mono_us(&clock_system) - begin_us < 10 * 1000000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        T(a_long_line_is_judged_by_its_beginning_or_not_at_all),
        T(what_is_no_regular_file_is_not_opened),
        T(what_may_not_be_read_is_an_error_with_the_reason),
        T(a_folder_of_many_files_is_looked_at_up_to_a_bound),
        T(too_many_accounts_are_an_error),
        T(a_deep_tree_and_links_in_circles_end_the_walk),
        T(a_pattern_that_backtracks_elsewhere_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
