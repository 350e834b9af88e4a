/* SPDX-License-Identifier: Apache-2.0 */
/* What a store keeps of accounts, their roles, and of who is signed in. */
#include "store_harness.h"

#include <stdlib.h>

/* ---- accounts -------------------------------------------------------------------------------- */

static enum err put_account(struct store_txn *txn, void *argument)
{
    return store_account_put(txn, argument);
}

static enum err delete_account(struct store_txn *txn, void *argument)
{
    return store_account_delete(txn, span_of(argument));
}

struct account_get {
    struct arena arena;
    struct account account;
    const char *user;
};

static enum err get_account(struct store_txn *txn, void *argument)
{
    struct account_get *get = argument;
    return store_account_get(txn, &get->arena, span_of(get->user), &get->account);
}

/* An argument is not const, because most bodies write to it. */
static void *name_of(const char *name)
{
    return (void *)(uintptr_t)name;
}

static void add_account(struct fixture *fixture, const char *user)
{
    struct account account = {.user = span_of(user), .password_hash = SPAN_LIT("$argon2id$1")};
    assert_int_equal(in_write(fixture, put_account, &account), ERR_NONE);
}

static void an_account_is_made_and_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct grant grants[] = {{fixture->hub_id, ROLE_OPERATOR}, {GRANT_EVERY_HUB, ROLE_READER}};
    struct account account = {.user = SPAN_LIT("admin"),
        .password_hash = SPAN_LIT("$argon2id$1"),
        .grants = grants,
        .grant_count = 2,
        .must_change = true};
    assert_int_equal(in_write(fixture, put_account, &account), ERR_NONE);
    struct account_get get = {.user = "admin"};
    assert_int_equal(in_read(fixture, get_account, &get), ERR_NONE);
    assert_true(get.account.must_change);
    assert_false(get.account.disabled);
    assert_int_equal(get.account.grant_count, 2);
    assert_int_equal(get.account.grants[0].hub_id, GRANT_EVERY_HUB);
    assert_int_equal(get.account.grants[0].role, ROLE_READER);
    assert_int_equal(get.account.grants[1].hub_id, fixture->hub_id);
    assert_int_equal(get.account.grants[1].role, ROLE_OPERATOR);
    account.password_hash = SPAN_LIT("$argon2id$2");
    account.must_change = false;
    account.disabled = true;
    account.grant_count = 1;
    assert_int_equal(in_write(fixture, put_account, &account), ERR_NONE);
    assert_int_equal(in_read(fixture, get_account, &get), ERR_NONE);
    check_span(get.account.password_hash, "$argon2id$2");
    assert_false(get.account.must_change);
    assert_true(get.account.disabled);
    assert_int_equal(get.account.grant_count, 1);
    assert_int_equal(get.account.grants[0].hub_id, fixture->hub_id);
    get.user = "Admin";
    assert_int_equal(in_read(fixture, get_account, &get), ERR_NOT_FOUND);
    arena_done(&get.arena);
}

struct accounts {
    struct arena arena;
    struct account *list;
    size_t count;
};

static enum err list_accounts(struct store_txn *txn, void *argument)
{
    struct accounts *accounts = argument;
    return store_account_list(txn, &accounts->arena, &accounts->list, &accounts->count);
}

static void accounts_are_listed_by_name_and_deleted(void **state)
{
    struct fixture *fixture = *state;
    struct accounts accounts = {0};
    add_account(fixture, "zoe");
    add_account(fixture, "adam");
    assert_int_equal(in_read(fixture, list_accounts, &accounts), ERR_NONE);
    assert_int_equal(accounts.count, 2);
    check_span(accounts.list[0].user, "adam");
    check_span(accounts.list[1].user, "zoe");
    assert_int_equal(accounts.list[0].grant_count, 0);
    assert_int_equal(in_write(fixture, delete_account, name_of("zoe")), ERR_NONE);
    assert_int_equal(in_write(fixture, delete_account, name_of("zoe")), ERR_NOT_FOUND);
    assert_int_equal(in_read(fixture, list_accounts, &accounts), ERR_NONE);
    assert_int_equal(accounts.count, 1);
    arena_done(&accounts.arena);
}

