/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in by password and cookie, for how long, and what a stolen cookie is worth. */
#include "service_harness.h"

#define SESSION "/gemel/v1/session"
#define PASSWORD "/gemel/v1/session/password"
#define HUBS "/gemel/v1/hubs"
#define MIRROR "/gemel/v1/hubs/h1/iothub"

static void make_one_time(const char *user, const char *password);

/* ---- signing in ------------------------------------------------------------------------------ */

static void a_right_password_gets_a_cookie_that_only_this_host_gets_back(void **state UNUSED)
{
    make_administrator();
    struct answer answer = try_sign_in("admin", "se:cret", NULL);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.set_cookie, "__Host-gemel="));
    assert_non_null(strstr(answer.set_cookie, "; Path=/; Secure; HttpOnly; SameSite=Strict"));
    assert_null(strstr(answer.set_cookie, "Domain"));
    assert_string_equal(member(&answer, "user"), "admin");
    assert_string_equal(member(&answer, "role"), "administrator");
    assert_string_equal(member(&answer, "mustChange"), "false");
    assert_string_equal(member(&answer, "hubs"), "[{\"name\":\"h1\",\"role\":\"administrator\"}]");
    struct browser browser = sign_in("admin", "se:cret");
    struct answer shown = browse(&browser, "GET", SESSION, NULL);
    assert_int_equal(shown.status, 200);
    assert_string_equal(member(&shown, "csrf"), browser.csrf);
    assert_null(strstr(shown.body, "hash"));
}

static void who_is_not_known_is_told_no_more_than_that(void **state UNUSED)
{
    static const struct {
        const char *user;
        const char *password;
        int status;
    } rows[] = {
        {"admin", "secret", 401},
        {"nobody", "se:cret", 401},
        {"Admin", "se:cret", 401},
        {"off", "se:cret", 401},
        {"", "se:cret", 400},
        {"admin", "", 400},
    };
    make_administrator();
    make_account("off", "se:cret", NULL, 0);
    struct browser admin = sign_in("admin", "se:cret");
    assert_int_equal(
        browse(&admin, "PUT", "/gemel/v1/accounts/off", "{\"roles\":[],\"disabled\":true}").status,
        200);
    const char *sentence = NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = try_sign_in(rows[i].user, rows[i].password, NULL);
        assert_int_equal(answer.status, rows[i].status);
        assert_null(answer.set_cookie);
        assert_null(answer.challenge);
        if (rows[i].status != 401)
            continue;
        assert_string_equal(answer.error, "IotHubUnauthorized");
        if (sentence == NULL)
            sentence = member(&answer, "Message");
        assert_string_equal(member(&answer, "Message"), sentence);
    }
    struct browser nobody = {0};
    assert_int_equal(browse(&nobody, "POST", SESSION, "[]").status, 400);
    assert_int_equal(
        browse(&nobody, "POST", SESSION, "{\"user\":5,\"password\":\"x\"}").status, 400);
    char *large = arena_alloc(&world.arena, 8192);
    memset(large, ' ', 8000);
    assert_int_equal(browse(&nobody, "POST", SESSION, large).status, 413);
}

