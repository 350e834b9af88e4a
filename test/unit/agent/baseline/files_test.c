/* SPDX-License-Identifier: Apache-2.0 */
/* Check files: their form, their signatures, which of them count; and the installed ones. */
#include "machine.h"

#include "log.h"
#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *installed;

#define HEAD "{\"format\":1,\"name\":\"a\",\"title\":\"t\","
#define CHECK(id, rule)                                                                            \
    "{\"id\":\"" id "\",\"group\":\"g\",\"severity\":\"WARNING\",\"description\":\"d\","           \
    "\"remediation\":\"r\",\"pass\":" rule "}"
#define GOOD "{\"probe\":\"mount\",\"path\":\"/tmp\"}"
#define FILE_OF(checks) HEAD "\"checks\":[" checks "]}"

static void quiet(void *self UNUSED, enum log_level level UNUSED, const char *part UNUSED,
    const char *sentence UNUSED)
{
}

/* Runs a scan: how many findings, and the first of them. */
static size_t scan(struct machine *m, char ret_id[320], char ret_reason[512])
{
    struct baseline *scan_;
    struct baseline_finding finding;
    struct why why = {""};
    size_t count = 0;
    ret_id[0] = ret_reason[0] = '\0';
    assert_int_equal(baseline_open(&m->options, &scan_, &why), ERR_NONE);
    while (baseline_next(scan_, &finding))
        if (count++ == 0) {
            snprintf(ret_id, 320, "%s", finding.id);
            snprintf(ret_reason, 512, "%s", finding.reason);
        }
    baseline_close(scan_);
    return count;
}

