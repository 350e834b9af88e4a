/* SPDX-License-Identifier: Apache-2.0 */
#include "wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct timer {
    struct wheel_entry entry; /* first */
    int64_t fired_at;         /* 0: not yet */
    struct timer *cancels;
};

static void note(void *self, struct wheel_entry *entry)
{
    struct wheel *wheel = self;
    struct timer *timer = (struct timer *)entry;
    assert_int_equal(timer->fired_at, 0);
    timer->fired_at = wheel->now;
    if (timer->cancels != NULL)
        wheel_cancel(&timer->cancels->entry);
}

static void deadlines_expire_at_their_tick_near_and_far(void **state)
{
    (void)state;
    static const int64_t dues[] = {1, 2, 255, 256, 257, 511, 512, 513, 3534, 100000};
    for (size_t i = 0; i < sizeof dues / sizeof dues[0]; i++) {
        struct wheel wheel;
        struct timer timer = {.fired_at = 0};
        wheel_init(&wheel, 0);
        wheel_set(&wheel, &timer.entry, dues[i]);
        wheel_advance(&wheel, dues[i] - 1, note, &wheel);
        assert_int_equal(timer.fired_at, 0);
        wheel_advance(&wheel, dues[i] + 600, note, &wheel);
        assert_int_equal(timer.fired_at, dues[i]);
        assert_null(timer.entry.next);
    }
}

static void a_deadline_in_the_past_expires_at_the_next_tick(void **state)
{
    (void)state;
    struct wheel wheel;
    struct timer timer = {.fired_at = 0};
    wheel_init(&wheel, 1000);
    wheel_set(&wheel, &timer.entry, 3);
    wheel_advance(&wheel, 1001, note, &wheel);
    assert_int_equal(timer.fired_at, 1001);
}

static void a_deadline_can_be_moved_to_later_and_to_earlier(void **state)
{
    (void)state;
    struct wheel wheel;
    struct timer timer = {.fired_at = 0};
    wheel_init(&wheel, 0);
    wheel_set(&wheel, &timer.entry, 5);
    wheel_advance(&wheel, 4, note, &wheel);
    wheel_set(&wheel, &timer.entry, 300);
    wheel_advance(&wheel, 100, note, &wheel);
    assert_int_equal(timer.fired_at, 0);
    wheel_set(&wheel, &timer.entry, 102);
    wheel_advance(&wheel, 1000, note, &wheel);
    assert_int_equal(timer.fired_at, 102);
}

static void a_cancelled_deadline_never_expires(void **state)
{
    (void)state;
    struct wheel wheel;
    struct timer timer = {.fired_at = 0};
    wheel_init(&wheel, 0);
    wheel_set(&wheel, &timer.entry, 5);
    wheel_cancel(&timer.entry);
    wheel_cancel(&timer.entry);
    wheel_advance(&wheel, 1000, note, &wheel);
    assert_int_equal(timer.fired_at, 0);
}

static void an_expiry_may_cancel_others_of_the_same_tick(void **state)
{
    (void)state;
    struct wheel wheel;
    struct timer timers[3] = {{.fired_at = 0}};
    wheel_init(&wheel, 0);
    for (int i = 0; i < 3; i++)
        wheel_set(&wheel, &timers[i].entry, 9);
    timers[0].cancels = &timers[1];
    wheel_advance(&wheel, 20, note, &wheel);
    assert_int_equal(timers[0].fired_at, 9);
    assert_int_equal(timers[1].fired_at, 0);
    assert_int_equal(timers[2].fired_at, 9);
}

static void many_deadlines_moved_at_random_expire_each_at_its_own(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct wheel wheel;
    static struct timer timers[COUNT];
    int64_t due[COUNT];
    wheel_init(&wheel, 0);
    srand(3);
    for (int i = 0; i < COUNT; i++)
        wheel_set(&wheel, &timers[i].entry, due[i] = 1 + rand() % 2000);
    for (int64_t now = 1; now <= 6000; now++) {
        wheel_advance(&wheel, now, note, &wheel);
        int i = rand() % COUNT;
        if (timers[i].fired_at == 0 && now < 3000)
            wheel_set(&wheel, &timers[i].entry, due[i] = now + 1 + rand() % 2000);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(timers[i].fired_at, due[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_expire_at_their_tick_near_and_far),
        cmocka_unit_test(a_deadline_in_the_past_expires_at_the_next_tick),
        cmocka_unit_test(a_deadline_can_be_moved_to_later_and_to_earlier),
        cmocka_unit_test(a_cancelled_deadline_never_expires),
        cmocka_unit_test(an_expiry_may_cancel_others_of_the_same_tick),
        cmocka_unit_test(many_deadlines_moved_at_random_expire_each_at_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