static void without_a_session_there_is_nothing_to_see(void **state UNUSED)
{
    static const char *const cookies[] = {NULL, "", "a=b", "__Host-gemel=", "__Host-gemel=abc",
        "__Host-gemel=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "x__Host-gemel=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    static const char *const targets[] = {
        SESSION, HUBS, MIRROR "/devices", "/gemel/v1/hubs/no/iothub/devices"};
    for (size_t i = 0; i < COUNT_OF(cookies); i++) {
        struct browser browser = {.cookie = cookies[i]};
        for (size_t k = 0; k < COUNT_OF(targets); k++) {
            struct answer answer = browse(&browser, "GET", targets[k], NULL);
            assert_int_equal(answer.status, 401);
            assert_string_equal(answer.error, "SignInRequired");
            assert_null(answer.challenge);
        }
    }
}

/* ---- how long -------------------------------------------------------------------------------- */

static void a_cookie_is_worth_nothing_after_signing_out(void **state UNUSED)
{
    make_administrator();
    struct browser stolen = sign_in("admin", "se:cret");
    struct browser other = sign_in("admin", "se:cret");
    assert_int_equal(browse(&stolen, "GET", HUBS, NULL).status, 200);
    struct answer out = browse(&stolen, "DELETE", SESSION, NULL);
    assert_int_equal(out.status, 204);
    assert_non_null(strstr(out.set_cookie, "__Host-gemel=; Max-Age=0; Path=/; Secure"));
    assert_int_equal(browse(&stolen, "GET", HUBS, NULL).status, 401);
    assert_int_equal(browse(&stolen, "DELETE", SESSION, NULL).status, 401);
    assert_int_equal(browse(&other, "GET", HUBS, NULL).status, 200);
}

static void signing_in_again_ends_the_browsers_former_session(void **state UNUSED)
{
    make_administrator();
    struct browser before = sign_in("admin", "se:cret");
    assert_int_equal(
        browse(&before, "POST", SESSION, "{\"user\":\"admin\",\"password\":\"se:cret\"}").status,
        200);
    assert_int_equal(browse(&before, "GET", SESSION, NULL).status, 401);
}

static enum err write_nothing(struct store_job *job UNUSED, struct store_txn *txn UNUSED)
{
    return ERR_NONE;
}

/* That a session is used is written down behind the answer's back. */
static void wait_for_notes(void)
{
    struct store_job job = {.run = write_nothing};
    assert_int_equal(store_run(world.store, STORE_WRITE, &job), ERR_NONE);
}

static void a_session_ends_after_silence_and_after_a_day(void **state UNUSED)
{
    make_administrator();
    struct browser silent = sign_in("admin", "se:cret");
    struct browser busy = sign_in("admin", "se:cret");
    for (int hour = 0; hour < 7; hour++) {
        world_advance(3600);
        assert_int_equal(browse(&busy, "GET", SESSION, NULL).status, 200);
        wait_for_notes();
    }
    world_advance(3599);
    assert_int_equal(browse(&silent, "GET", SESSION, NULL).status, 200);
    world_advance(1);
    struct browser late = sign_in("admin", "se:cret");
    assert_int_equal(browse(&busy, "GET", SESSION, NULL).status, 200);
    wait_for_notes();
    world_advance(8 * 3600);
    assert_int_equal(browse(&late, "GET", SESSION, NULL).status, 401);
    assert_int_equal(browse(&silent, "GET", SESSION, NULL).status, 401);
    struct browser daily = sign_in("admin", "se:cret");
    for (int hour = 0; hour < 23; hour++) {
        world_advance(3600);
        assert_int_equal(browse(&daily, "GET", SESSION, NULL).status, 200);
        wait_for_notes();
    }
    world_advance(3599);
    assert_int_equal(browse(&daily, "GET", SESSION, NULL).status, 200);
    world_advance(1);
    assert_int_equal(browse(&daily, "GET", SESSION, NULL).status, 401);
}

static void a_session_outlives_the_server(void **state UNUSED)
{
    make_administrator();
    struct browser browser = sign_in("admin", "se:cret");
    world_reopen_service();
    assert_int_equal(browse(&browser, "GET", HUBS, NULL).status, 200);
    assert_int_equal(browse(&browser, "DELETE", SESSION, NULL).status, 204);
}

static void only_so_many_sessions_of_an_account_live(void **state UNUSED)
{
    make_administrator();
    world.options.limits.access.sessions = 2;
    world_reopen_service();
    struct browser first = sign_in("admin", "se:cret");
    world_advance(1);
    struct browser second = sign_in("admin", "se:cret");
    world_advance(1);
    struct browser third = sign_in("admin", "se:cret");
    assert_int_equal(browse(&first, "GET", SESSION, NULL).status, 401);
    assert_int_equal(browse(&second, "GET", SESSION, NULL).status, 200);
    assert_int_equal(browse(&third, "GET", SESSION, NULL).status, 200);
}

/* ---- other people's pages -------------------------------------------------------------------- */

static void a_page_from_elsewhere_changes_nothing(void **state UNUSED)
{
    static const struct {
        const char *csrf; /* "right": the session's */
        const char *origin;
        int status;
    } rows[] = {
        {"right", NULL, 200},
        {"right", "https://hub.local", 200},
        {"right", "https://HUB.local:443", 200},
        {NULL, NULL, 403},
        {"", NULL, 403},
        {"wrong", NULL, 403},
        {"other's", NULL, 403},
        {NULL, "https://hub.local", 403},
        {"right", "http://hub.local", 403},
        {"right", "https://hub.local:8443", 403},
        {"right", "https://hub.local.evil.example", 403},
        {"right", "https://evil.example", 403},
        {"right", "null", 403},
    };
    make_administrator();
    struct browser browser = sign_in("admin", "se:cret");
    struct browser other = sign_in("admin", "se:cret");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct browser asked = {
            .cookie = browser.cookie, .csrf = rows[i].csrf, .origin = rows[i].origin};
        if (rows[i].csrf != NULL && strcmp(rows[i].csrf, "right") == 0)
            asked.csrf = browser.csrf;
        if (rows[i].csrf != NULL && strcmp(rows[i].csrf, "other's") == 0)
            asked.csrf = other.csrf;
        char *target = arena_format(&world.arena, MIRROR "/devices/d%zu", i);
        struct answer answer = browse(&asked, "PUT", target, "{}");
        if (answer.status != rows[i].status)
            fail_msg("row %zu: %s", i, answer.body);
        if (rows[i].status == 403)
            assert_string_equal(answer.error, "CrossSiteRequest");
        assert_int_equal(
            browse(&browser, "GET", target, NULL).status, rows[i].status == 200 ? 200 : 404);
    }
    struct browser forged = {.origin = "https://evil.example"};
    assert_int_equal(
        browse(&forged, "POST", SESSION, "{\"user\":\"admin\",\"password\":\"se:cret\"}").status,
        403);
}

