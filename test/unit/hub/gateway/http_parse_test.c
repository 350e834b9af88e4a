/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"
#include "http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define LIMIT 4096

static struct http_request parsed(const char *text)
{
    struct http_request request;
    struct http_fault fault = {0};
    assert_int_equal(http_parse_head(span_of(text), LIMIT, &request, &fault), ERR_NONE);
    return request;
}

static void a_target_comes_out_as_it_was_sent(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *path;
        const char *query;
        const char *host;
    } rows[] = {
        {"/twins/a%23b%23c%3Fd+e;f?api-version=1", "/twins/a%23b%23c%3Fd+e;f", "api-version=1",
            "h"},
        {"/a//b/./c/../d%2fe%2Fg", "/a//b/./c/../d%2fe%2Fg", "", "h"},
        {"/?", "/", "", "h"},
        {"/x?a=?&b=%41", "/x", "a=?&b=%41", "h"},
        {"*", "*", "", "h"},
        {"https://other:443/p?q", "/p", "q", "other:443"},
        {"HTTPS://other", "/", "", "other"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[300];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].target);
        struct http_request request = parsed(text);
        assert_true(span_is(request.path, rows[i].path));
        assert_true(span_is(request.query, rows[i].query));
        assert_true(span_is(request.host, rows[i].host));
        assert_int_equal(request.head_bytes, strlen(text));
    }
}

static void headers_are_found_in_any_case_and_trimmed(void **state)
{
    (void)state;
    struct http_request request = parsed("PATCH /p HTTP/1.1\r\nHOST:h\r\nIf-Match: \t\"*\" \t\r\n"
                                         "x-MS-max-item-count:5\r\nEmpty:\r\n\r\nrest");
    assert_true(span_is(request.method, "PATCH"));
    assert_true(span_is(http_find_header(&request, "if-match"), "\"*\""));
    assert_true(span_is(http_find_header(&request, "x-ms-max-item-count"), "5"));
    assert_int_equal(http_find_header(&request, "empty").len, 0);
    assert_int_equal(http_find_header(&request, "absent").len, 0);
}

