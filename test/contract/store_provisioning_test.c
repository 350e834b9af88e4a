/* SPDX-License-Identifier: Apache-2.0 */
/* Enrollments, and the devices that came by them. */
#include "store_harness.h"

#include <stdio.h>

struct question {
    int64_t hub_id;
    struct arena arena;
    struct enrollment enrollment;
    struct registration registration;
    enum enrollment_kind kind;
    const char *id;
    const char *after;
    size_t limit;
    size_t count;
    char found[128]; /* ids, each with a blank behind it */
};

static enum err put_enrollment(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_enrollment_put(txn, question->hub_id, &question->enrollment);
}

static enum err get_enrollment(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_enrollment_get(txn, &question->arena, question->hub_id, question->kind,
        span_of(question->id), &question->enrollment);
}

static enum err drop_enrollment(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_enrollment_delete(txn, question->hub_id, question->kind, span_of(question->id));
}

static enum err note(struct question *question, struct span id)
{
    size_t used = strlen(question->found);
    snprintf(question->found + used, sizeof(question->found) - used, "%.*s ", SPAN_ARG(id));
    return ERR_NONE;
}

static enum err note_enrollment(void *self, const struct enrollment *enrollment)
{
    return note(self, enrollment->id);
}

static enum err list_enrollments(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->found[0] = '\0';
    enum err err = store_enrollment_count(txn, question->hub_id, question->kind, &question->count);
    if (err != ERR_NONE)
        return err;
    return store_enrollment_list(txn, question->hub_id, question->kind, span_of(question->after),
        question->limit, note_enrollment, question);
}

static enum err put_registration(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_registration_put(txn, question->hub_id, &question->registration);
}

static enum err get_registration(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_registration_get(
        txn, &question->arena, question->hub_id, span_of(question->id), &question->registration);
}

static enum err drop_registration(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_registration_delete(txn, question->hub_id, span_of(question->id));
}

static enum err note_registration(void *self, const struct registration *registration)
{
    return note(self, registration->id);
}

static enum err list_registrations(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->found[0] = '\0';
    return store_registration_list(txn, question->hub_id, SPAN_LIT("group"),
        span_of(question->after), question->limit, note_registration, question);
}

static enum err drop_device(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_identity_delete(txn, question->hub_id, SPAN_LIT("d1"), SPAN_NONE);
}

static enum err list_hubs(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    struct hub_record *hubs = NULL;
    enum err err = store_hub_list(txn, &question->arena, &hubs, &question->count);
    if (err != ERR_NONE)
        return err;
    for (size_t i = 0; i < question->count; i++) {
        assert_int_equal(hubs[i].id_scope.len, 11);
        assert_true(span_starts(hubs[i].id_scope, SPAN_LIT("0ne")));
    }
    assert_false(span_eq(hubs[0].id_scope, hubs[1].id_scope));
    return ERR_NONE;
}

static void add(
    struct fixture *fixture, enum enrollment_kind kind, const char *id, const char *document)
{
    struct question question = {.hub_id = fixture->hub_id,
        .enrollment = {.kind = kind,
            .id = span_of(id),
            .document = span_of(document),
            .etag = 4,
            .created_us = 10,
            .updated_us = 20}};
    assert_int_equal(in_write(fixture, put_enrollment, &question), ERR_NONE);
}

static void every_hub_has_an_id_scope_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {.hub_id = add_hub(fixture, "second", "second.test")};
    assert_int_equal(in_read(fixture, list_hubs, &question), ERR_NONE);
    arena_done(&question.arena);
}