/* ---- the one-time password ------------------------------------------------------------------- */

struct one_time_job {
    struct store_job job;
    const char *user;
};

static enum err run_one_time(struct store_job *job, struct store_txn *txn)
{
    struct account account;
    enum err err =
        store_account_get(txn, &world.arena, span_of(((struct one_time_job *)job)->user), &account);
    account.must_change = true;
    return err == ERR_NONE ? store_account_put(txn, &account) : err;
}

static void make_one_time(const char *user, const char *password)
{
    static const struct grant everything = {GRANT_EVERY_HUB, ROLE_ADMINISTRATOR};
    struct one_time_job mark = {.job = {.run = run_one_time}, .user = user};
    make_account(user, password, &everything, 1);
    assert_int_equal(store_run(world.store, STORE_WRITE, &mark.job), ERR_NONE);
}

static void a_one_time_password_is_good_for_its_change_alone(void **state UNUSED)
{
    make_one_time("admin", "one-time");
    struct browser browser = sign_in("admin", "one-time");
    struct answer shown = browse(&browser, "GET", SESSION, NULL);
    assert_string_equal(member(&shown, "mustChange"), "true");
    static const char *const targets[] = {HUBS, MIRROR "/devices", "/gemel/v1/accounts"};
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        struct answer answer = browse(&browser, "GET", targets[i], NULL);
        assert_int_equal(answer.status, 403);
        assert_string_equal(answer.error, "PasswordChangeRequired");
    }
    assert_int_equal(
        browse(&browser, "PUT", PASSWORD, "{\"old\":\"one-time\",\"new\":\"correct horse\"}")
            .status,
        204);
    assert_int_equal(browse(&browser, "GET", HUBS, NULL).status, 200);
    assert_int_equal(try_sign_in("admin", "one-time", NULL).status, 401);
    assert_int_equal(try_sign_in("admin", "correct horse", NULL).status, 200);
}

static void a_password_that_will_not_do_is_refused(void **state UNUSED)
{
    static const struct {
        const char *body;
        int status;
    } rows[] = {
        {"{\"old\":\"se:cret\",\"new\":\"elevenchars\"}", 400},
        {"{\"old\":\"se:cret\",\"new\":"
         "\"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\"}",
            400},
        {"{\"old\":\"correct horse\",\"new\":\"correct horse\"}", 400},
        {"{\"old\":\"se:cret\"}", 400},
        {"{\"new\":\"correct horse\"}", 400},
        {"{\"old\":\"wrong\",\"new\":\"correct horse\"}", 403},
        {"{\"old\":\"se:cret\",\"new\":\"correct horse\"}", 204},
    };
    make_administrator();
    struct browser browser = sign_in("admin", "se:cret");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = browse(&browser, "PUT", PASSWORD, rows[i].body);
        if (answer.status != rows[i].status)
            fail_msg("row %zu: %s", i, answer.body);
    }
}

static void a_new_password_ends_the_other_sessions(void **state UNUSED)
{
    make_administrator();
    struct browser thief = sign_in("admin", "se:cret");
    struct browser owner = sign_in("admin", "se:cret");
    assert_int_equal(
        browse(&owner, "PUT", PASSWORD, "{\"old\":\"se:cret\",\"new\":\"correct horse\"}").status,
        204);
    assert_int_equal(browse(&thief, "GET", SESSION, NULL).status, 401);
    assert_int_equal(browse(&owner, "GET", SESSION, NULL).status, 200);
}

/* ---- guessing -------------------------------------------------------------------------------- */

