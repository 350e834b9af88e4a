/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>

static void exactly_the_named_allocation_fails(void **state UNUSED)
{
    void *pieces[4];
    mem_fail_after(2);
    for (size_t i = 0; i < COUNT_OF(pieces); i++)
        pieces[i] = mem_alloc(8);
    assert_non_null(pieces[0]);
    assert_non_null(pieces[1]);
    assert_null(pieces[2]);
    assert_non_null(pieces[3]);
    for (size_t i = 0; i < COUNT_OF(pieces); i++)
        mem_free(pieces[i]);
}

static void memory_comes_zeroed_also_for_size_zero(void **state UNUSED)
{
    unsigned char *bytes = mem_alloc(1000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(bytes[i], 0);
    mem_free(bytes);
    void *nothing = mem_alloc(0);
    assert_non_null(nothing);
    mem_free(nothing);
    mem_free(NULL);
}

static void a_wipe_leaves_no_byte(void **state UNUSED)
{
    char secret[32] = "a key that nobody may read";
    mem_wipe(secret, sizeof(secret));
    for (size_t i = 0; i < sizeof(secret); i++)
        assert_int_equal(secret[i], 0);
    mem_wipe(NULL, 5);
}

static void a_failed_resize_keeps_the_old_piece(void **state UNUSED)
{
    char *text = mem_text(SPAN_LIT("kept"));
    mem_fail_after(0);
    assert_null(mem_resize(text, 4000));
    assert_string_equal(text, "kept");
    char *grown = mem_resize(text, 4000);
    assert_string_equal(grown, "kept");
    mem_free(grown);
}

static void pieces_of_an_arena_are_aligned_zeroed_and_apart(void **state UNUSED)
{
    struct arena arena;
    unsigned char *pieces[200];
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        pieces[i] = arena_alloc(&arena, i * 7);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < i * 7; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < COUNT_OF(pieces); i++)
        for (size_t k = 0; k < i * 7; k++)
            assert_int_equal(pieces[i][k], (unsigned char)i);
    arena_done(&arena);
}

static void a_piece_larger_than_a_block_gets_one_of_its_own(void **state UNUSED)
{
    struct arena arena;
    arena_init(&arena, 0);
    char *small = arena_alloc(&arena, 10);
    char *large = arena_alloc(&arena, 1000000);
    assert_non_null(small);
    assert_non_null(large);
    memset(large, 'x', 1000000);
    assert_int_equal(small[0], 0);
    arena_done(&arena);
}

static void an_arena_ends_at_its_limit_and_serves_smaller_pieces_still(void **state UNUSED)
{
    struct arena arena;
    arena_init(&arena, 1024);
    assert_non_null(arena_alloc(&arena, 1000)); /* 1008 where 16 bytes are the alignment */
    assert_null(arena_alloc(&arena, 100));
    assert_non_null(arena_alloc(&arena, 16));
    if (_Alignof(max_align_t) == 8)
        assert_non_null(arena_alloc(&arena, 8));
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    arena_done(&arena);
    assert_non_null(arena_alloc(&arena, 1000));
    arena_done(&arena);
}

static void copies_in_an_arena_end_in_nul(void **state UNUSED)
{
    struct arena arena;
    struct span copy;
    arena_init(&arena, 0);
    assert_true(arena_span(&arena, SPAN_LIT("ab\0c"), &copy));
    assert_int_equal(copy.len, 4);
    assert_memory_equal(copy.ptr, "ab\0c", 5);
    assert_string_equal(arena_text(&arena, SPAN_NONE), "");
    assert_string_equal(arena_format(&arena, "%s=%d", "n", 5), "n=5");
    arena_done(&arena);
}

static void an_arena_without_memory_says_so_and_goes_on(void **state UNUSED)
{
    struct arena arena;
    struct span copy = SPAN_LIT("untouched");
    arena_init(&arena, 0);
    mem_fail_after(0);
    assert_false(arena_span(&arena, SPAN_LIT("x"), &copy));
    assert_true(span_is(copy, "untouched"));
    mem_fail_after(0);
    assert_null(arena_format(&arena, "%d", 1));
    assert_true(arena_span(&arena, SPAN_LIT("x"), &copy));
    assert_true(span_is(copy, "x"));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_named_allocation_fails),
        cmocka_unit_test(memory_comes_zeroed_also_for_size_zero),
        cmocka_unit_test(a_wipe_leaves_no_byte),
        cmocka_unit_test(a_failed_resize_keeps_the_old_piece),
        cmocka_unit_test(pieces_of_an_arena_are_aligned_zeroed_and_apart),
        cmocka_unit_test(a_piece_larger_than_a_block_gets_one_of_its_own),
        cmocka_unit_test(an_arena_ends_at_its_limit_and_serves_smaller_pieces_still),
        cmocka_unit_test(copies_in_an_arena_end_in_nul),
        cmocka_unit_test(an_arena_without_memory_says_so_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
