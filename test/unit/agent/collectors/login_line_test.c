/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of auth.log and of the PAM log, and what hostile names try in them. */
#include "login_line.h"
#include "login_pam.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOW_US (INT64_C(1795845200) * 1000000) /* 2026-11-28 05:53:20 UTC */

static const char *const kinds[] = {
    "other", "accepted", "failed", "invalid", "failed invalid", "opened", "closed"};

/* Reads a line behind a usual beginning; writes "kind×repeated user|terminal|address". */
static const char *read_tagged(const char *tag, const char *message)
{
    static char text[4096];
    char line[4096];
    struct login_line parsed;
    snprintf(line, sizeof(line), "2026-11-28T05:53:17.250000+00:00 host %s: %s", tag, message);
    if (!login_line_parse(span_of(line), NOW_US, &parsed))
        return "none";
    if (parsed.kind == LOGIN_LINE_OTHER)
        return "other";
    snprintf(text, sizeof(text), "%s*%u %.*s|%.*s|%.*s", kinds[parsed.kind], parsed.repeated,
        SPAN_ARG(parsed.user), SPAN_ARG(parsed.terminal), SPAN_ARG(parsed.address));
    return text;
}

static const char *read_ssh(const char *message)
{
    return read_tagged("sshd[4711]", message);
}