static void expect_refused(struct machine *m, const char *reason)
{
    char id[320], text[512];
    assert_int_equal(scan(m, id, text), 1);
    assert_string_equal(id, "CIS-debian-12-Check_Files-0.1");
    if (strstr(text, reason) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", text, reason);
}

static void expect_checks(struct machine *m, size_t count)
{
    char id[320], text[512];
    assert_int_equal(scan(m, id, text), count);
    if (strstr(id, "Check_Files") != NULL)
        fail_msg("%s", text);
}

static void what_a_check_file_may_not_say_refuses_it_with_the_place(void **state)
{
    struct machine *m = *state;
    static const char *const rows[][2] = {
        {"", "line 1, column 1"},
        {"[]", "a check file is an object, not an array"},
        {"{", "line 1"},
        {HEAD "\"checks\":{}}", "\"checks\" is not an array"},
        {HEAD "\"checks\":[],\n \"more\":1}", "line 2, column 9: there is no member \"more\" here"},
        {"{\"format\":2,\"name\":\"a\",\"title\":\"t\",\"checks\":[]}", "the format is not 1"},
        {"{\"format\":1,\"name\":\"b\",\"title\":\"t\",\"checks\":[]}", "its name inside is \"b\""},
        {"{\"format\":1,\"title\":\"t\",\"checks\":[]}", "\"name\" is missing"},
        {HEAD "\"extends\":1,\"checks\":[]}", "\"extends\" is not a text"},
        {HEAD "\"applies\":[],\"checks\":[]}", "\"applies\" is not an object"},
        {HEAD "\"applies\":{\"version\":\"12\"},\"checks\":[]}", "\"id\" is missing"},
        {HEAD "\"remove\":\"1.1\",\"checks\":[]}", "\"remove\" is not an array"},
        {HEAD "\"remove\":[1],\"checks\":[]}", "\"remove\" holds what is no id"},
        {FILE_OF("1"), "a check is an object, not an integer"},
        {FILE_OF("{}"), "\"id\" is missing"},
        {FILE_OF(CHECK("1 1", GOOD)), "\"id\" holds a blank"},
        {FILE_OF(CHECK("1.1", GOOD) "," CHECK("1.1", GOOD)), "a second check 1.1"},
        {HEAD "\"checks\":[{\"id\":\"1\",\"group\":\"g\",\"severity\":\"LOW\"}]}",
            "\"severity\" is not"},
        {FILE_OF(CHECK("1", "[]")), "a rule is an object, not an array"},
        {FILE_OF(CHECK("1", "{}")), "a rule is a probe or has one of"},
        {FILE_OF(CHECK("1", "{\"none\":[]}")), "a rule has no member \"none\""},
        {FILE_OF(CHECK("1", "{\"all\":[]}")), "\"all\" is not an array of rules"},
        {FILE_OF(CHECK("1", "{\"any\":1}")), "\"any\" is not an array of rules"},
        {FILE_OF(CHECK("1", "{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":"
                            "{\"not\":" GOOD "}}}}}}}}")),
            "more than 8 deep"},
        {FILE_OF(CHECK("1", "{\"probe\":1}")), "\"probe\" is not the name of a probe"},
        {FILE_OF(CHECK("1", "{\"probe\":\"shell\"}")), "there is no probe \"shell\""},
        {FILE_OF(CHECK("1", "{\"probe\":\"mount\"}")), "\"path\" is missing"},
        {FILE_OF(CHECK("1", "{\"probe\":\"mount\",\"path\":\"tmp\"}")),
            "\"path\" is not an absolute path"},
        {FILE_OF(CHECK("1", "{\"probe\":\"mount\",\"path\":\"/tmp\",\"opt\":1}")),
            "mount has no argument \"opt\""},
        {FILE_OF(CHECK("1", "{\"probe\":\"file\",\"path\":\"/a\"}")), "file needs at least one of"},
        {FILE_OF(
             CHECK("1", "{\"probe\":\"file\",\"path\":\"/a\",\"paths\":[\"/a\"],\"exists\":true}")),
            "file needs just one of \"path\", \"paths\""},
        {FILE_OF(CHECK("1", "{\"probe\":\"file\",\"path\":\"/a\",\"mode_at_most\":\"644\"}")),
            "is not a mode"},
        {FILE_OF(CHECK("1", "{\"probe\":\"file\",\"path\":\"/a\",\"exists\":\"yes\"}")),
            "is not true or false"},
        {FILE_OF(CHECK("1", "{\"probe\":\"file\",\"path\":\"/a\",\"type\":\"socket\"}")),
            "is not one of the words"},
        {FILE_OF(CHECK("1", "{\"probe\":\"file\",\"paths\":[],\"exists\":true}")),
            "is not an array of absolute paths"},
        {FILE_OF(CHECK("1", "{\"probe\":\"login_defs\",\"key\":\"A\",\"at_most\":-1}")),
            "is not an integer from 0 on"},
        {FILE_OF(CHECK(
             "1", "{\"probe\":\"line\",\"paths\":[\"/a\"],\"pattern\":\"(\",\"present\":true}")),
            "the pattern is not allowed"},
        {FILE_OF(CHECK("1",
             "{\"probe\":\"line\",\"paths\":[\"/a\"],\"pattern\":\"(a)\\\\1\",\"present\":true}")),
            "refers back with \\1"},
        {FILE_OF(CHECK("1", "{\"probe\":\"line\",\"paths\":[\"/"
                            "a\"],\"pattern\":\"(a{99}){99}\",\"present\":true}")),
            "repetitions multiply to more than 255"},
        {FILE_OF(CHECK("1", "{\"probe\":\"pam\",\"services\":[\"su\"],\"type\":\"auth\",\"module\":"
                            "\"m\",\"argument\":{\"name\":\"x\"}}")),
            "argument needs at least one of"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        machine_check_file(m, "a", rows[i][0]);
        expect_refused(m, rows[i][1]);
    }
    machine_check_file(m, "a", FILE_OF(CHECK("1.1", GOOD)));
    expect_checks(m, 1);
}

/* ---- signatures ------------------------------------------------------------------------------ */

static void flip(const char *path, size_t at, unsigned char bits)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    fputc(byte ^ bits, file);
    fclose(file);
}

static void one_altered_byte_anywhere_refuses_the_file(void **state)
{
    struct machine *m = *state;
    static const char text[] = FILE_OF(CHECK("1.1", GOOD));
    static const char *const names[] = {"a.json", "a.json.sig"};
    machine_check_file(m, "a", text);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[160];
        struct stat stat_;
        snprintf(path, sizeof(path), "%s/%s", m->checks, names[i]);
        assert_int_equal(stat(path, &stat_), 0);
        for (size_t at = 0; at < (size_t)stat_.st_size; at++)
            for (unsigned char bits = 1; bits != 0; bits = (unsigned char)(bits << 1)) {
                flip(path, at, bits);
                expect_refused(m, "signature");
                flip(path, at, bits);
            }
        assert_int_equal(truncate(path, stat_.st_size - 1), 0);
        expect_refused(m, "signature");
        machine_check_file(m, "a", text);
    }
    expect_checks(m, 1);
}

