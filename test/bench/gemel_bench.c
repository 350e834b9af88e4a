/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemel-bench: loads a hub, or any MQTT broker beside it, over TLS and prints one JSON object.
 *
 *   gemel-bench idle      opens every connection, prints a line, holds them until standard input
 * ends gemel-bench echo      one QoS 1 message at a time on a topic that the peer subscribes
 * itself: the round trip through a broker gemel-bench puback    one QoS 1 event at a time until its
 * PUBACK gemel-bench reported  every peer patches its reported section, one request at a time
 *
 * Peers come from a file: client id TAB user name TAB password.
 */
#include "peer.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct load {
    const struct load_kind *kind;
    double seconds;
    const char *topic;
    uint64_t *samples_ns;
    size_t sample_count;
    size_t sample_room;
    uint64_t begun_ns; /* when all were online; 0: not yet */
};

struct load_kind {
    const char *name;
    void (*send)(struct peer *peer);
    bool (*is_answer)(const struct mqtt_packet *packet);
    const char *subscribe; /* a filter; NULL: nothing; "": the topic itself */
};

static struct load *load_of(struct peer *peer)
{
    return peer->swarm->self;
}

static void publish(struct peer *peer, struct span topic, struct span payload, unsigned qos)
{
    struct mqtt_publish packet = {.topic = topic,
        .payload = payload,
        .qos = qos,
        .packet_id = qos == 0 ? (uint16_t)0 : (uint16_t)(peer->requests % 65535u + 1u)};
    mqtt_write_publish(&peer->out, &packet);
    peer_send(peer);
}

static void send_event(struct peer *peer)
{
    publish(peer, span_of(load_of(peer)->topic), SPAN_LIT("{\"value\":12345}"), 1);
}

static void send_reported(struct peer *peer)
{
    char topic[96];
    char payload[96];
    snprintf(
        topic, sizeof(topic), "$iothub/twin/PATCH/properties/reported/?$rid=%u", peer->requests);
    snprintf(payload, sizeof(payload), "{\"counter\":%u,\"state\":\"running\"}", peer->requests);
    publish(peer, span_of(topic), span_of(payload), 0);
}

static bool is_publish(const struct mqtt_packet *packet)
{
    return packet->kind == MQTT_PUBLISH;
}

static bool is_puback(const struct mqtt_packet *packet)
{
    return packet->kind == MQTT_PUBACK;
}

static bool is_accepted(const struct mqtt_packet *packet)
{
    return packet->kind == MQTT_PUBLISH &&
           span_starts(packet->publish.topic, SPAN_LIT("$iothub/twin/res/204/"));
}

static const struct load_kind kinds[] = {
    {"idle", NULL, NULL, NULL},
    {"echo", send_event, is_publish, ""},
    {"puback", send_event, is_puback, NULL},
    {"reported", send_reported, is_accepted, "$iothub/twin/res/#"},
};

static void next_request(struct peer *peer)
{
    peer->requests++;
    peer->started_ns = bench_now_ns();
    load_of(peer)->kind->send(peer);
}

static void subscribe(struct peer *peer, const char *filter)
{
    struct mqtt_filter one = {
        .filter = span_of(filter[0] == '\0' ? load_of(peer)->topic : filter), .qos = 1};
    mqtt_write_subscribe(&peer->out, 1, &one, 1);
    peer_send(peer);
}

static void take_sample(struct load *load, uint64_t sample_ns)
{
    if (load->sample_count == load->sample_room) {
        load->sample_room = load->sample_room == 0 ? 4096 : load->sample_room * 2;
        load->samples_ns = mem_resize(load->samples_ns, load->sample_room * sizeof(uint64_t));
        must(load->samples_ns != NULL);
    }
    load->samples_ns[load->sample_count++] = sample_ns;
}

/* QoS 1 from the broker wants its PUBACK, else a broker stops after its window. */
static void acknowledge(struct peer *peer, const struct mqtt_packet *packet)
{
    if (packet->kind != MQTT_PUBLISH || packet->publish.qos == 0)
        return;
    mqtt_write_ack(&peer->out, MQTT_PUBACK, packet->publish.packet_id);
    peer_send(peer);
}

