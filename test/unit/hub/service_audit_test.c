/* SPDX-License-Identifier: Apache-2.0 */
/* That every change leaves one entry, with who, what, when and from where, and no secret. */
#include "service_harness.h"

#define AUDIT "/gemel/v1/audit"
#define AZURE "/gemel/v1/hubs/h1/iothub"

static struct browser admin;

static int open_with_administrator(void **state)
{
    int opened = world_open(state);
    make_administrator();
    admin = sign_in("admin", "se:cret");
    return opened;
}

/* What was refused is written down behind the answer's back. */
static enum err write_nothing(struct store_job *job UNUSED, struct store_txn *txn UNUSED)
{
    return ERR_NONE;
}

static struct answer read_log(const char *query)
{
    struct store_job job = {.run = write_nothing};
    assert_int_equal(store_run(world.store, STORE_WRITE, &job), ERR_NONE);
    struct answer answer =
        browse(&admin, "GET", arena_format(&world.arena, AUDIT "?%s", query), NULL);
    assert_int_equal(answer.status, 200);
    return answer;
}

static void check_newest(const char *action, const char *target, const char *user, const char *from)
{
    struct answer log = read_log("limit=1");
    assert_string_equal(member(&log, "items.0.action"), action);
    assert_string_equal(member(&log, "items.0.target"), target);
    assert_string_equal(member(&log, "items.0.user"), user);
    assert_string_equal(member(&log, "items.0.from"), from);
    assert_string_equal(member(&log, "items.0.address"), "127.0.0.1");
    assert_string_equal(member(&log, "items.0.time"), START_TEXT);
}

