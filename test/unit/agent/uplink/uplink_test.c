/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink.h"

#include "mem.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_US ((int64_t)1000000)
#define KEY "MDEyMzQ1Njc4OWFiY2RlZg=="

static int64_t now_us;
static uint32_t jitter;

static int64_t fake_time(void *self UNUSED)
{
    return now_us;
}

static const struct clock fake_clock = {fake_time, fake_time, NULL};

static uint32_t fake_random(void)
{
    return jitter;
}

/* ---- a link that does what the test says ---- */

static struct {
    int connects;
    int keep_alive_s;
    int closes;
    int aborts;
    int subscribes;
    char uri[120];
    char password[300];
    char proxy[100];
    char topic[400];
    char body[100];
    enum err connect_error;
    struct link_event events[16];
    size_t first;
    size_t count;
} line;

static enum err fake_connect(void *self UNUSED, const struct link_target *target, struct why *why)
{
    line.connects++;
    line.keep_alive_s = target->keep_alive_s;
    snprintf(line.uri, sizeof(line.uri), "%s", target->uri);
    snprintf(line.proxy, sizeof(line.proxy), "%s", target->proxy == NULL ? "" : target->proxy);
    snprintf(line.password, sizeof(line.password), "%s", target->password);
    if (line.connect_error != ERR_NONE)
        why_set(why, "no");
    return line.connect_error;
}

static enum err fake_subscribe(
    void *self UNUSED, const char *const *filters, size_t count, struct why *why UNUSED)
{
    line.subscribes++;
    assert_int_equal(count, 2);
    assert_string_equal(filters[0], "$iothub/twin/res/#");
    assert_string_equal(filters[1], "$iothub/twin/PATCH/properties/desired/#");
    return ERR_NONE;
}

static enum err fake_publish(
    void *self UNUSED, const char *topic, struct span body, int qos UNUSED, int *ret_token)
{
    snprintf(line.topic, sizeof(line.topic), "%s", topic);
    snprintf(line.body, sizeof(line.body), "%.*s", SPAN_ARG(body));
    *ret_token = 7;
    return ERR_NONE;
}

static void fake_close(void *self UNUSED)
{
    line.closes++;
}

static void fake_abort(void *self UNUSED)
{
    line.aborts++;
}

static int fake_fd(void *self UNUSED)
{
    return -1;
}

static bool fake_take(void *self UNUSED, struct link_event *ret_event)
{
    if (line.count == 0)
        return false;
    *ret_event = line.events[line.first++];
    line.count--;
    return true;
}

/* ---- what the agent hears ---- */

static struct {
    int connected;
    int lost;
    int delivered;
    uint32_t request;
    int status;
    int64_t version;
    char body[100];
} heard;

static void on_connected(void *self UNUSED)
{
    heard.connected++;
}

static void on_lost(void *self UNUSED)
{
    heard.lost++;
}

static void on_answer(void *self UNUSED, uint32_t request, int status, struct span body)
{
    heard.request = request;
    heard.status = status;
    snprintf(heard.body, sizeof(heard.body), "%.*s", SPAN_ARG(body));
}

static void on_desired(void *self UNUSED, int64_t version, struct span patch)
{
    heard.version = version;
    snprintf(heard.body, sizeof(heard.body), "%.*s", SPAN_ARG(patch));
}

static void on_delivered(void *self UNUSED, int token)
{
    heard.delivered = token;
}

static char dir[64];
static struct uplink *uplink;

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_string(const char *text)
{
    write_file("connection_string.txt", text);
}

static struct uplink_options options_of_the_test(void)
{
    return (struct uplink_options){.clock = &fake_clock,
        .random = fake_random,
        .config_dir = dir,
        .agent_version = "1.0",
        .link = {fake_connect, fake_subscribe, fake_publish, fake_close, fake_abort, fake_fd,
            fake_take, NULL},
        .connected = on_connected,
        .lost = on_lost,
        .answer = on_answer,
        .desired = on_desired,
        .delivered = on_delivered};
}

