/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of remote.h on a real socket, with a link of the test's own behind the server. */
#include "remote.h"

#include "mem.h"
#include "remote_frame.h"
#include "remote_stream.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[40];
static char path[100];
static struct remote *remote;
static struct remote_server *server;
static struct link_driver agent; /* what the uplink would use */

/* ---- the link behind the server ---- */

static struct {
    int connects, closes, aborts, subscribes, publishes;
    char target[600];
    char filters[200];
    char topic[100];
    struct buf body;
    int qos;
    int next_token;
    enum err connect_error;
    struct link_event events[300];
    size_t first, count;
} line;

static const char *shown(const char *text)
{
    return text == NULL ? "-" : text;
}

/* What is in the file; a text that lasts until the next one. */
static const char *content(const char *file_path)
{
    static char text[3][100];
    static size_t at;
    char *into = text[at++ % COUNT_OF(text)];
    if (file_path == NULL)
        return "-";
    FILE *file = fopen(file_path, "r");
    assert_non_null(file);
    into[fread(into, 1, sizeof(text[0]) - 1, file)] = '\0';
    fclose(file);
    return into;
}

static enum err line_connect(void *self UNUSED, const struct link_target *target, struct why *why)
{
    line.connects++;
    snprintf(line.target, sizeof(line.target), "%s|%s|%s|%s|%s|%s|%s|%s|%d", target->uri,
        target->client_id, target->username, shown(target->password), content(target->ca_file),
        content(target->certificate_file), content(target->key_file), shown(target->proxy),
        target->keep_alive_s);
    if (line.connect_error != ERR_NONE)
        why_set(why, "not today");
    return line.connect_error;
}

static enum err line_subscribe(
    void *self UNUSED, const char *const *filters, size_t count, struct why *why UNUSED)
{
    line.subscribes++;
    line.filters[0] = '\0';
    for (size_t i = 0; i < count; i++)
        snprintf(line.filters + strlen(line.filters), sizeof(line.filters) - strlen(line.filters),
            "%s ", filters[i]);
    return ERR_NONE;
}

static enum err line_publish(
    void *self UNUSED, const char *topic, struct span body, int qos, int *ret_token)
{
    line.publishes++;
    snprintf(line.topic, sizeof(line.topic), "%s", topic);
    buf_clear(&line.body);
    buf_add(&line.body, body);
    line.qos = qos;
    *ret_token = line.next_token++;
    return ERR_NONE;
}

static void line_close(void *self UNUSED)
{
    line.closes++;
}

static void line_abort(void *self UNUSED)
{
    line.aborts++;
    line.count = 0;
}

static int line_fd(void *self UNUSED)
{
    return -1;
}

static bool line_take(void *self UNUSED, struct link_event *ret_event)
{
    if (line.count == 0)
        return false;
    *ret_event = line.events[line.first++];
    line.count--;
    return true;
}

static void happens(enum link_event_kind kind, int code, int token, const char *text)
{
    if (line.count == 0)
        line.first = 0;
    struct link_event *event = &line.events[line.first + line.count++];
    *event = (struct link_event){.kind = kind, .code = code, .token = token};
    snprintf(event->text, sizeof(event->text), "%s", text);
}

static const struct link_driver line_driver = {
    line_connect, line_subscribe, line_publish, line_close, line_abort, line_fd, line_take, NULL};

static char ca_path[100];
static const struct link_target target = {.uri = "ssl://h:1",
    .client_id = "d/m",
    .username = "h/d/m",
    .password = "secret",
    .ca_file = ca_path,
    .keep_alive_s = 60};

static int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-remote-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/link.sock", dir);
    snprintf(ca_path, sizeof(ca_path), "%s/ca.pem", dir);
    FILE *file = fopen(ca_path, "w");
    assert_non_null(file);
    fputs("of the CA", file);
    fclose(file);
    memset(&line, 0, sizeof(line));
    line.next_token = 77;
    assert_int_equal(remote_server_new(path, line_driver, &server, NULL), ERR_NONE);
    assert_int_equal(remote_new(path, &remote, NULL), ERR_NONE);
    agent = remote_link(remote);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    remote_free(remote);
    remote_server_free(server);
    buf_done(&line.body);
    unlink(ca_path);
    rmdir(dir);
    return 0;
}