static void an_enrollment_comes_back_as_it_was_put(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {.hub_id = fixture->hub_id, .id = "a"};
    assert_int_equal(in_read(fixture, get_enrollment, &question), ERR_NOT_FOUND);
    add(fixture, ENROLLMENT_INDIVIDUAL, "a", "{\"x\":1}");
    add(fixture, ENROLLMENT_GROUP, "a", "{\"group\":1}");
    assert_int_equal(in_read(fixture, get_enrollment, &question), ERR_NONE);
    check_span(question.enrollment.document, "{\"x\":1}");
    assert_int_equal(question.enrollment.etag, 4);
    assert_int_equal(question.enrollment.created_us, 10);
    assert_int_equal(question.enrollment.updated_us, 20);
    add(fixture, ENROLLMENT_INDIVIDUAL, "a", "{\"x\":2}");
    assert_int_equal(in_read(fixture, get_enrollment, &question), ERR_NONE);
    check_span(question.enrollment.document, "{\"x\":2}");
    question.kind = ENROLLMENT_GROUP;
    assert_int_equal(in_read(fixture, get_enrollment, &question), ERR_NONE);
    check_span(question.enrollment.document, "{\"group\":1}");
    assert_int_equal(in_write(fixture, drop_enrollment, &question), ERR_NONE);
    assert_int_equal(in_write(fixture, drop_enrollment, &question), ERR_NOT_FOUND);
    arena_done(&question.arena);
}

static void enrollments_are_listed_by_id_and_page(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, ENROLLMENT_INDIVIDUAL, "b", "{}");
    add(fixture, ENROLLMENT_INDIVIDUAL, "a", "{}");
    add(fixture, ENROLLMENT_INDIVIDUAL, "c", "{}");
    add(fixture, ENROLLMENT_GROUP, "d", "{}");
    struct question question = {.hub_id = fixture->hub_id, .after = "", .limit = 2};
    assert_int_equal(in_read(fixture, list_enrollments, &question), ERR_NONE);
    assert_string_equal(question.found, "a b ");
    assert_int_equal(question.count, 3);
    question.after = "b";
    assert_int_equal(in_read(fixture, list_enrollments, &question), ERR_NONE);
    assert_string_equal(question.found, "c ");
    arena_done(&question.arena);
}

static struct question registration_of(struct fixture *fixture, const char *id, const char *device)
{
    return (struct question){.hub_id = fixture->hub_id,
        .id = id,
        .after = "",
        .limit = 10,
        .registration = {.id = span_of(id),
            .group_id = SPAN_LIT("group"),
            .device_id = span_of(device),
            .operation_id = SPAN_LIT("5.op"),
            .etag = 2,
            .created_us = 3,
            .updated_us = 4}};
}

static void a_registration_goes_with_its_device(void **state)
{
    struct fixture *fixture = *state;
    struct question question = registration_of(fixture, "r1", "d1");
    assert_int_equal(in_write(fixture, put_registration, &question), ERR_NOT_FOUND);
    add_identity(fixture, "d1", "");
    add_identity(fixture, "d2", "");
    assert_int_equal(in_write(fixture, put_registration, &question), ERR_NONE);
    assert_int_equal(in_write(fixture, put_registration, &question), ERR_NONE);
    struct question second = registration_of(fixture, "r2", "d2");
    assert_int_equal(in_write(fixture, put_registration, &second), ERR_NONE);
    assert_int_equal(in_read(fixture, list_registrations, &question), ERR_NONE);
    assert_string_equal(question.found, "r1 r2 ");
    assert_int_equal(in_read(fixture, get_registration, &question), ERR_NONE);
    check_span(question.registration.device_id, "d1");
    check_span(question.registration.group_id, "group");
    check_span(question.registration.operation_id, "5.op");
    assert_int_equal(question.registration.etag, 2);
    assert_int_equal(in_write(fixture, drop_device, &question), ERR_NONE);
    assert_int_equal(in_read(fixture, get_registration, &question), ERR_NOT_FOUND);
    assert_int_equal(in_write(fixture, drop_registration, &second), ERR_NONE);
    assert_int_equal(in_write(fixture, drop_registration, &second), ERR_NOT_FOUND);
    arena_done(&question.arena);
    arena_done(&second.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hub_has_an_id_scope_of_its_own),
        cmocka_unit_test(an_enrollment_comes_back_as_it_was_put),
        cmocka_unit_test(enrollments_are_listed_by_id_and_page),
        cmocka_unit_test(a_registration_goes_with_its_device),
    };
    return run_for_every_backend("store provisioning", tests, COUNT_OF(tests));
}