static int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-uplink-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    memset(&line, 0, sizeof(line));
    memset(&heard, 0, sizeof(heard));
    now_us = 1700000000 * SECOND_US;
    jitter = 0;
    write_string("HostName=hub.local;DeviceId=d1;ModuleId=m1;SharedAccessKey=" KEY);
    struct uplink_options options = options_of_the_test();
    return uplink_new(&options, &uplink, NULL) == ERR_NONE ? 0 : -1;
}

static int tear_down(void **state UNUSED)
{
    char command[128];
    uplink_free(uplink);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static int64_t event(enum link_event_kind kind, int code, const char *text)
{
    line.first = 0;
    line.count = 1;
    line.events[0] = (struct link_event){.kind = kind, .code = code, .token = code};
    snprintf(line.events[0].text, sizeof(line.events[0].text), "%s", text);
    return uplink_run(uplink);
}

static void message(const char *topic, const char *body)
{
    line.first = 0;
    line.count = 1;
    line.events[0] = (struct link_event){
        .kind = LINK_MESSAGE, .topic = mem_text(span_of(topic)), .body = span_of(body)};
    assert_non_null(line.events[0].topic);
    uplink_run(uplink);
}

static void come_up(void)
{
    uplink_run(uplink);
    event(LINK_CONNECTED, 0, "");
    event(LINK_SUBSCRIBED, 0, "");
}

/* Waits as long as the uplink wants; returns how long that was. */
static int64_t wait_for_it(void)
{
    int64_t pause = uplink_run(uplink) - now_us;
    now_us += pause;
    uplink_run(uplink);
    return pause;
}

static bool status_has(const char *text)
{
    struct arena arena;
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    arena_init(&arena, 0);
    struct json *object = json_new(&arena, JSON_OBJECT);
    assert_int_equal(uplink_status(uplink, &arena, object), ERR_NONE);
    json_write(object, &out);
    arena_done(&arena);
    assert_null(strstr(out.ptr, KEY));
    return strstr(out.ptr, text) != NULL;
}

/* ---- tests ---- */

static void it_connects_subscribes_and_is_up(void **state UNUSED)
{
    uplink_run(uplink);
    assert_int_equal(line.connects, 1);
    assert_string_equal(line.uri, "ssl://hub.local:8883");
    assert_non_null(strstr(line.password, "se=1700003600"));
    event(LINK_CONNECTED, 0, "");
    assert_int_equal(line.subscribes, 1);
    assert_int_equal(heard.connected, 0);
    event(LINK_SUBSCRIBED, 0, "");
    assert_int_equal(heard.connected, 1);
    assert_true(status_has("\"connection\":\"connected\""));
}

static void nothing_is_sent_before_it_is_up(void **state UNUSED)
{
    int token;
    uplink_run(uplink);
    event(LINK_CONNECTED, 0, "");
    assert_int_equal(uplink_read_twin(uplink, 1), ERR_UNAVAILABLE);
    assert_int_equal(uplink_report(uplink, 1, SPAN_LIT("{}")), ERR_UNAVAILABLE);
    assert_int_equal(uplink_publish(uplink, "x", SPAN_LIT("{}"), &token), ERR_UNAVAILABLE);
    assert_string_equal(line.topic, "");
}

static void questions_and_events_go_to_the_hubs_topics(void **state UNUSED)
{
    int token = 0;
    come_up();
    assert_int_equal(uplink_read_twin(uplink, 4294967295u), ERR_NONE);
    assert_string_equal(line.topic, "$iothub/twin/GET/?$rid=4294967295");
    assert_int_equal(uplink_report(uplink, 2, SPAN_LIT("{\"a\":1}")), ERR_NONE);
    assert_string_equal(line.topic, "$iothub/twin/PATCH/properties/reported/?$rid=2");
    assert_string_equal(line.body, "{\"a\":1}");
    assert_int_equal(uplink_publish(uplink, "id-1", SPAN_LIT("{\"e\":1}"), &token), ERR_NONE);
    assert_string_equal(line.topic,
        "devices/d1/modules/m1/messages/events/%24.mid=id-1&%24.ct=application%2Fjson&%24.ce=utf-8&"
        "%24.ifid=urn%3Aazureiot%3ASecurity%3ASecurityAgent%3A1&mti=2.3-0-1-0");
    event(LINK_DELIVERED, token, "");
    assert_int_equal(heard.delivered, token);
}

static void answers_and_changes_are_handed_on(void **state UNUSED)
{
    come_up();
    message("$iothub/twin/res/204/?$rid=42&$version=9", "");
    assert_int_equal(heard.request, 42);
    assert_int_equal(heard.status, 204);
    message("$iothub/twin/PATCH/properties/desired/?$version=5", "{\"a\":1}");
    assert_int_equal(heard.version, 5);
    assert_string_equal(heard.body, "{\"a\":1}");
}

static void what_makes_no_sense_is_dropped(void **state UNUSED)
{
    static const char *const topics[] = {"", "foo", "$iothub/twin/res/",
        "$iothub/twin/res/abc/?$rid=1",
        "$iothub/twin/res/200/?$rid=", "$iothub/twin/res/200/?$rid=99999999999",
        "$iothub/twin/res/200/?$rid=x", "$iothub/twin/PATCH/properties/desired/",
        "$iothub/twin/PATCH/properties/desired/?$version=x", "$iothub/methods/POST/m/?$rid=1",
        "devices/other/messages/devicebound/a=b"};
    come_up();
    for (size_t i = 0; i < COUNT_OF(topics); i++) {
        message(topics[i], "body");
        assert_string_equal(heard.body, "");
    }
    assert_int_equal(heard.lost, 0);
}

static void pauses_grow_to_five_minutes_and_never_end(void **state UNUSED)
{
    int64_t last = 0;
    uplink_run(uplink);
    for (int i = 0; i < 30; i++) {
        event(LINK_REFUSED, -1, "TCP connect timeout");
        int connects = line.connects;
        int64_t pause = wait_for_it();
        assert_int_equal(line.connects, connects + 1);
        assert_true(pause >= last && pause <= 300 * SECOND_US);
        assert_true(i > 0 || pause <= SECOND_US);
        last = pause;
    }
    assert_int_equal(last, 150 * SECOND_US);
    jitter = 150u * 1000000u;
    event(LINK_REFUSED, -1, "");
    assert_int_equal(wait_for_it(), 300 * SECOND_US);
}

static void over_websocket_and_a_proxy_it_goes_where_the_settings_say(void **state UNUSED)
{
    static const struct {
        enum transport transport;
        const char *config;
        const char *uri;
        const char *proxy;
    } rows[] = {
        {TRANSPORT_MQTT, "", "ssl://hub.local:8883", ""},
        {TRANSPORT_AMQP, "", "ssl://hub.local:8883", ""},
        {TRANSPORT_MQTT_WEBSOCKET, "",
            "wss://hub.local:443/$iothub/websocket?iothub-no-client-cert=true", ""},
        {TRANSPORT_AMQP_WEBSOCKET, "10.0.0.1,3128",
            "wss://hub.local:443/$iothub/websocket?iothub-no-client-cert=true", "10.0.0.1:3128"},
        {TRANSPORT_MQTT, "proxy.local,80,an,pass,w@rd:%", "ssl://hub.local:8883",
            "an:pass%2Cw%40rd%3A%25@proxy.local:80"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct uplink_options options = options_of_the_test();
        char config[64];
        snprintf(config, sizeof(config), "%s", rows[i].config);
        options.transport = rows[i].transport;
        options.proxy = config;
        uplink_free(uplink);
        uplink = NULL;
        assert_int_equal(uplink_new(&options, &uplink, NULL), ERR_NONE);
        memset(config, 'x', sizeof(config) - 1);
        uplink_run(uplink);
        assert_string_equal(line.uri, rows[i].uri);
        assert_string_equal(line.proxy, rows[i].proxy);
        assert_false(status_has("w@rd"));
    }
}

static void a_renewed_file_is_used_without_a_restart(void **state UNUSED)
{
    come_up();
    uplink_look(uplink);
    assert_int_equal(line.closes, 0);
    write_string("HostName=other.local;DeviceId=d1;ModuleId=m1;SharedAccessKey=" KEY);
    uplink_look(uplink);
    assert_int_equal(line.closes, 1);
    event(LINK_CLOSED, 0, "");
    uplink_run(uplink);
    assert_string_equal(line.uri, "ssl://other.local:8883");
}

static void for_a_file_that_is_no_use_a_connection_is_not_given_up(void **state UNUSED)
{
    come_up();
    write_file("ca.pem", "half a fi");
    uplink_look(uplink);
    assert_int_equal(line.closes, 0);
    write_file("ca.pem", "-----BEGIN CERTIFICATE-----\n");
    uplink_look(uplink);
    assert_int_equal(line.closes, 1);
}

static void a_file_that_is_no_use_is_named(void **state UNUSED)
{
    write_file("ca.pem", "half a fi");
    uplink_run(uplink);
    assert_int_equal(line.connects, 0);
    assert_true(status_has("ca.pem is no PEM file"));
}

static void who_waits_because_he_was_refused_tries_a_new_key_at_once(void **state UNUSED)
{
    for (int i = 0; i < 12; i++) {
        uplink_run(uplink);
        event(LINK_REFUSED, 5, "");
        wait_for_it();
    }
    event(LINK_REFUSED, 5, "");
    uplink_look(uplink);
    assert_true(uplink_due(uplink) > now_us);
    write_string("HostName=hub.local;DeviceId=d1;ModuleId=m1;SharedAccessKey=" KEY "\n");
    uplink_look(uplink);
    assert_true(uplink_due(uplink) <= now_us);
}

static void refused_credentials_are_said_and_tried_slowly(void **state UNUSED)
{
    uplink_run(uplink);
    event(LINK_REFUSED, 5, "");
    assert_true(status_has("clock is right"));
    assert_true(status_has("device d1, module m1"));
    assert_true(wait_for_it() >= 5 * SECOND_US);
}

static void a_failure_to_connect_says_where_to_look(void **state UNUSED)
{
    static const struct {
        const char *said;
        const char *hint;
    } rows[] = {
        {"TLS: certificate verify failed", "is the CA of the hub in ca.pem"},
        {"TLS: certificate verify failed", "clock right (it says 20"},
        {"TLS: wrong version number", "is the port right"},
        {"TCP/TLS connect failure", "does its certificate bear this name"},
        {"TCP connect completion failure", "closed the connection before it answered"},
        {"", "does this name resolve"},
        {"something else", "something else\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uplink_run(uplink);
        event(LINK_REFUSED, -1, rows[i].said);
        if (!status_has(rows[i].hint))
            fail_msg("'%s' does not say: %s", rows[i].said, rows[i].hint);
        wait_for_it();
    }
}

static void of_two_hosts_on_the_way_the_one_that_did_not_answer_is_named(void **state UNUSED)
{
    struct uplink_options options = options_of_the_test();
    write_string("HostName=hub.local;DeviceId=d1;ModuleId=m1;SharedAccessKey=" KEY
                 ";GatewayHostName=gateway.local");
    uplink_free(uplink);
    uplink = NULL;
    assert_int_equal(uplink_new(&options, &uplink, NULL), ERR_NONE);
    uplink_run(uplink);
    event(LINK_REFUSED, -1, "");
    assert_true(status_has("no connection to gateway.local"));

    char config[] = "10.0.0.1,3128,an,password";
    options.proxy = config;
    uplink_free(uplink);
    uplink = NULL;
    assert_int_equal(uplink_new(&options, &uplink, NULL), ERR_NONE);
    uplink_run(uplink);
    event(LINK_REFUSED, -1, "TCP/TLS connect failure");
    assert_true(status_has("through the proxy 10.0.0.1:3128: TCP/TLS connect failure; does the"));
    wait_for_it();
    event(LINK_REFUSED, -1, "TLS: certificate verify failed");
    assert_true(status_has("is the CA of the hub in ca.pem"));
}

static void a_lost_connection_is_told_and_followed_by_another(void **state UNUSED)
{
    come_up();
    now_us += 100 * SECOND_US;
    event(LINK_LOST, 0, "");
    assert_int_equal(heard.lost, 1);
    assert_true(wait_for_it() <= SECOND_US);
    event(LINK_CONNECTED, 0, "");
    event(LINK_SUBSCRIBED, 0, "");
    assert_int_equal(heard.connected, 2);
}

static void connections_that_do_not_last_come_more_slowly(void **state UNUSED)
{
    int64_t pause = 0;
    come_up();
    for (int i = 0; i < 6; i++) {
        event(LINK_LOST, 0, "");
        pause = wait_for_it();
        event(LINK_CONNECTED, 0, "");
        event(LINK_SUBSCRIBED, 0, "");
    }
    assert_true(pause >= 2 * SECOND_US && pause <= 4 * SECOND_US);
    now_us += 61 * SECOND_US;
    event(LINK_LOST, 0, "");
    assert_true(wait_for_it() <= SECOND_US);
}

static void a_token_is_renewed_between_80_and_90_percent_of_its_life(void **state UNUSED)
{
    int64_t began = now_us;
    come_up();
    int64_t due = uplink_run(uplink);
    assert_int_equal(due - began, 2880 * SECOND_US);
    now_us = due;
    uplink_run(uplink);
    assert_int_equal(line.closes, 1);
    assert_int_equal(heard.lost, 1);
    event(LINK_CLOSED, 0, "");
    assert_int_equal(line.connects, 2);
    assert_non_null(strstr(line.password, "se=1700006480"));
    jitter = 360u * 1000000u;
    event(LINK_CONNECTED, 0, "");
    event(LINK_SUBSCRIBED, 0, "");
    assert_int_equal(uplink_run(uplink) - now_us, 3240 * SECOND_US);
}

static void before_a_renewal_what_is_on_its_way_arrives(void **state UNUSED)
{
    int token;
    come_up();
    assert_int_equal(uplink_publish(uplink, "a", SPAN_LIT("{}"), &token), ERR_NONE);
    now_us = uplink_run(uplink);
    uplink_run(uplink);
    assert_int_equal(line.closes, 0);
    assert_int_equal(uplink_publish(uplink, "b", SPAN_LIT("{}"), &token), ERR_UNAVAILABLE);
    event(LINK_DELIVERED, token, "");
    assert_int_equal(heard.delivered, token);
    assert_int_equal(line.closes, 1);
}

static void a_renewal_does_not_wait_for_ever(void **state UNUSED)
{
    int token;
    come_up();
    assert_int_equal(uplink_publish(uplink, "a", SPAN_LIT("{}"), &token), ERR_NONE);
    now_us = uplink_run(uplink);
    now_us = uplink_run(uplink);
    uplink_run(uplink);
    assert_int_equal(line.closes, 1);
    now_us = uplink_run(uplink);
    uplink_run(uplink);
    assert_int_equal(line.aborts, 1);
    uplink_run(uplink);
    assert_int_equal(line.connects, 2);
}

static void a_client_that_says_nothing_is_dropped(void **state UNUSED)
{
    now_us = uplink_run(uplink);
    uplink_run(uplink);
    assert_int_equal(line.aborts, 1);
    wait_for_it();
    assert_int_equal(line.connects, 2);
    event(LINK_CONNECTED, 0, "");
    now_us = uplink_run(uplink);
    uplink_run(uplink);
    assert_int_equal(line.closes, 1);
}

static void the_operator_sets_pauses_keep_alive_and_the_life_of_tokens(void **state UNUSED)
{
    struct uplink_options options = options_of_the_test();
    options.token_life_s = 600;
    options.keep_alive_s = 300;
    options.pause_first_us = 20 * SECOND_US;
    options.pause_longest_us = 70 * SECOND_US;
    uplink_free(uplink);
    assert_int_equal(uplink_new(&options, &uplink, NULL), ERR_NONE);
    uplink_run(uplink);
    assert_int_equal(line.keep_alive_s, 300);
    const int64_t longest_s[] = {20, 40, 70, 70};
    for (size_t i = 0; i < COUNT_OF(longest_s); i++) {
        event(LINK_REFUSED, 3, "");
        assert_int_equal(wait_for_it(), longest_s[i] * SECOND_US / 2);
    }
    event(LINK_CONNECTED, 0, "");
    event(LINK_SUBSCRIBED, 0, "");
    assert_int_equal(uplink_due(uplink) - now_us, 480 * SECOND_US);
}

static void a_refused_subscription_means_connecting_anew_after_a_pause(void **state UNUSED)
{
    uplink_run(uplink);
    event(LINK_CONNECTED, 0, "");
    event(LINK_UNUSABLE, 0, "refused");
    assert_int_equal(line.closes, 1);
    event(LINK_CLOSED, 0, "");
    assert_int_equal(line.connects, 1);
    wait_for_it();
    assert_int_equal(line.connects, 2);
}

static void a_changed_connection_string_counts_at_the_next_connection(void **state UNUSED)
{
    come_up();
    write_string("HostName=other.local:99;DeviceId=d2;ModuleId=m1;SharedAccessKey=" KEY);
    event(LINK_LOST, 0, "");
    wait_for_it();
    assert_string_equal(line.uri, "ssl://other.local:99");
    write_string("nonsense");
    event(LINK_REFUSED, -1, "");
    wait_for_it();
    assert_string_equal(line.uri, "ssl://other.local:99");
}

static void a_link_that_cannot_even_begin_is_tried_again(void **state UNUSED)
{
    line.connect_error = ERR_UNAVAILABLE;
    uplink_run(uplink);
    line.connect_error = ERR_NONE;
    wait_for_it();
    assert_int_equal(line.connects, 2);
}

static void events_of_another_time_are_passed_over(void **state UNUSED)
{
    const enum link_event_kind kinds[] = {LINK_CONNECTED, LINK_REFUSED, LINK_SUBSCRIBED,
        LINK_UNUSABLE, LINK_DELIVERED, LINK_LOST, LINK_CLOSED};
    uplink_run(uplink);
    event(LINK_REFUSED, -1, "");
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        event(kinds[i], 0, "");
    message("$iothub/twin/res/200/?$rid=1", "{}");
    assert_int_equal(line.connects, 1);
    assert_int_equal(heard.connected + heard.lost + heard.delivered + (int)heard.request, 0);
}

static void it_stops_from_every_state(void **state UNUSED)
{
    for (int step = 0; step < 4; step++) {
        if (step > 0)
            uplink_run(uplink);
        if (step > 1)
            event(LINK_CONNECTED, 0, "");
        if (step > 2)
            event(LINK_SUBSCRIBED, 0, "");
        uplink_stop(uplink);
        if (step > 0)
            event(LINK_CLOSED, 0, "");
        assert_true(uplink_stopped(uplink));
        assert_int_equal(uplink_run(uplink), INT64_MAX);
        tear_down(NULL);
        set_up(NULL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(it_connects_subscribes_and_is_up),
        TEST(nothing_is_sent_before_it_is_up), TEST(questions_and_events_go_to_the_hubs_topics),
        TEST(answers_and_changes_are_handed_on), TEST(what_makes_no_sense_is_dropped),
        TEST(pauses_grow_to_five_minutes_and_never_end),
        TEST(over_websocket_and_a_proxy_it_goes_where_the_settings_say),
        TEST(a_renewed_file_is_used_without_a_restart),
        TEST(for_a_file_that_is_no_use_a_connection_is_not_given_up),
        TEST(a_file_that_is_no_use_is_named),
        TEST(who_waits_because_he_was_refused_tries_a_new_key_at_once),
        TEST(refused_credentials_are_said_and_tried_slowly),
        TEST(a_failure_to_connect_says_where_to_look),
        TEST(of_two_hosts_on_the_way_the_one_that_did_not_answer_is_named),
        TEST(a_lost_connection_is_told_and_followed_by_another),
        TEST(connections_that_do_not_last_come_more_slowly),
        TEST(a_token_is_renewed_between_80_and_90_percent_of_its_life),
        TEST(before_a_renewal_what_is_on_its_way_arrives), TEST(a_renewal_does_not_wait_for_ever),
        TEST(a_client_that_says_nothing_is_dropped),
        TEST(the_operator_sets_pauses_keep_alive_and_the_life_of_tokens),
        TEST(a_refused_subscription_means_connecting_anew_after_a_pause),
        TEST(a_changed_connection_string_counts_at_the_next_connection),
        TEST(a_link_that_cannot_even_begin_is_tried_again),
        TEST(events_of_another_time_are_passed_over), TEST(it_stops_from_every_state)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