/* The next event at the agent's side; the kind of it, or -1. */
static struct link_event event;

static int next(void)
{
    if (server != NULL)
        remote_server_run(server);
    return agent.take(agent.self, &event) ? (int)event.kind : -1;
}

static void come_up(void)
{
    const char *const filters[] = {"a/#", "b/#"};
    assert_int_equal(agent.connect(agent.self, &target, NULL), ERR_NONE);
    assert_int_equal(next(), -1);
    happens(LINK_CONNECTED, 0, 0, "");
    assert_int_equal(next(), LINK_CONNECTED);
    assert_int_equal(agent.subscribe(agent.self, filters, 2, NULL), ERR_NONE);
    assert_int_equal(next(), -1);
    happens(LINK_SUBSCRIBED, 0, 0, "");
    assert_int_equal(next(), LINK_SUBSCRIBED);
}

/* ---- tests ---- */

static void what_is_told_arrives_as_it_was(void **state UNUSED)
{
    come_up();
    assert_string_equal(line.target, "ssl://h:1|d/m|h/d/m|secret|of the CA|-|-|-|60");
    assert_string_equal(line.filters, "a/# b/# ");
    assert_true(agent.fd(agent.self) >= 0);

    int token = 0;
    assert_int_equal(agent.publish(agent.self, "t/1", SPAN_LIT("body"), 1, &token), ERR_NONE);
    next();
    assert_string_equal(line.topic, "t/1");
    assert_true(span_is(buf_span(&line.body), "body"));
    assert_int_equal(line.qos, 1);
    happens(LINK_DELIVERED, 0, 77, "");
    assert_int_equal(next(), LINK_DELIVERED);
    assert_int_equal(event.token, token);
    happens(LINK_DELIVERED, 0, 77, ""); /* once more: nobody waits for it */
    assert_int_equal(next(), -1);

    assert_int_equal(agent.publish(agent.self, "t/2", SPAN_LIT(""), 0, &token), ERR_NONE);
    next();
    assert_int_equal(line.body.len, 0);

    agent.close(agent.self);
    next();
    assert_int_equal(line.closes, 1);
    happens(LINK_CLOSED, 0, 0, "");
    assert_int_equal(next(), LINK_CLOSED);
}

static void what_is_in_files_goes_over_not_their_paths(void **state UNUSED)
{
    struct link_target by_certificate = target;
    struct why why = {""};
    by_certificate.password = NULL;
    by_certificate.certificate_file = by_certificate.key_file = ca_path;
    assert_int_equal(agent.connect(agent.self, &by_certificate, NULL), ERR_NONE);
    next();
    assert_string_equal(line.target, "ssl://h:1|d/m|h/d/m|-|of the CA|of the CA|of the CA|-|60");

    assert_int_equal(unlink(ca_path), 0);
    assert_int_equal(agent.connect(agent.self, &by_certificate, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "ca.pem: No such file"));
    assert_int_equal(next(), -1);
    assert_int_equal(line.connects, 1);
}

static void a_message_comes_with_topic_and_body_up_to_the_largest(void **state UNUSED)
{
    static const size_t sizes[] = {0, 1, 100, 262144, 1048576};
    come_up();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *memory = mem_alloc(6 + sizes[i]);
        memcpy(memory, "topic", 6);
        memset(memory + 6, 'x', sizes[i]);
        happens(LINK_MESSAGE, 0, 0, "");
        line.events[line.first].topic = memory;
        line.events[line.first].body = (struct span){memory + 6, sizes[i]};
        int kind = -1;
        /* The socket's buffer holds less than the largest: the server waits for us to read. */
        pid_t child = fork();
        if (child == 0) {
            remote_server_run(server);
            _exit(0);
        }
        struct remote_server *its = server;
        server = NULL;
        for (int tries = 0; kind < 0 && tries < 5000; tries++, usleep(1000))
            kind = next();
        server = its;
        assert_int_equal(kind, LINK_MESSAGE);
        assert_string_equal(event.topic, "topic");
        assert_int_equal(event.body.len, sizes[i]);
        assert_true(sizes[i] == 0 || event.body.ptr[sizes[i] - 1] == 'x');
        mem_free(event.topic);
        mem_free(memory);
        line.count = 0;
        waitpid(child, NULL, 0);
    }
}