static void on_packet(struct peer *peer, const struct mqtt_packet *packet)
{
    struct load *load = load_of(peer);
    const struct load_kind *kind = load->kind;
    if (kind->send == NULL)
        return;
    if (packet == NULL && kind->subscribe != NULL) {
        subscribe(peer, kind->subscribe);
        return;
    }
    if (packet == NULL || packet->kind == MQTT_SUBACK) {
        next_request(peer);
        return;
    }
    acknowledge(peer, packet);
    if (!kind->is_answer(packet))
        return;
    if (load->begun_ns != 0)
        take_sample(load, bench_now_ns() - peer->started_ns);
    next_request(peer);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile_us(const struct load *load, double part)
{
    size_t at = (size_t)((double)(load->sample_count - 1) * part);
    return (double)load->samples_ns[at] / 1000.0;
}

static int report(struct load *load, const struct swarm *swarm, double seconds)
{
    if (load->sample_count == 0) {
        fprintf(stderr, "gemel-bench: no answer came\n");
        return 1;
    }
    qsort(load->samples_ns, load->sample_count, sizeof(uint64_t), by_size);
    printf("{\"load\":\"%s\",\"peers\":%zu,\"failed\":%zu,\"answers\":%zu,\"perSecond\":%.1f,"
           "\"medianUs\":%.1f,\"p99Us\":%.1f}\n",
        load->kind->name, swarm->count, swarm->failed, load->sample_count,
        (double)load->sample_count / seconds, percentile_us(load, 0.5), percentile_us(load, 0.99));
    return swarm->failed == 0 ? 0 : 1;
}

static int hold(struct swarm *swarm)
{
    while (swarm->online + swarm->failed < swarm->count)
        swarm_run(swarm, 100);
    printf("{\"load\":\"idle\",\"peers\":%zu,\"failed\":%zu}\n", swarm->count, swarm->failed);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return swarm->failed == 0 ? 0 : 1;
}

static int measure(struct swarm *swarm, struct load *load)
{
    while (swarm->online + swarm->failed < swarm->count)
        swarm_run(swarm, 100);
    load->begun_ns = bench_now_ns();
    uint64_t end_ns = load->begun_ns + (uint64_t)(load->seconds * 1e9);
    while (bench_now_ns() < end_ns && swarm->online > 0)
        swarm_run(swarm, 50);
    return report(load, swarm, (double)(bench_now_ns() - load->begun_ns) / 1e9);
}

static int usage(void)
{
    fprintf(stderr,
        "usage: gemel-bench idle|echo|puback|reported --peers FILE --ca FILE [--host localhost]\n"
        "                   [--port 8883] [--seconds 5] [--topic TOPIC] [--at-once 64]\n"
        "FILE holds one peer a line: client id TAB user name TAB password\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"peers", required_argument, NULL, 'f'},
        {"ca", required_argument, NULL, 'c'}, {"host", required_argument, NULL, 'h'},
        {"port", required_argument, NULL, 'p'}, {"seconds", required_argument, NULL, 's'},
        {"topic", required_argument, NULL, 't'}, {"at-once", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0}};
    struct load load = {.seconds = 5, .topic = "bench"};
    struct swarm_options swarm_options = {
        .host = "localhost", .port = "8883", .connecting_at_once = 64, .packet = on_packet};
    const char *peers = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            peers = optarg;
            break;
        case 'c':
            swarm_options.ca_file = optarg;
            break;
        case 'h':
            swarm_options.host = optarg;
            break;
        case 'p':
            swarm_options.port = optarg;
            break;
        case 's':
            load.seconds = atof(optarg);
            break;
        case 't':
            load.topic = optarg;
            break;
        case 'a':
            swarm_options.connecting_at_once = (unsigned)atoi(optarg);
            break;
        default:
            return usage();
        }
    }
    for (size_t i = 0; optind < argc && i < COUNT_OF(kinds); i++)
        if (strcmp(argv[optind], kinds[i].name) == 0)
            load.kind = &kinds[i];
    if (load.kind == NULL || peers == NULL || swarm_options.ca_file == NULL || load.seconds <= 0 ||
        swarm_options.connecting_at_once == 0)
        return usage();
    struct swarm swarm;
    swarm_open(&swarm, &swarm_options, peers);
    swarm.self = &load;
    int status = load.kind->send == NULL ? hold(&swarm) : measure(&swarm, &load);
    swarm_close(&swarm);
    mem_free(load.samples_ns);
    return status;
}