static void wrong_passwords_bring_a_growing_delay(void **state UNUSED)
{
    static const int waits[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
    make_administrator();
    for (int i = 0; i < 3; i++)
        assert_int_equal(try_sign_in("admin", "wrong", "192.0.2.1").status, 401);
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        assert_int_equal(try_sign_in("admin", "wrong", "192.0.2.1").status, 401);
        /* The right one does not help now, nor does another address. */
        struct answer refused = try_sign_in("admin", "se:cret", "192.0.2.2");
        assert_int_equal(refused.status, 429);
        assert_string_equal(refused.retry_after, arena_format(&world.arena, "%d", waits[i]));
        world_advance(waits[i] - 1);
        assert_int_equal(try_sign_in("admin", "wrong", "192.0.2.1").status, 429);
        world_advance(1);
    }
    assert_int_equal(try_sign_in("admin", "se:cret", "192.0.2.1").status, 200);
    assert_int_equal(try_sign_in("admin", "wrong", "192.0.2.1").status, 401); /* counts anew */
    assert_int_equal(try_sign_in("admin", "se:cret", "192.0.2.1").status, 200);
}

static void a_user_that_does_not_exist_is_delayed_alike(void **state UNUSED)
{
    for (int i = 0; i < 4; i++)
        assert_int_equal(try_sign_in("nobody", "x", "192.0.2.1").status, 401);
    assert_int_equal(try_sign_in("nobody", "x", "192.0.2.1").status, 429);
    world_advance(2 + 3600);
    for (int i = 0; i < 4; i++) /* forgotten */
        assert_int_equal(try_sign_in("nobody", "x", "192.0.2.1").status, 401);
}

static void an_address_that_tries_many_users_is_delayed(void **state UNUSED)
{
    make_administrator();
    world.options.limits.access.address_attempts = 5;
    world_reopen_service();
    for (int i = 0; i < 6; i++) {
        char *user = arena_format(&world.arena, "user%d", i);
        /* One customer's network is one address. */
        char *address = arena_format(&world.arena, "2001:db8:1:2::%d", i + 1);
        assert_int_equal(try_sign_in(user, "x", address).status, 401);
    }
    assert_int_equal(try_sign_in("admin", "se:cret", "2001:db8:1:2::ffff").status, 429);
    assert_int_equal(try_sign_in("admin", "se:cret", "2001:db8:1:3::1").status, 200);
}

static void guessing_in_parallel_gets_no_more_tries(void **state UNUSED)
{
    enum { TRIES = 40 };
    struct pending *pending[TRIES];
    struct browser browser = {.address = "192.0.2.1"};
    int wrong = 0;
    make_administrator();
    for (int i = 0; i < TRIES; i++)
        pending[i] =
            browse_later(&browser, "POST", SESSION, "{\"user\":\"admin\",\"password\":\"guess\"}");
    for (int i = 0; i < TRIES; i++) {
        struct answer answer = get_answer(pending[i]);
        assert_true(answer.status == 401 || answer.status == 429);
        wrong += answer.status == 401;
    }
    assert_int_equal(wrong, 4);
}

static void the_right_password_many_times_at_once_is_no_guessing(void **state UNUSED)
{
    enum { TRIES = 20 };
    struct pending *pending[TRIES];
    struct browser browser = {0};
    make_administrator();
    for (int i = 0; i < TRIES; i++)
        pending[i] = browse_later(
            &browser, "POST", SESSION, "{\"user\":\"admin\",\"password\":\"se:cret\"}");
    for (int i = 0; i < TRIES; i++)
        assert_int_equal(get_answer(pending[i]).status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        TEST(a_right_password_gets_a_cookie_that_only_this_host_gets_back),
        TEST(who_is_not_known_is_told_no_more_than_that),
        TEST(without_a_session_there_is_nothing_to_see),
        TEST(a_cookie_is_worth_nothing_after_signing_out),
        TEST(signing_in_again_ends_the_browsers_former_session),
        TEST(a_session_ends_after_silence_and_after_a_day),
        TEST(a_session_outlives_the_server),
        TEST(only_so_many_sessions_of_an_account_live),
        TEST(a_page_from_elsewhere_changes_nothing),
        TEST(a_one_time_password_is_good_for_its_change_alone),
        TEST(a_password_that_will_not_do_is_refused),
        TEST(a_new_password_ends_the_other_sessions),
        TEST(wrong_passwords_bring_a_growing_delay),
        TEST(a_user_that_does_not_exist_is_delayed_alike),
        TEST(an_address_that_tries_many_users_is_delayed),
        TEST(guessing_in_parallel_gets_no_more_tries),
        TEST(the_right_password_many_times_at_once_is_no_guessing),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