static enum err delete_hub(struct store_txn *txn, void *argument)
{
    return store_hub_delete(txn, *(const int64_t *)argument);
}

static void a_role_goes_with_its_hub(void **state)
{
    struct fixture *fixture = *state;
    struct grant grants[] = {{fixture->hub_id, ROLE_ADMINISTRATOR}};
    struct account account = {.user = SPAN_LIT("u"), .grants = grants, .grant_count = 1};
    assert_int_equal(in_write(fixture, put_account, &account), ERR_NONE);
    assert_int_equal(in_write(fixture, delete_hub, &fixture->hub_id), ERR_NONE);
    struct account_get get = {.user = "u"};
    assert_int_equal(in_read(fixture, get_account, &get), ERR_NONE);
    assert_int_equal(get.account.grant_count, 0);
    arena_done(&get.arena);
}

/* ---- web sessions ---------------------------------------------------------------------------- */

static const char hashes[4][33] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccccccccccccccc",
    "dddddddddddddddddddddddddddddddd"};

struct session_put {
    struct web_session session;
    size_t keep;
};

static enum err insert_session(struct store_txn *txn, void *argument)
{
    const struct session_put *put = argument;
    return store_web_session_insert(txn, &put->session, put->keep);
}

static void add_session(struct fixture *fixture, const char *hash, const char *user, int64_t at)
{
    struct session_put put = {.session = {.token_hash = span_of(hash),
                                  .user = span_of(user),
                                  .created_us = at,
                                  .used_us = at + 1,
                                  .address = SPAN_LIT("192.0.2.1"),
                                  .agent = SPAN_LIT("a browser")},
        .keep = 2};
    assert_int_equal(in_write(fixture, insert_session, &put), ERR_NONE);
}

struct session_get {
    struct arena arena;
    const char *hash;
    struct web_session session;
};

static enum err get_session(struct store_txn *txn, void *argument)
{
    struct session_get *get = argument;
    return store_web_session_get(txn, &get->arena, span_of(get->hash), &get->session);
}

static bool has_session(struct fixture *fixture, const char *hash)
{
    struct session_get get = {.hash = hash};
    enum err err = in_read(fixture, get_session, &get);
    assert_true(err == ERR_NONE || err == ERR_NOT_FOUND);
    arena_done(&get.arena);
    return err == ERR_NONE;
}

static enum err touch_first(struct store_txn *txn, void *argument)
{
    return store_web_session_touch(txn, span_of(hashes[0]), *(const int64_t *)argument);
}

static void a_session_comes_back_as_it_was_put(void **state)
{
    struct fixture *fixture = *state;
    struct session_get get = {.hash = hashes[0]};
    int64_t later = 99;
    add_account(fixture, "u");
    add_session(fixture, hashes[0], "u", 17);
    assert_int_equal(in_read(fixture, get_session, &get), ERR_NONE);
    check_span(get.session.token_hash, hashes[0]);
    check_span(get.session.user, "u");
    check_span(get.session.address, "192.0.2.1");
    check_span(get.session.agent, "a browser");
    assert_int_equal(get.session.created_us, 17);
    assert_int_equal(get.session.used_us, 18);
    assert_int_equal(in_write(fixture, touch_first, &later), ERR_NONE);
    assert_int_equal(in_read(fixture, get_session, &get), ERR_NONE);
    assert_int_equal(get.session.used_us, 99);
    assert_int_equal(get.session.created_us, 17);
    arena_done(&get.arena);
}

static void the_oldest_session_makes_room(void **state)
{
    struct fixture *fixture = *state;
    add_account(fixture, "u");
    add_account(fixture, "v");
    add_session(fixture, hashes[3], "v", 1);
    add_session(fixture, hashes[0], "u", 20);
    add_session(fixture, hashes[1], "u", 10);
    add_session(fixture, hashes[2], "u", 30);
    assert_true(has_session(fixture, hashes[0]));
    assert_false(has_session(fixture, hashes[1]));
    assert_true(has_session(fixture, hashes[2]));
    assert_true(has_session(fixture, hashes[3]));
}