static void every_change_leaves_one_entry(void **state UNUSED)
{
    static const struct {
        const char *method;
        const char *target;
        const char *body;
        const char *if_match;
        const char *action;
        const char *noted;
    } rows[] = {
        {"PUT", AZURE "/devices/d", "{}", NULL, "device.create", "d"},
        {"PUT", AZURE "/devices/d", "{\"status\":\"disabled\"}", "*", "device.update", "d"},
        {"PUT", AZURE "/devices/d/modules/m", "{}", NULL, "module.create", "d/m"},
        {"PUT", AZURE "/devices/d/modules/m", "{}", "*", "module.update", "d/m"},
        {"PATCH", AZURE "/twins/d/modules/m", "{\"tags\":{\"a\":1}}", NULL, "twin.update", "d/m"},
        {"PUT", AZURE "/twins/d", "{\"tags\":{\"a\":1}}", NULL, "twin.replace", "d"},
        {"POST", AZURE "/devices", "[{\"id\":\"b1\"},{\"id\":\"b2\"},{\"id\":\"d\"}]", NULL,
            "identity.bulk", "2 identities"},
        {"DELETE", AZURE "/devices/d/modules/m", NULL, NULL, "module.delete", "d/m"},
        {"DELETE", AZURE "/devices/d", NULL, NULL, "device.delete", "d"},
        {"POST", "/gemel/v1/hubs", "{\"name\":\"h2\",\"hostName\":\"two.local\"}", NULL,
            "hub.create", "h2"},
        {"DELETE", "/gemel/v1/hubs/h2", NULL, NULL, "hub.delete", "h2"},
        {"GET", "/gemel/v1/hubs/h1/policies/read/keys", NULL, NULL, "policy.show-keys", "read"},
        {"POST", "/gemel/v1/hubs/h1/policies/read/regenerate", "{\"key\":\"primary\"}", NULL,
            "policy.regenerate-key", "read"},
        {"POST", "/gemel/v1/accounts", "{\"user\":\"eva\",\"roles\":[]}", NULL, "account.create",
            "eva"},
        {"PUT", "/gemel/v1/accounts/eva", "{\"disabled\":true}", NULL, "account.update", "eva"},
        {"POST", "/gemel/v1/accounts/eva/reset", NULL, NULL, "account.reset", "eva"},
        {"DELETE", "/gemel/v1/accounts/eva", NULL, NULL, "account.delete", "eva"},
        {"PUT", "/gemel/v1/session/password", "{\"old\":\"se:cret\",\"new\":\"correct horse\"}",
            NULL, "account.password", "admin"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t before = json_find_text(read_log("limit=1000").json, "items")->count;
        struct answer answer =
            browse_if(&admin, rows[i].method, rows[i].target, rows[i].body, rows[i].if_match);
        if (answer.status >= 500 || answer.status == 401 || answer.status == 403)
            fail_msg("%s: %s", rows[i].target, answer.body);
        size_t after = json_find_text(read_log("limit=1000").json, "items")->count;
        assert_int_equal(after, before + 1);
        check_newest(rows[i].action, rows[i].noted, "admin", "portal");
    }
}

static void what_is_read_or_refused_by_its_content_leaves_none(void **state UNUSED)
{
    size_t before = json_find_text(read_log("").json, "items")->count;
    browse(&admin, "GET", AZURE "/devices", NULL);
    browse(&admin, "PUT", AZURE "/devices/no%20good", "{}");
    browse(&admin, "DELETE", AZURE "/devices/none", NULL);
    browse(&admin, "PATCH", AZURE "/twins/none", "{}");
    assert_int_equal(json_find_text(read_log("").json, "items")->count, before);
}

static void tokens_and_the_command_line_are_told_apart(void **state UNUSED)
{
    make_device("d");
    check_newest("device.create", "d", "owner", "rest");
    struct browser cli = {.cookie = admin.cookie, .csrf = admin.csrf, .user_agent = "gemel/1.0"};
    assert_int_equal(browse(&cli, "DELETE", AZURE "/devices/d", NULL).status, 204);
    check_newest("device.delete", "d", "admin", "portal"); /* a cookie is the portal's */
}

static void an_attempt_beyond_the_role_is_noted(void **state UNUSED)
{
    struct grant grant = {world.hub_id, ROLE_READER};
    make_account("reader", "se:cret", &grant, 1);
    struct browser reader = sign_in("reader", "se:cret");
    assert_int_equal(browse(&reader, "DELETE", AZURE "/devices/d", NULL).status, 403);
    check_newest("device.delete", "d", "reader", "portal");
    struct answer log = read_log("limit=1");
    assert_string_equal(member(&log, "items.0.outcome"), "refused");
    assert_string_equal(member(&log, "items.0.hub"), "h1");
}

static void a_wrong_password_is_noted_with_the_user_if_there_is_one(void **state UNUSED)
{
    assert_int_equal(try_sign_in("admin", "guess", NULL).status, 401);
    check_newest("session.sign-in", "", "admin", "portal");
    assert_int_equal(try_sign_in("correct horse", "admin", NULL).status, 401);
    check_newest("session.sign-in", "", "", "portal");
    assert_null(strstr(read_log("").body, "correct horse"));
}

static void no_secret_stands_in_the_log(void **state UNUSED)
{
    make_device("d"); /* with keys of its own */
    struct answer made =
        browse(&admin, "POST", "/gemel/v1/accounts", "{\"user\":\"eva\",\"roles\":[]}");
    struct answer fresh = browse(
        &admin, "POST", "/gemel/v1/hubs/h1/policies/read/regenerate", "{\"key\":\"primary\"}");
    struct answer log = read_log("limit=1000");
    const char *secrets[] = {HUB_KEY, OTHER_KEY, member(&made, "password"),
        member(&fresh, "primaryKey"), "se:cret", "argon2", strchr(admin.cookie, '=') + 1,
        admin.csrf};
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        assert_null(strstr(log.body, secrets[i]));
}

static void the_log_is_searched_and_read_page_by_page(void **state UNUSED)
{
    for (int i = 0; i < 5; i++) {
        world_advance(60);
        make_device(arena_format(&world.arena, "dev%d", i));
    }
    struct answer page = read_log("search=DEV&limit=2");
    assert_string_equal(member(&page, "items.0.target"), "dev4");
    assert_string_equal(member(&page, "items.1.target"), "dev3");
    page =
        read_log(arena_format(&world.arena, "search=DEV&limit=2&before=%s", member(&page, "next")));
    assert_string_equal(member(&page, "items.0.target"), "dev2");
    page = read_log("user=owner&hub=h1&since=2023-11-14T22:15:20Z&until=2023-11-14T22:17:20Z");
    assert_int_equal(json_find_text(page.json, "items")->count, 2);
    assert_string_equal(member(&page, "items.0.target"), "dev2");
    assert_string_equal(member(&page, "next"), "null");
    assert_int_equal(browse(&admin, "GET", AUDIT "?since=yesterday", NULL).status, 400);
    assert_int_equal(browse(&admin, "GET", AUDIT "?limit=1001", NULL).status, 400);
}

/* ---- everything ------------------------------------------------------------------------------ */

struct many_job {
    struct store_job job;
    int count;
};

static enum err append_many(struct store_job *job, struct store_txn *txn)
{
    struct audit_entry entry = {.time_us = START_US,
        .user = SPAN_LIT("u"),
        .action = SPAN_LIT("x"),
        .target = SPAN_LIT("<script>"),
        .outcome = SPAN_LIT("done"),
        .detail = SPAN_LIT("{\"long\":\"0123456789012345678901234567890123456789\"}")};
    enum err err = ERR_NONE;
    for (int i = 0; i < ((struct many_job *)job)->count && err == ERR_NONE; i++)
        err = store_audit_append(txn, &entry);
    return err;
}

static void everything_is_sent_in_pieces_of_bounded_size(void **state UNUSED)
{
    struct many_job many = {.job = {.run = append_many}, .count = 10000};
    assert_int_equal(store_run(world.store, STORE_WRITE, &many.job), ERR_NONE);
    struct browser *browser = &admin;
    size_t lines = 0;
    size_t pieces = 0;
    struct piecewise *reading = begin_pieces(browser, AUDIT "/export?user=u");
    struct answer piece;
    do {
        piece = next_piece(reading);
        assert_int_equal(piece.status, 200);
        assert_true(strlen(piece.body) < 1024 * 1024);
        for (const char *at = piece.body; (at = strchr(at, '\n')) != NULL; at++)
            lines++;
        pieces++;
    } while (piece.more);
    end_pieces(reading);
    assert_int_equal(lines, many.count);
    assert_true(pieces > 3);
}

static void an_export_ends_with_the_session(void **state UNUSED)
{
    struct many_job many = {.job = {.run = append_many}, .count = 10000};
    assert_int_equal(store_run(world.store, STORE_WRITE, &many.job), ERR_NONE);
    struct piecewise *reading = begin_pieces(&admin, AUDIT "/export");
    assert_true(next_piece(reading).more);
    assert_int_equal(browse(&admin, "DELETE", "/gemel/v1/session", NULL).status, 204);
    struct answer piece = next_piece(reading);
    assert_int_equal(piece.status, 401);
    assert_false(piece.more);
    end_pieces(reading);
}

static void old_entries_go_after_their_time(void **state UNUSED)
{
    make_device("d");
    world_advance(366LL * 86400);
    service_tick(world.service);
    admin = sign_in("admin", "se:cret");
    assert_null(strstr(read_log("").body, "device.create"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_with_administrator, world_close)
        TEST(every_change_leaves_one_entry),
        TEST(what_is_read_or_refused_by_its_content_leaves_none),
        TEST(tokens_and_the_command_line_are_told_apart),
        TEST(an_attempt_beyond_the_role_is_noted),
        TEST(a_wrong_password_is_noted_with_the_user_if_there_is_one),
        TEST(no_secret_stands_in_the_log),
        TEST(the_log_is_searched_and_read_page_by_page),
        TEST(everything_is_sent_in_pieces_of_bounded_size),
        TEST(an_export_ends_with_the_session),
        TEST(old_entries_go_after_their_time),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