static void a_refusal_comes_with_its_code_and_text(void **state UNUSED)
{
    assert_int_equal(agent.connect(agent.self, &target, NULL), ERR_NONE);
    next();
    happens(LINK_REFUSED, 5, 0, "no such device");
    assert_int_equal(next(), LINK_REFUSED);
    assert_int_equal(event.code, 5);
    assert_string_equal(event.text, "no such device");
    line.connect_error = ERR_UNAVAILABLE;
    assert_int_equal(agent.connect(agent.self, &target, NULL), ERR_NONE);
    assert_int_equal(next(), LINK_REFUSED);
    assert_string_equal(event.text, "not today");
}

static void what_belongs_to_a_connection_that_was_dropped_is_not_told(void **state UNUSED)
{
    come_up();
    happens(LINK_LOST, 0, 0, "late");
    remote_server_run(server);
    agent.abort(agent.self);
    assert_int_equal(next(), -1);
    assert_int_equal(line.aborts, 1);
    come_up();
}

static void without_the_process_connecting_says_so_and_a_later_one_is_found(void **state UNUSED)
{
    struct why why = {""};
    remote_server_free(server);
    server = NULL;
    assert_int_equal(agent.connect(agent.self, &target, &why), ERR_UNAVAILABLE);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(remote_server_new(path, line_driver, &server, NULL), ERR_NONE);
    come_up();
}

static void a_process_that_ends_is_a_lost_connection_told_once(void **state UNUSED)
{
    come_up();
    remote_server_free(server);
    server = NULL;
    assert_int_equal(next(), LINK_LOST);
    assert_non_null(strstr(event.text, "ended"));
    assert_int_equal(next(), -1);
    int token;
    assert_int_equal(agent.publish(agent.self, "t", SPAN_LIT("x"), 1, &token), ERR_UNAVAILABLE);
    agent.close(agent.self);
    assert_int_equal(next(), LINK_CLOSED);

    assert_int_equal(remote_server_new(path, line_driver, &server, NULL), ERR_NONE);
    assert_int_equal(agent.connect(agent.self, &target, NULL), ERR_NONE);
    next();
    remote_server_free(server);
    server = NULL;
    assert_int_equal(next(), LINK_REFUSED);
    assert_int_equal(remote_server_new(path, line_driver, &server, NULL), ERR_NONE);
}

static void a_new_agent_takes_the_place_of_the_old(void **state UNUSED)
{
    struct remote *newer;
    come_up();
    assert_int_equal(remote_new(path, &newer, NULL), ERR_NONE);
    struct link_driver its = remote_link(newer);
    assert_int_equal(its.connect(its.self, &target, NULL), ERR_NONE);
    assert_int_equal(next(), LINK_LOST);
    assert_int_equal(line.aborts, 1);
    assert_int_equal(line.connects, 2);
    remote_free(newer);
}

