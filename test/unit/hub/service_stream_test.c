/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#include <string.h>

#define STREAM "/gemel/v1/hubs/h1/events/stream"

static struct browser admin;
static struct heard heard;
static struct session session;

static int open_with_events(void **state)
{
    int status = world_open(state);
    make_administrator();
    admin = sign_in("admin", "se:cret");
    make_device("d");
    session = connect_device("d", &heard);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            send_event(&session, i == 1 ? "k=v" : "", SPAN_LIT("{\"a\":\"\\n\"}")), ERR_NONE);
    return status;
}

static int close_with_events(void **state)
{
    service_disconnect(world.service, &session.identity, session.number);
    return world_close(state);
}

static void it_begins_with_its_place_and_gives_the_events_of_the_pages(void **state UNUSED)
{
    struct piecewise *reading = begin_pieces(&admin, STREAM "?from=2");
    struct answer piece = next_piece(reading);
    assert_int_equal(piece.status, 200);
    assert_true(piece.more);
    assert_string_equal(piece.body, "retry: 1000\n: gemel\nid: 1\n\n");
    const char *text = next_piece(reading).body;
    struct answer page = browse(&admin, "GET", "/gemel/v1/hubs/h1/events?from=2", NULL);
    const char *at = strstr(text, "id: 2\ndata: ");
    assert_ptr_equal(at, text);
    char *first =
        arena_text(&world.arena, (struct span){at + 12, (size_t)(strstr(at, "\n\n") - at - 12)});
    assert_non_null(strstr(page.body, first));
    assert_non_null(strstr(text, "}\n\nid: 3\ndata: {"));
    assert_int_equal(text[strlen(text) - 1], '\n');
    end_pieces(reading);
}

static void one_from_the_end_tells_where_that_was(void **state UNUSED)
{
    struct piecewise *reading = begin_pieces(&admin, STREAM);
    assert_string_equal(next_piece(reading).body, "retry: 1000\n: gemel\nid: 3\n\n");
    assert_int_equal(send_event(&session, "", SPAN_LIT("x")), ERR_NONE);
    assert_non_null(strstr(next_piece(reading).body, "id: 4\ndata: {\"sequenceNumber\":4,"));
    end_pieces(reading);
}

static void what_is_filtered_out_is_not_looked_at_again(void **state UNUSED)
{
    struct piecewise *reading = begin_pieces(&admin, STREAM "?from=earliest&property=k=v");
    (void)next_piece(reading);
    const char *text = next_piece(reading).body;
    assert_non_null(strstr(text, "id: 2\n"));
    assert_null(strstr(text, "id: 1\n"));
    assert_null(strstr(text, "id: 3\n"));
    end_pieces(reading);
    reading = begin_pieces(&admin, STREAM "?from=earliest&device=none");
    assert_string_equal(next_piece(reading).body, "retry: 1000\n: gemel\nid: 0\n\n");
    service_release_parked(world.service);
    struct answer last = next_piece(reading);
    assert_string_equal(last.body, ": the end\nid: 0\n\n");
    assert_false(last.more);
    end_pieces(reading);
}

static void it_ends_with_the_session_of_the_browser(void **state UNUSED)
{
    struct piecewise *reading = begin_pieces(&admin, STREAM);
    assert_true(next_piece(reading).more);
    assert_int_equal(browse(&admin, "DELETE", "/gemel/v1/session", NULL).status, 204);
    struct answer piece = next_piece(reading);
    assert_int_equal(piece.status, 401);
    assert_false(piece.more);
    end_pieces(reading);
}

static void what_it_does_not_know_is_refused_at_once(void **state UNUSED)
{
    assert_int_equal(browse(&admin, "GET", STREAM "?from=x", NULL).status, 400);
    assert_int_equal(browse(&admin, "GET", STREAM "?source=x", NULL).status, 400);
    assert_int_equal(browse(&admin, "GET", STREAM "?property=x", NULL).status, 400);
    assert_int_equal(
        ask_with(NULL, "hub.local", "GET", "/gemel/v1/events/stream", NULL, NULL).status, 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_with_events, close_with_events)
        TEST(it_begins_with_its_place_and_gives_the_events_of_the_pages),
        TEST(one_from_the_end_tells_where_that_was),
        TEST(what_is_filtered_out_is_not_looked_at_again),
        TEST(it_ends_with_the_session_of_the_browser),
        TEST(what_it_does_not_know_is_refused_at_once),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
