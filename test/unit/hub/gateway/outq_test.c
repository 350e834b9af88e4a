/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"
#include "outq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void bytes_come_out_in_the_order_in_which_they_went_in(void **state)
{
    (void)state;
    struct outq queue;
    outq_init(&queue, 100);
    assert_int_equal(outq_add(&queue, SPAN_LIT("hello ")), ERR_NONE);
    assert_int_equal(outq_add(&queue, SPAN_LIT("world")), ERR_NONE);
    assert_true(span_is(outq_first(&queue, 4), "hell"));
    outq_drop(&queue, 4);
    assert_true(span_is(outq_first(&queue, 100), "o world"));
    assert_int_equal(outq_size(&queue), 7);
    outq_done(&queue);
}

static void an_empty_queue_holds_no_memory(void **state)
{
    (void)state;
    struct outq queue;
    outq_init(&queue, 100);
    assert_int_equal(outq_add(&queue, SPAN_LIT("x")), ERR_NONE);
    outq_drop(&queue, 1);
    assert_null(queue.ptr);
    assert_int_equal(outq_first(&queue, 1).len, 0);
    assert_int_equal(outq_add(&queue, SPAN_LIT("y")), ERR_NONE);
    assert_true(span_is(outq_first(&queue, 9), "y"));
    outq_done(&queue);
}

static void what_passes_the_limit_is_refused_whole(void **state)
{
    (void)state;
    struct outq queue;
    outq_init(&queue, 8);
    assert_int_equal(outq_add(&queue, SPAN_LIT("12345")), ERR_NONE);
    assert_int_equal(outq_add(&queue, SPAN_LIT("6789")), ERR_FULL);
    assert_int_equal(outq_size(&queue), 5);
    assert_int_equal(outq_add(&queue, SPAN_LIT("678")), ERR_NONE);
    assert_int_equal(outq_add(&queue, SPAN_LIT("9")), ERR_FULL);
    outq_drop(&queue, 3);
    assert_int_equal(outq_add(&queue, SPAN_LIT("abc")), ERR_NONE);
    assert_true(span_is(outq_first(&queue, 100), "45678abc"));
    outq_done(&queue);
}

static void a_lack_of_memory_leaves_the_queue_as_it_was(void **state)
{
    (void)state;
    struct outq queue;
    outq_init(&queue, 100000);
    assert_int_equal(outq_add(&queue, SPAN_LIT("kept")), ERR_NONE);
    static const char large[5000];
    mem_fail_after(0);
    assert_int_equal(outq_add(&queue, (struct span){large, sizeof large}), ERR_MEMORY);
    mem_fail_after(-1);
    assert_true(span_is(outq_first(&queue, 100), "kept"));
    outq_done(&queue);
}

static void any_mix_of_adding_and_dropping_keeps_every_byte(void **state)
{
    (void)state;
    struct outq queue;
    outq_init(&queue, 3000);
    unsigned char in = 0, out = 0;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        char piece[400];
        size_t size = (size_t)rand() % sizeof piece;
        for (size_t i = 0; i < size; i++)
            piece[i] = (char)(unsigned char)(in + i);
        if (outq_add(&queue, (struct span){piece, size}) == ERR_NONE)
            in = (unsigned char)(in + size);
        struct span first = outq_first(&queue, (size_t)rand() % 500);
        for (size_t i = 0; i < first.len; i++)
            assert_int_equal((unsigned char)first.ptr[i], (unsigned char)(out + i));
        out = (unsigned char)(out + first.len);
        outq_drop(&queue, first.len);
    }
    outq_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_the_order_in_which_they_went_in),
        cmocka_unit_test(an_empty_queue_holds_no_memory),
        cmocka_unit_test(what_passes_the_limit_is_refused_whole),
        cmocka_unit_test(a_lack_of_memory_leaves_the_queue_as_it_was),
        cmocka_unit_test(any_mix_of_adding_and_dropping_keeps_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
