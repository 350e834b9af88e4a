/* SPDX-License-Identifier: Apache-2.0 */
#include "sign_in_delay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)

static struct access_limits limits;
static struct sign_in_delay *delay;

static int set_up(void **state)
{
    (void)state;
    limits = service_limits_default.access;
    delay = sign_in_delay_new(&limits);
    return delay == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    sign_in_delay_free(delay);
    return 0;
}

static enum sign_in_verdict ask(
    const char *user, const char *address, int64_t now, int64_t *ret_wait_us)
{
    return sign_in_delay_ask(delay, span_of(user), span_of(address), now, ret_wait_us);
}

static void tell(const char *user, const char *address, enum sign_in_end end, int64_t now)
{
    sign_in_delay_tell(delay, span_of(user), span_of(address), end, now);
}

/* Tries a wrong password; the wait in seconds if it is refused, else 0. */
static int64_t try_wrong(const char *user, const char *address, int64_t now)
{
    int64_t wait_us = 0;
    enum sign_in_verdict verdict = ask(user, address, now, &wait_us);
    if (verdict == SIGN_IN_REFUSED)
        return (wait_us + SECOND - 1) / SECOND;
    assert_int_equal(verdict, SIGN_IN_GO);
    tell(user, address, SIGN_IN_WRONG, now);
    return 0;
}

static void the_delay_doubles_up_to_its_bound(void **state)
{
    (void)state;
    static const int64_t waits[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
    int64_t now = 5 * SECOND;
    for (unsigned i = 0; i < limits.attempts; i++)
        assert_int_equal(try_wrong("u", "a", now), 0);
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        assert_int_equal(try_wrong("u", "a", now), 0);
        assert_int_equal(try_wrong("u", "b", now), waits[i]);
        now += waits[i] * SECOND;
    }
}

static void users_and_addresses_are_counted_apart(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= limits.attempts; i++)
        assert_int_equal(try_wrong("u", "a", 0), 0);
    assert_int_equal(try_wrong("u", "a", 0), 1);
    assert_int_equal(try_wrong("U", "a", 0), 0);
    assert_int_equal(try_wrong("v", "a", 0), 0);
    assert_int_equal(try_wrong("a", "u", 0), 0); /* a user's name is no address */
}

static void the_right_password_clears_the_user_and_not_the_address(void **state)
{
    (void)state;
    int64_t wait_us = 0;
    char user[16];
    for (unsigned i = 0; i < limits.address_attempts; i++) {
        snprintf(user, sizeof(user), "u%u", i);
        assert_int_equal(try_wrong(user, "a", 0), 0);
    }
    assert_int_equal(ask("own", "a", 0, &wait_us), SIGN_IN_GO);
    tell("own", "a", SIGN_IN_RIGHT, 0);
    assert_int_equal(try_wrong("next", "a", 0), 0);
    assert_int_equal(try_wrong("other", "a", 0), 1); /* the address has used up its tries */
}

static void what_is_under_way_counts_until_it_is_known(void **state)
{
    (void)state;
    int64_t wait_us = 0;
    for (unsigned i = 0; i < limits.attempts; i++)
        assert_int_equal(ask("u", "a", 0, &wait_us), SIGN_IN_GO);
    assert_int_equal(ask("u", "a", 0, &wait_us), SIGN_IN_WAIT);
    assert_int_equal(ask("v", "a", 0, &wait_us), SIGN_IN_GO);
    tell("u", "a", SIGN_IN_UNKNOWN, 0);
    assert_int_equal(ask("u", "a", 0, &wait_us), SIGN_IN_GO);
    for (unsigned i = 0; i < limits.attempts; i++)
        tell("u", "a", SIGN_IN_WRONG, 0);
    assert_int_equal(ask("u", "a", 0, &wait_us), SIGN_IN_GO); /* one at a time from now on */
    assert_int_equal(ask("u", "a", 0, &wait_us), SIGN_IN_WAIT);
    tell("u", "a", SIGN_IN_RIGHT, 0);
    tell("v", "a", SIGN_IN_RIGHT, 0);
    assert_int_equal(try_wrong("u", "a", 0), 0);
}

static void wrong_passwords_are_forgotten_in_time(void **state)
{
    (void)state;
    int64_t forgotten = SECOND + (int64_t)limits.delay_forget_minutes * 60 * SECOND;
    for (unsigned i = 0; i <= limits.attempts; i++)
        assert_int_equal(try_wrong("u", "a", 0), 0);
    assert_int_equal(try_wrong("u", "a", forgotten - 1), 0);
    assert_int_equal(try_wrong("u", "a", forgotten), 2); /* not yet: it goes on from there */
    forgotten += 2 * SECOND + (int64_t)limits.delay_forget_minutes * 60 * SECOND;
    for (unsigned i = 0; i <= limits.attempts; i++)
        assert_int_equal(try_wrong("u", "a", forgotten), 0);
}

/* Strangers with many names and networks cannot free one who has to wait. */
static void a_full_table_lets_go_of_who_waits_least(void **state)
{
    (void)state;
    char user[32];
    char address[64];
    int64_t wait_us = 0;
    int64_t now = 0;
    for (int i = 0; i < 9; i++) {
        int64_t wait = try_wrong("victim", "192.0.2.1", now);
        now += wait * SECOND;
    }
    while (try_wrong("victim", "192.0.2.1", now) == 0)
        ;
    for (unsigned i = 0; i < 60000; i++) {
        snprintf(user, sizeof(user), "user%u", i);
        snprintf(address, sizeof(address), "2001:db8:%x:%x::1", i >> 8, i & 0xFF);
        assert_int_equal(try_wrong(user, address, now), 0);
    }
    assert_int_equal(ask("victim", "192.0.2.2", now, &wait_us), SIGN_IN_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_delay_doubles_up_to_its_bound),
        TEST(users_and_addresses_are_counted_apart),
        TEST(the_right_password_clears_the_user_and_not_the_address),
        TEST(what_is_under_way_counts_until_it_is_known),
        TEST(wrong_passwords_are_forgotten_in_time),
        TEST(a_full_table_lets_go_of_who_waits_least),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