static enum err delete_first(struct store_txn *txn, void *argument)
{
    (void)argument;
    return store_web_session_delete(txn, span_of(hashes[0]));
}

static enum err delete_all_but_second(struct store_txn *txn, void *argument)
{
    return store_web_session_delete_user(txn, span_of(argument), span_of(hashes[1]));
}

static enum err delete_all(struct store_txn *txn, void *argument)
{
    return store_web_session_delete_user(txn, span_of(argument), SPAN_NONE);
}

static void sessions_end_one_by_one_and_by_user(void **state)
{
    struct fixture *fixture = *state;
    add_account(fixture, "u");
    add_account(fixture, "v");
    add_session(fixture, hashes[0], "u", 1);
    add_session(fixture, hashes[1], "u", 2);
    add_session(fixture, hashes[2], "v", 3);
    assert_int_equal(in_write(fixture, delete_first, NULL), ERR_NONE);
    assert_int_equal(in_write(fixture, delete_first, NULL), ERR_NONE);
    assert_false(has_session(fixture, hashes[0]));
    add_session(fixture, hashes[0], "u", 4);
    assert_int_equal(in_write(fixture, delete_all_but_second, name_of("u")), ERR_NONE);
    assert_false(has_session(fixture, hashes[0]));
    assert_true(has_session(fixture, hashes[1]));
    assert_int_equal(in_write(fixture, delete_all, name_of("u")), ERR_NONE);
    assert_false(has_session(fixture, hashes[1]));
    assert_true(has_session(fixture, hashes[2]));
    assert_int_equal(in_write(fixture, delete_account, name_of("v")), ERR_NONE);
    assert_false(has_session(fixture, hashes[2]));
}

static enum err prune_sessions(struct store_txn *txn, void *argument)
{
    const int64_t *times = argument;
    return store_web_session_prune(txn, times[0], times[1]);
}

static void sessions_that_are_over_are_dropped(void **state)
{
    struct fixture *fixture = *state;
    static const char *const users[] = {"a", "b", "c"};
    int64_t times[] = {10, 31};
    for (size_t i = 0; i < COUNT_OF(users); i++)
        add_account(fixture, users[i]);
    add_session(fixture, hashes[0], "a", 9);  /* too old */
    add_session(fixture, hashes[1], "b", 29); /* too long unused */
    add_session(fixture, hashes[2], "c", 30);
    assert_int_equal(in_write(fixture, prune_sessions, times), ERR_NONE);
    assert_false(has_session(fixture, hashes[0]));
    assert_false(has_session(fixture, hashes[1]));
    assert_true(has_session(fixture, hashes[2]));
}

static void a_list_without_memory_says_so(void **state)
{
    struct fixture *fixture = *state;
    int refused = 0;
    add_account(fixture, "u");
    for (size_t limit = 16; limit < 2000; limit += 16) {
        struct accounts accounts = {0};
        arena_init(&accounts.arena, limit);
        enum err err = in_read(fixture, list_accounts, &accounts);
        assert_true(err == ERR_MEMORY || (err == ERR_NONE && accounts.count == 1));
        refused += err == ERR_MEMORY;
        assert_true(limit < 1984 || err == ERR_NONE);
        arena_done(&accounts.arena);
    }
    assert_true(refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_made_and_replaced),
        cmocka_unit_test(accounts_are_listed_by_name_and_deleted),
        cmocka_unit_test(a_role_goes_with_its_hub),
        cmocka_unit_test(a_session_comes_back_as_it_was_put),
        cmocka_unit_test(the_oldest_session_makes_room),
        cmocka_unit_test(sessions_end_one_by_one_and_by_user),
        cmocka_unit_test(sessions_that_are_over_are_dropped),
        cmocka_unit_test(a_list_without_memory_says_so),
    };
    return run_for_every_backend("store accounts", tests, COUNT_OF(tests));
}