static void foreign_and_missing_signatures_refuse_the_file(void **state)
{
    struct machine *m = *state;
    static const char text[] = FILE_OF(CHECK("1.1", GOOD));
    char path[160];
    machine_check_file(m, "a", text);
    void *foreign = machine_new_key();
    machine_sign(m, "a", span_of(text), foreign);
    expect_refused(m, "is not by a trusted key");
    machine_free_key(foreign);
    snprintf(path, sizeof(path), "%s/a.json.sig", m->checks);
    assert_int_equal(unlink(path), 0);
    expect_refused(m, "it is not signed");
    /* Somebody who gives a signed file another name. */
    machine_check_file(m, "a", text);
    machine_check_file(m, "b", text);
    char id[320], reason[512];
    assert_int_equal(scan(m, id, reason), 2);
    assert_non_null(strstr(reason, "b.json: its name inside is \"a\""));
}

static void a_file_of_keys_must_be_the_operators_own(void **state)
{
    struct machine *m = *state;
    machine_check_file(m, "a", FILE_OF(CHECK("1.1", GOOD)));
    assert_int_equal(chmod(m->keys, 0664), 0);
    expect_refused(m, "can be written to by others than its owner: mode 0664");
    assert_int_equal(chmod(m->keys, 0644), 0);
    FILE *file = fopen(m->keys, "a");
    assert_non_null(file);
    EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    PEM_write_PUBKEY(file, other);
    EVP_PKEY_free(other);
    fclose(file);
    expect_refused(m, "key 2 is no Ed25519 key");
    file = fopen(m->keys, "w");
    PEM_write_PrivateKey(file, m->key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    expect_refused(m, "not public keys alone");
    file = fopen(m->keys, "w");
    fputs("no key\n", file);
    fclose(file);
    expect_refused(m, "key 1 is no public key in PEM");
    assert_int_equal(unlink(m->keys), 0);
    expect_refused(m, "a.json: the signature is not by a trusted key");
}

/* ---- choosing -------------------------------------------------------------------------------- */

#define NAMED(name, more, checks)                                                                  \
    "{\"format\":1,\"name\":\"" name "\",\"title\":\"t\"," more "\"checks\":[" checks "]}"

static void the_file_that_fits_best_is_laid_over_what_it_extends(void **state)
{
    struct machine *m = *state;
    machine_check_file(m, "base",
        NAMED("base", "\"extends\":null,",
            CHECK("1", GOOD) "," CHECK("2", GOOD) "," CHECK("3", GOOD)));
    expect_checks(m, 3);
    machine_check_file(m, "deb",
        NAMED("deb", "\"extends\":\"base\",\"applies\":{\"id\":\"debian\"},",
            CHECK("2", GOOD) "," CHECK("4", GOOD) "," CHECK("5", GOOD)));
    expect_checks(m, 5);
    machine_check_file(m, "deb12",
        NAMED("deb12",
            "\"extends\":\"base\",\"applies\":{\"id\":\"debian\",\"version\":\"12\"},"
            "\"remove\":[\"1\",\"2\",\"9\"],",
            CHECK("6", GOOD)));
    expect_checks(m, 2);
    m->options.version = "13";
    expect_checks(m, 5);
    m->options.distribution = "raspbian";
    m->options.like = "foo debian";
    expect_checks(m, 5);
    m->options.distribution = "alpine";
    m->options.like = "";
    expect_checks(m, 3);
    m->options.distribution = "debian";
    m->options.version = "12";
    /* An operator's own, over the one that fits best. */
    machine_check_file(m, "site",
        NAMED("site", "\"extends\":\"deb12\",\"applies\":{\"id\":\"debian\",\"version\":\"12\"},",
            CHECK("7", GOOD)));
    expect_checks(m, 3);
}

static void without_its_basis_a_file_does_not_count_but_the_others_do(void **state)
{
    struct machine *m = *state;
    char id[320], reason[512], path[160];
    machine_check_file(m, "base", NAMED("base", "", CHECK("1", GOOD)));
    machine_check_file(m, "over",
        NAMED("over", "\"extends\":\"base\",\"applies\":{\"id\":\"debian\"},", CHECK("2", GOOD)));
    expect_checks(m, 2);
    snprintf(path, sizeof(path), "%s/over.json", m->checks);
    flip(path, 20, 1);
    assert_int_equal(scan(m, id, reason), 2); /* the finding, and base's own check */
    assert_non_null(strstr(reason, "over.json"));
    flip(path, 20, 1);
    snprintf(path, sizeof(path), "%s/base.json", m->checks);
    flip(path, 20, 1);
    assert_int_equal(scan(m, id, reason), 1);
    assert_non_null(strstr(reason, "over: it extends base, which is not there"));
    machine_check_file(m, "base", NAMED("base", "\"extends\":\"over\",", CHECK("1", GOOD)));
    assert_int_equal(scan(m, id, reason), 1);
    assert_non_null(strstr(id, "Check_Files"));
}

static bool is_two(void *self UNUSED, struct span id, struct span group)
{
    return span_is(id, "2") || span_is(group, "x");
}

static void a_disabled_check_is_neither_run_nor_told(void **state)
{
    struct machine *m = *state;
    machine_check_file(m, "a", FILE_OF(CHECK("1", GOOD) "," CHECK("2", GOOD)));
    m->options.disabled = is_two;
    expect_checks(m, 1);
}

/* ---- the installed files --------------------------------------------------------------------- */

static size_t resident_kib(void)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "VmHWM: %zu", &kib) == 1)
            break;
    fclose(file);
    return kib;
}

