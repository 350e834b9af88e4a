/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates of authorities that a hub keeps. */
#include "store_harness.h"

struct question {
    int64_t hub_id;
    const char *name;
    struct ca_certificate row;
    struct arena arena;
    struct ca_certificate *rows;
    size_t count;
};

static enum err put(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_ca_put(txn, question->hub_id, &question->row);
}

static enum err get(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_ca_get(
        txn, &question->arena, question->hub_id, span_of(question->name), &question->row);
}

static enum err list(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_ca_list(
        txn, &question->arena, question->hub_id, &question->rows, &question->count);
}

static enum err drop(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_ca_delete(txn, question->hub_id, span_of(question->name));
}

static enum err drop_hub(struct store_txn *txn, void *argument)
{
    return store_hub_delete(txn, *(const int64_t *)argument);
}

static void add(struct fixture *fixture, int64_t hub_id, const char *name, struct span bytes)
{
    struct question question = {.hub_id = hub_id,
        .row = {.name = span_of(name),
            .certificate = bytes,
            .etag = 3,
            .created_us = 10,
            .updated_us = 20}};
    assert_int_equal(in_write(fixture, put, &question), ERR_NONE);
}

static void a_certificate_comes_back_as_it_was_put(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {.hub_id = fixture->hub_id, .name = "ours"};
    assert_int_equal(in_read(fixture, get, &question), ERR_NOT_FOUND);
    add(fixture, fixture->hub_id, "ours", SPAN_LIT("a\0b"));
    assert_int_equal(in_read(fixture, get, &question), ERR_NONE);
    check_span(question.row.name, "ours");
    assert_true(span_eq(question.row.certificate, SPAN_LIT("a\0b")));
    assert_int_equal(question.row.etag, 3);
    assert_int_equal(question.row.created_us, 10);
    assert_int_equal(question.row.updated_us, 20);
    add(fixture, fixture->hub_id, "ours", SPAN_LIT("other"));
    assert_int_equal(in_read(fixture, get, &question), ERR_NONE);
    check_span(question.row.certificate, "other");
    arena_done(&question.arena);
}

static void each_hub_has_its_own_in_the_order_of_their_names(void **state)
{
    struct fixture *fixture = *state;
    int64_t second = add_hub(fixture, "second", "second.test");
    add(fixture, fixture->hub_id, "b", SPAN_LIT("1"));
    add(fixture, fixture->hub_id, "a", SPAN_LIT("2"));
    add(fixture, second, "a", SPAN_LIT("3"));
    struct question question = {.hub_id = fixture->hub_id};
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_int_equal(question.count, 2);
    check_span(question.rows[0].name, "a");
    check_span(question.rows[1].name, "b");
    question.name = "a";
    assert_int_equal(in_write(fixture, drop, &question), ERR_NONE);
    assert_int_equal(in_write(fixture, drop, &question), ERR_NOT_FOUND);
    question.hub_id = second;
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_int_equal(question.count, 1);
    check_span(question.rows[0].certificate, "3");
    arena_done(&question.arena);
}

static void they_go_with_their_hub(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {.hub_id = add_hub(fixture, "second", "second.test")};
    add(fixture, question.hub_id, "a", SPAN_LIT("1"));
    assert_int_equal(in_write(fixture, drop_hub, &question.hub_id), ERR_NONE);
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_int_equal(question.count, 0);
    arena_done(&question.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_comes_back_as_it_was_put),
        cmocka_unit_test(each_hub_has_its_own_in_the_order_of_their_names),
        cmocka_unit_test(they_go_with_their_hub),
    };
    return run_for_every_backend("store certificates", tests, COUNT_OF(tests));
}