static void what_sshd_says_is_read(void **state UNUSED)
{
    static const struct {
        const char *message;
        const char *expected;
    } cases[] = {
        {"Accepted password for ann from 192.0.2.7 port 50022 ssh2", "accepted*1 ann||192.0.2.7"},
        {"Accepted publickey for ann from fe80::1%eth0 port 22 ssh2: ED25519 SHA256:abc",
            "accepted*1 ann||fe80::1%eth0"},
        {"Failed password for root from 192.0.2.7 port 50022 ssh2", "failed*1 root||192.0.2.7"},
        {"Failed password for invalid user bob from ::1 port 1 ssh2", "failed invalid*1 bob||::1"},
        {"Failed none for invalid user bob from ::1 port 1 ssh2", "other"},
        {"Invalid user bob from 192.0.2.7 port 50022", "invalid*1 bob||192.0.2.7"},
        {"Invalid user  from 192.0.2.7 port 50022", "invalid*1 ||192.0.2.7"},
        {"message repeated 3 times: [ Failed password for root from 192.0.2.7 port 5 ssh2]",
            "failed*3 root||192.0.2.7"},
        {"message repeated 99999 times: [ Failed password for root from 192.0.2.7 port 5 ssh2]",
            "other"},
        {"pam_unix(sshd:session): session opened for user ann(uid=1000) by (uid=0)", "other"},
        {"pam_unix(sshd:session): session closed for user ann", "closed*1 ann||"},
        {"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
         "rhost=192.0.2.7  user=root",
            "other"},
        {"Connection closed by 192.0.2.7 port 5 [preauth]", "other"},
        {"", "other"},
        {"Failed", "other"},
        {"Failed ", "other"},
        {"Failed password", "other"},
        {"Failed password for ", "other"},
        {"Accepted password for ann from nowhere port 22 ssh2", "other"},
        {"Accepted password for ann from 192.0.2.7 port 70000 ssh2", "other"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(read_ssh(cases[i].message), cases[i].expected);
    assert_string_equal(
        read_tagged("sshd-session[1]", "Accepted password for a from ::1 port 2 ssh2"),
        "accepted*1 a||::1");
}

static void a_name_that_looks_like_an_address_is_a_name(void **state UNUSED)
{
    static const struct {
        const char *message;
        const char *expected;
    } cases[] = {
        {"Failed password for invalid user root from 1.2.3.4 port 22 ssh2 from 192.0.2.7 port 5 "
         "ssh2",
            "failed invalid*1 root from 1.2.3.4 port 22 ssh2||192.0.2.7"},
        {"Invalid user root from 1.2.3.4 port 22 from 192.0.2.7 port 5",
            "invalid*1 root from 1.2.3.4 port 22||192.0.2.7"},
        {"Failed password for invalid user x from  from 192.0.2.7 port 5 ssh2",
            "failed invalid*1 x from ||192.0.2.7"},
        {"Failed password for invalid user invalid user x from 192.0.2.7 port 5 ssh2",
            "failed invalid*1 invalid user x||192.0.2.7"},
        /* The end is not sshd's: then no address is believed. */
        {"Failed password for invalid user x from 1.2.3.4 port 22 ssh2: more",
            "failed invalid*1 x from 1.2.3.4 port 22 ssh2: more||"},
        /* A certificate's id stands behind, and its owner chooses it. */
        {"Failed publickey for ann from 192.0.2.7 port 5 ssh2: ED25519-CERT SHA256:a ID x from "
         "1.2.3.4 port 22 ssh2 (serial 0) CA RSA SHA256:b",
            "failed*1 ann||192.0.2.7"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(read_ssh(cases[i].message), cases[i].expected);
}

static void where_sshd_cut_the_line_its_end_is_not_believed(void **state UNUSED)
{
    char message[2048], name[990];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(message, sizeof(message),
        "Failed password for invalid user %s from 1.2.3.4 port 22 ssh2", name);
    const char *got = read_ssh(message);
    assert_int_equal(strncmp(got, "failed invalid*1 aaa", 20), 0);
    assert_string_equal(got + strlen(got) - 2, "||");
}

static void other_programs_sessions_are_read_but_not_those_of_who_is_there(void **state UNUSED)
{
    assert_string_equal(
        read_tagged("login[7]",
            "pam_unix(login:session): session opened for user root(uid=0) by LOGIN(uid=0)"),
        "opened*1 root||0.0.0.0");
    assert_string_equal(
        read_tagged("login[7]", "pam_unix(login:session): session closed for user root"),
        "closed*1 root||0.0.0.0");
    assert_string_equal(
        read_tagged("login[7]", "pam_unix(login:auth): authentication failure; logname=LOGIN uid=0 "
                                "euid=0 tty=/dev/tty1 ruser= rhost=  user=root"),
        "failed*1 root|tty1|0.0.0.0");
    assert_string_equal(
        read_tagged("login[7]", "pam_unix(login:auth): authentication failure; logname= uid=0 "
                                "euid=0 tty=tty1 ruser= rhost=192.0.2.9"),
        "failed*1 |tty1|192.0.2.9");
    assert_string_equal(
        read_tagged("sudo", "pam_unix(sudo:session): session opened for user root(uid=0) by a"),
        "other");
    assert_string_equal(
        read_tagged("CRON[1]", "pam_unix(cron:session): session opened for user root(uid=0) by a"),
        "other");
    assert_string_equal(
        read_tagged("evil[1]", "Accepted password for root from 192.0.2.7 port 50022 ssh2"),
        "other");
}

static void both_forms_of_time_are_read(void **state UNUSED)
{
    struct login_line line;
    assert_true(login_line_parse(
        span_of("Nov 28 05:53:17 host sshd[1]: Accepted none for a from ::1 port 1 ssh2"), NOW_US,
        &line));
    assert_int_equal(line.time_us, NOW_US - 3000000);
    assert_int_equal(line.process_id, 1);
    /* A day of the coming month was last year. */
    assert_true(login_line_parse(span_of("Dec 28 05:53:20 host sshd[1]: x"), NOW_US, &line));
    assert_int_equal(line.time_us, NOW_US - INT64_C(335) * 86400 * 1000000);
    assert_true(
        login_line_parse(span_of("2026-11-28T07:53:20.5+02:00 host sshd[1]: x"), NOW_US, &line));
    assert_int_equal(line.time_us, NOW_US + 500000);
    static const char *const none[] = {"", "Nov", "Nov 28 05:53:17", "Nov 28 05:53:17 host",
        "Nov 28 05:53:17 host sshd[1]", "Xxx 28 05:53:17 host sshd[1]: a",
        "Nov 32 05:53:17 host sshd[1]: a", "Nov 28 25:53:17 host sshd[1]: a",
        "Nov 28 05:53:17 host sshd[x]: a", "Nov 28 05:53:17 host sshd[1: a", "2026 host sshd: a"};
    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_false(login_line_parse(span_of(none[i]), NOW_US, &line));
}

static const char *read_pam(const char *line)
{
    static char text[2048];
    char scratch[LOGIN_USER_MAX + LOGIN_ADDRESS_MAX];
    struct login_event event;
    if (!login_pam_parse(span_of(line), scratch, &event))
        return "none";
    snprintf(text, sizeof(text), "%d %u %.*s|%.*s|%.*s", (int)event.operation, event.process_id,
        SPAN_ARG(event.user), SPAN_ARG(event.terminal), SPAN_ARG(event.address));
    return text;
}

static void a_line_of_the_pam_log_is_read(void **state UNUSED)
{
    assert_string_equal(
        read_pam("2021-10-31T18:10:31+02:00,16356631,2589842,open_session,sshd,user,"
                 "192.168.0.101,ssh,0"),
        "0 2589842 user|ssh|192.168.0.101");
    assert_string_equal(read_pam("2021-10-31T18:10:31Z,1,2,close_session,login,root,,/dev/tty1,1"),
        "1 2 root|tty1|0.0.0.0");
    assert_string_equal(
        read_pam("2021-10-31T18:10:31Z,1,2,auth,sshd,a%2Cb%0Ac%25,h,t,2"), "2 2 a,b\nc%|t|h");
    /* The original's script escapes nothing. */
    assert_string_equal(read_pam("2021-10-31T18:10:31Z,1,2,auth,sshd,a,b,c,10.0.0.1,ssh,2"),
        "2 2 a,b,c|ssh|10.0.0.1");
    static const char *const none[] = {"", ",,,,,,,,", "x,1,2,auth,sshd,u,h,t,0",
        "2021-10-31T18:10:31Z,1,2,auth,sshd,u,h,t,3", "2021-10-31T18:10:31Z,1,x,auth,sshd,u,h,t,0",
        "2021-10-31T18:10:31Z,1,2,auth,sshd,u,h", "2021-10-31T18:10:31Z,1,2,auth,sudo,u,h,t,0"};
    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_string_equal(read_pam(none[i]), "none");
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_sshd_says_is_read),
        cmocka_unit_test(a_name_that_looks_like_an_address_is_a_name),
        cmocka_unit_test(where_sshd_cut_the_line_its_end_is_not_believed),
        cmocka_unit_test(other_programs_sessions_are_read_but_not_those_of_who_is_there),
        cmocka_unit_test(both_forms_of_time_are_read),
        cmocka_unit_test(a_line_of_the_pam_log_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