static void empty_lines_before_a_request_are_passed_over(void **state)
{
    (void)state;
    struct http_request request = parsed("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(span_is(request.method, "GET"));
    assert_int_equal(request.head_bytes, 4 + strlen("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
}

static void whether_the_connection_stays_follows_version_and_header(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool stays;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: a , Close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(parsed(rows[i].text).keep_alive, rows[i].stays);
    assert_true(span_is(
        parsed("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .upgrade,
        "websocket"));
}

static void a_body_is_told_by_length_or_by_chunks(void **state)
{
    (void)state;
    assert_int_equal(
        parsed("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n").content_length, 12);
    assert_true(parsed("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n").chunked);
    struct http_request request =
        parsed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
    assert_true(request.expects_continue);
}

static void what_is_no_request_is_refused_with_its_status(void **state)
{
    (void)state;
#define H "Host: h\r\n"
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"\x16\x03\x01\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / FTP/1.1\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
        {"G(T / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET x HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http://h/ HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /\x7f HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/2.0\r\n" H "\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/1.1\n" H "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A : b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H " folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "noColon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A: b\rc\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A: \x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Authorization: a\r\nauthorization: b\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
        {"PUT / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"PUT / HTTP/1.1\r\n" H "Expect: tea\r\n\r\n", 417},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_request request = {.minor = 77};
        struct http_fault fault = {0};
        enum err err = http_parse_head(span_of(rows[i].text), LIMIT, &request, &fault);
        if (err != ERR_FORMAT || fault.status != rows[i].status)
            fail_msg("%s: %d, status %d", rows[i].text, (int)err, fault.status);
        assert_int_equal(request.minor, 77);
        assert_true(fault.why.text[0] != '\0');
    }
}

static void every_beginning_of_a_head_asks_for_more(void **state)
{
    (void)state;
    static const char text[] = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
    struct http_request request;
    struct http_fault fault;
    for (size_t len = 0; len < sizeof text - 1; len++)
        assert_int_equal(
            http_parse_head((struct span){text, len}, LIMIT, &request, &fault), ERR_AGAIN);
    parsed(text);
}

static void a_head_past_the_limits_is_refused_with_431(void **state)
{
    (void)state;
    struct http_request request;
    struct http_fault fault;
    char text[LIMIT + 200];
    int len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
    memset(text + len, 'x', sizeof text - (size_t)len);
    assert_int_equal(
        http_parse_head((struct span){text, LIMIT - 1}, LIMIT, &request, &fault), ERR_AGAIN);
    assert_int_equal(
        http_parse_head((struct span){text, LIMIT}, LIMIT, &request, &fault), ERR_FORMAT);
    assert_int_equal(fault.status, 431);

    struct buf many = BUF_EMPTY;
    buf_add_text(&many, "GET / HTTP/1.1\r\n");
    for (int i = 0; i <= HTTP_HEADERS_MAX; i++)
        buf_add_text(&many, "a: b\r\n");
    fault.status = 0;
    assert_int_equal(http_parse_head(buf_span(&many), LIMIT, &request, &fault), ERR_FORMAT);
    assert_int_equal(fault.status, 431);
    buf_done(&many);
}

/* Reads a body handed in in pieces of `step` bytes; returns the error, or ERR_NONE when done. */
static enum err read_chunks(const char *text, size_t step, struct buf *out, size_t *ret_used)
{
    struct http_chunks chunks = {0};
    struct span all = span_of(text);
    size_t at = 0;
    while (at < all.len) {
        struct span input = span_first(span_from(all, at), step), piece;
        size_t given = input.len;
        enum err err;
        while ((err = http_read_chunk(&chunks, &input, &piece)) == ERR_NONE && !chunks.done)
            buf_add(out, piece);
        at += given - input.len;
        *ret_used = at;
        if (chunks.done || err == ERR_FORMAT)
            return err;
    }
    return ERR_AGAIN;
}

static void chunks_are_joined_however_they_are_cut(void **state)
{
    (void)state;
    static const char text[] = "5\r\nhello\r\n1;a=\"b\"\r\n \r\n00a \r\nworld, bye\r\n0;x\r\n"
                               "Trailer: t\r\n\r\nGET / next";
    for (size_t step = 1; step < sizeof text; step++) {
        struct buf out = BUF_EMPTY;
        size_t used = 0;
        assert_int_equal(read_chunks(text, step, &out, &used), ERR_NONE);
        assert_true(span_is(buf_span(&out), "hello world, bye"));
        assert_string_equal(text + used, "GET / next");
        buf_done(&out);
    }
}

static void malformed_chunks_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "5\nhello",
        "5\rhello",
        "5\r\nhelloX\r\n",
        "5\r\nhello\rX",
        "1234567890123456\r\n",
        "0\r\nTrailer\n\r\n",
        "0\r\n\rX",
        "1;ext\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_EMPTY;
        size_t used = 0;
        if (read_chunks(rows[i], 100, &out, &used) != ERR_FORMAT)
            fail_msg("accepted: %s", rows[i]);
        buf_done(&out);
    }
}

static void endless_trailers_are_refused(void **state)
{
    (void)state;
    struct buf text = BUF_EMPTY, out = BUF_EMPTY;
    size_t used = 0;
    buf_add_text(&text, "0\r\n");
    for (int i = 0; i < 2000; i++)
        buf_add_text(&text, "a: b\r\n");
    assert_int_equal(read_chunks(text.ptr, 1000, &out, &used), ERR_FORMAT);
    buf_done(&text);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_comes_out_as_it_was_sent),
        cmocka_unit_test(headers_are_found_in_any_case_and_trimmed),
        cmocka_unit_test(empty_lines_before_a_request_are_passed_over),
        cmocka_unit_test(whether_the_connection_stays_follows_version_and_header),
        cmocka_unit_test(a_body_is_told_by_length_or_by_chunks),
        cmocka_unit_test(what_is_no_request_is_refused_with_its_status),
        cmocka_unit_test(every_beginning_of_a_head_asks_for_more),
        cmocka_unit_test(a_head_past_the_limits_is_refused_with_431),
        cmocka_unit_test(chunks_are_joined_however_they_are_cut),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(endless_trailers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