static void the_installed_checks_judge_this_machine_in_time_and_little_memory(void **state)
{
    struct machine *m = *state;
    char id[320], reason[512];
    static const char *const versions[] = {"12", "13", "99"};
    m->options.clock = &clock_system;
    m->options.checks_dir = installed;
    m->options.keys_path = NULL;
    m->options.root_dir = "/";
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        m->options.version = versions[i];
        int64_t begin_us = clock_mono_us(&clock_system);
        size_t count = scan(m, id, reason);
        int64_t took_us = clock_mono_us(&clock_system) - begin_us;
        print_message("# Debian %s: %zu checks in %lld us, at most %zu KiB resident\n", versions[i],
            count, (long long)took_us, resident_kib());
        assert_null(strstr(id, "Check_Files"));
        assert_true(count >= 150);
    }
}

static void without_memory_a_scan_fails_or_says_so_and_nothing_leaks(void **state)
{
    struct machine *m = *state;
    struct why why = {""};
    m->options.checks_dir = installed;
    m->options.keys_path = NULL;
    machine_file(m, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    machine_file(m, "/etc/group", "root:x:0:\n");
    machine_file(m, "/etc/ssh/sshd_config", "Include x\n");
    machine_file(m, "/var/lib/dpkg/status", "Package: a\nStatus: install ok installed\n");
    bool whole = false;
    for (long n = 0; !whole; n += n < 40 ? 1 : 37) {
        struct baseline *scan_;
        struct baseline_finding finding;
        mem_fail_after(n);
        enum err err = baseline_open(&m->options, &scan_, &why);
        if (err == ERR_NONE) {
            while (baseline_next(scan_, &finding))
                assert_true(finding.result == BASELINE_PASS || finding.reason[0] != '\0');
            baseline_close(scan_);
        }
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
        whole = err == ERR_NONE && n > 400;
        mem_fail_after(-1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    installed = argv[1];
    log_set_writer(quiet, NULL);
#define T(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        T(what_a_check_file_may_not_say_refuses_it_with_the_place),
        T(one_altered_byte_anywhere_refuses_the_file),
        T(foreign_and_missing_signatures_refuse_the_file),
        T(a_file_of_keys_must_be_the_operators_own),
        T(the_file_that_fits_best_is_laid_over_what_it_extends),
        T(without_its_basis_a_file_does_not_count_but_the_others_do),
        T(a_disabled_check_is_neither_run_nor_told),
        T(the_installed_checks_judge_this_machine_in_time_and_little_memory),
        T(without_memory_a_scan_fails_or_says_so_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