static int raw_connection(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Whatever bytes come, and wherever they end, the server gives up that agent and serves the next.
 */
static void nonsense_ends_that_agent_only(void **state UNUSED)
{
    static const unsigned char frames[][16] = {{0, 0, 0, 0}, {5, 0, 0, 0, 200, 0, 0, 0, 0},
        {255, 255, 255, 255, 1}, {5, 0, 0, 0, 0, 0, 0, 0, 0},
        {9, 0, 0, 0, 0, 0, 0, 0, 0, 250, 255, 255, 255}, {9, 0, 0, 0, 1, 0, 0, 0, 0, 99, 0, 0, 0},
        {9, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0}, {5, 0, 0, 0, 5, 0, 0, 0, 0}};
    static const size_t sizes[] = {4, 9, 5, 9, 13, 13, 13, 9};
    char byte;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        int fd = raw_connection();
        assert_int_equal(send(fd, frames[i], sizes[i], 0), sizes[i]);
        remote_server_run(server);
        assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
        close(fd);
    }
    srandom(7);
    for (int i = 0; i < 2000; i++) {
        unsigned char bytes[64];
        for (size_t j = 0; j < sizeof(bytes); j++)
            bytes[j] = (unsigned char)random();
        memset(bytes + 1, 0, 3);
        bytes[4] = (unsigned char)(random() % 8);
        int fd = raw_connection();
        (void)!send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        remote_server_run(server);
        close(fd);
    }
    remote_server_run(server);
    line.connects = 0;
    come_up();
}

static void nonsense_from_the_process_is_a_lost_connection(void **state UNUSED)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    remote_server_free(server);
    server = NULL;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(agent.connect(agent.self, &target, NULL), ERR_NONE);
    int fd = accept(listener, NULL, NULL);
    assert_int_equal(send(fd, "\xff\xff\xff\xff", 4, 0), 4);
    assert_int_equal(next(), LINK_REFUSED);
    close(fd);
    close(listener);
    unlink(path);
}

static void a_path_that_no_socket_can_have_is_refused(void **state UNUSED)
{
    char name[200];
    struct remote *other;
    struct remote_server *its;
    struct why why = {""};
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(remote_new(name, &other, &why), ERR_ARGUMENT);
    assert_int_equal(remote_server_new(name, line_driver, &its, &why), ERR_ARGUMENT);
    assert_int_equal(remote_server_new("/nowhere/x", line_driver, &its, &why), ERR_IO);
    assert_non_null(strstr(why.text, "/nowhere/x"));
}

static void the_room_of_a_large_frame_is_not_kept(void **state UNUSED)
{
    int ends[2];
    struct remote_stream from, to;
    struct buf sent = BUF_EMPTY;
    static char body[200000];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    remote_stream_open(&from, ends[0]);
    remote_stream_open(&to, ends[1]);
    size_t at = remote_begin(&sent, REMOTE_PUBLISH, 1);
    remote_add_text(&sent, (struct span){body, sizeof(body)});
    remote_end(&sent, at);
    for (size_t done = 0; done < sent.len;) { /* no more at once than the socket holds */
        struct span piece = span_first(span_from(buf_span(&sent), done), 8000);
        struct remote_frame frame;
        struct span text;
        assert_int_equal(remote_stream_send(&from, piece), ERR_NONE);
        done += piece.len;
        enum err err = remote_stream_next(&to, &frame);
        assert_int_equal(err, done < sent.len ? ERR_NOT_FOUND : ERR_NONE);
        if (err == ERR_NONE)
            assert_true(remote_text(&frame, &text) && text.len == sizeof(body));
    }
    struct remote_frame none;
    assert_int_equal(remote_stream_next(&to, &none), ERR_NOT_FOUND);
    assert_in_range(to.in.cap, 0, REMOTE_ROOM_KEPT);
    buf_done(&sent);
    remote_stream_close(&from);
    remote_stream_close(&to);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(what_is_told_arrives_as_it_was),
        TEST(what_is_in_files_goes_over_not_their_paths),
        TEST(a_message_comes_with_topic_and_body_up_to_the_largest),
        TEST(a_refusal_comes_with_its_code_and_text),
        TEST(what_belongs_to_a_connection_that_was_dropped_is_not_told),
        TEST(without_the_process_connecting_says_so_and_a_later_one_is_found),
        TEST(a_process_that_ends_is_a_lost_connection_told_once),
        TEST(a_new_agent_takes_the_place_of_the_old), TEST(nonsense_ends_that_agent_only),
        TEST(nonsense_from_the_process_is_a_lost_connection),
        TEST(a_path_that_no_socket_can_have_is_refused),
        TEST(the_room_of_a_large_frame_is_not_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
