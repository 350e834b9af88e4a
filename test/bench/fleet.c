/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemel-fleet: a fleet of devices that stays connected, whatever becomes of the server.
 *
 * Every peer subscribes to the changes of its twin, reads the twin, follows versions as Azure's
 * guide says, answers direct methods, and comes back after retry_ms when its connection ends. What
 * it can tell of is asked line by line on standard input and answered by a JSON object a line:
 *
 *   stat      where the fleet stands
 *   reset     forgets the samples
 *   drop      every connection ends at once, as after a failure of the network
 *
 * With --filter FILTER the server is any MQTT broker: each peer subscribes to that, and what it is
 * sent counts as a change.
 *
 * A change is late by what has passed since the time that it names: "wave" in its document, in
 * milliseconds since 1970.
 */
#include "peer.h"

#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct follower {
    uint64_t version; /* of desired; 0: the twin is to be read */
    uint64_t wave;    /* the last that was heard of */
};

struct samples {
    double *ms;
    size_t count;
    size_t room;
};

struct fleet {
    struct swarm swarm;
    struct follower *followers; /* one a peer */
    const char *filter;         /* NULL: a hub */
    size_t gaps;                /* versions that were never heard of while connected */
    size_t notes;
    size_t methods;
    struct samples late;
};

static struct fleet *fleet_of(struct peer *peer)
{
    return peer->swarm->self;
}

static struct follower *follower_of(struct peer *peer)
{
    return &fleet_of(peer)->followers[peer - peer->swarm->peers];
}

static double wall_ms(void)
{
    struct timespec at;
    must(clock_gettime(CLOCK_REALTIME, &at) == 0);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static void add_sample(struct samples *samples, double ms)
{
    if (samples->count == samples->room) {
        samples->room = samples->room == 0 ? 4096 : samples->room * 2;
        samples->ms = mem_resize(samples->ms, samples->room * sizeof *samples->ms);
        must(samples->ms != NULL);
    }
    samples->ms[samples->count++] = ms;
}

/* ---- what comes ------------------------------------------------------------------------------ */

/* Cuts off what stands up to the first `name` and the number behind it; 0: none. */
static uint64_t cut_number(struct span *text, const char *name)
{
    const char *at = memmem(text->ptr, text->len, name, strlen(name));
    const char *end = text->ptr + text->len;
    uint64_t number = 0;
    if (at == NULL)
        return 0;
    for (at += strlen(name); at < end && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    *text = (struct span){at, (size_t)(end - at)};
    return number;
}

static uint64_t number_behind(struct span text, const char *name)
{
    return cut_number(&text, name);
}

static void publish(struct peer *peer, const char *topic, struct span payload)
{
    struct mqtt_publish packet = {.topic = span_of(topic), .payload = payload};
    mqtt_write_publish(&peer->out, &packet);
    peer_send(peer);
}

static void hear_wave(struct peer *peer, struct span document)
{
    struct follower *follower = follower_of(peer);
    uint64_t wave = 0, one;
    while ((one = cut_number(&document, "\"wave\":")) > 0)
        wave = one > wave ? one : wave;
    if (wave <= follower->wave)
        return;
    follower->wave = wave;
    add_sample(&fleet_of(peer)->late, wall_ms() - (double)wave);
}

static void ask_for_twin(struct peer *peer)
{
    follower_of(peer)->version = 0;
    publish(peer, "$iothub/twin/GET/?$rid=1", SPAN_NONE);
}

static void take_change(struct peer *peer, const struct mqtt_publish *change)
{
    struct follower *follower = follower_of(peer);
    uint64_t version = number_behind(change->topic, "$version=");
    fleet_of(peer)->notes++;
    if (follower->version == 0 || version <= follower->version)
        return; /* what is read later, or was read, is newer */
    if (version != follower->version + 1) {
        fleet_of(peer)->gaps++;
        ask_for_twin(peer);
        return;
    }
    follower->version = version;
    hear_wave(peer, change->payload);
}

static void take_twin(struct peer *peer, const struct mqtt_publish *answer)
{
    if (!span_starts(answer->topic, SPAN_LIT("$iothub/twin/res/200/"))) {
        ask_for_twin(peer);
        return;
    }
    follower_of(peer)->version = number_behind(answer->payload, "\"$version\":");
    hear_wave(peer, answer->payload);
}

static void take_method(struct peer *peer, const struct mqtt_publish *request)
{
    char topic[128];
    const char *id = memmem(request->topic.ptr, request->topic.len, "$rid=", 5);
    if (id == NULL)
        return;
    int size = (int)(request->topic.ptr + request->topic.len - id);
    snprintf(topic, sizeof topic, "$iothub/methods/res/200/?%.*s", size, id);
    fleet_of(peer)->methods++;
    publish(peer, topic, request->payload);
}

static void take_publish(struct peer *peer, const struct mqtt_publish *packet)
{
    if (fleet_of(peer)->filter != NULL) {
        fleet_of(peer)->notes++;
        hear_wave(peer, packet->payload);
    } else if (span_starts(packet->topic, SPAN_LIT("$iothub/twin/PATCH/"))) {
        take_change(peer, packet);
    } else if (span_starts(packet->topic, SPAN_LIT("$iothub/twin/res/"))) {
        take_twin(peer, packet);
    } else if (span_starts(packet->topic, SPAN_LIT("$iothub/methods/POST/"))) {
        take_method(peer, packet);
    }
}

static void subscribe(struct peer *peer)
{
    const struct mqtt_filter hub[] = {{SPAN_INIT("$iothub/twin/PATCH/properties/desired/#"), 0},
        {SPAN_INIT("$iothub/twin/res/#"), 0}, {SPAN_INIT("$iothub/methods/POST/#"), 0}};
    const char *filter = fleet_of(peer)->filter;
    struct mqtt_filter broker = {.filter = span_of(filter == NULL ? "" : filter)};
    if (filter == NULL)
        mqtt_write_subscribe(&peer->out, 1, hub, COUNT_OF(hub));
    else
        mqtt_write_subscribe(&peer->out, 1, &broker, 1);
    peer_send(peer);
}

static void on_packet(struct peer *peer, const struct mqtt_packet *packet)
{
    if (packet == NULL)
        subscribe(peer);
    else if (packet->kind == MQTT_PUBLISH)
        take_publish(peer, &packet->publish);
    else if (packet->kind == MQTT_SUBACK && fleet_of(peer)->filter == NULL)
        ask_for_twin(peer);
    else if (packet->kind == MQTT_SUBACK)
        follower_of(peer)->version = 1;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double part_of(const struct samples *samples, double part)
{
    if (samples->count == 0)
        return 0;
    return samples->ms[(size_t)((double)(samples->count - 1) * part)];
}

static void say_stat(struct fleet *fleet)
{
    size_t read = 0;
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < fleet->swarm.count; i++) {
        bool online = fleet->swarm.peers[i].state == PEER_ONLINE;
        read += online && fleet->followers[i].version > 0;
        if (fleet->followers[i].wave < oldest)
            oldest = fleet->followers[i].wave;
    }
    if (fleet->late.count > 0)
        qsort(fleet->late.ms, fleet->late.count, sizeof *fleet->late.ms, by_size);
    printf("{\"peers\":%zu,\"online\":%zu,\"read\":%zu,\"failed\":%zu,\"gaps\":%zu,\"notes\":%zu,"
           "\"methods\":%zu,\"oldestWave\":%llu,\"waves\":%zu,\"medianMs\":%.1f,\"p99Ms\":%.1f,"
           "\"lastMs\":%.1f}\n",
        fleet->swarm.count, fleet->swarm.online, read, fleet->swarm.failed, fleet->gaps,
        fleet->notes, fleet->methods, (unsigned long long)oldest, fleet->late.count,
        part_of(&fleet->late, 0.5), part_of(&fleet->late, 0.99), part_of(&fleet->late, 1));
    fflush(stdout);
}

static void drop_all(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->swarm.count; i++)
        peer_lose(&fleet->swarm.peers[i]);
}

/* False at the end of the input. */
static bool obey(struct fleet *fleet)
{
    char words[256];
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, 0) <= 0)
        return true;
    ssize_t got = read(STDIN_FILENO, words, sizeof words);
    if (got <= 0)
        return false;
    struct span rest = {words, (size_t)got}, word;
    while (span_cut(&rest, '\n', &word)) {
        if (span_is(word, "stat"))
            say_stat(fleet);
        else if (span_is(word, "reset"))
            fleet->late.count = fleet->notes = fleet->swarm.failed = 0;
        else if (span_is(word, "drop"))
            drop_all(fleet);
    }
    return true;
}

static int usage(void)
{
    fprintf(stderr,
        "usage: gemel-fleet --peers FILE --ca FILE [--host localhost] [--port 8883]\n"
        "                   [--filter FILTER] [--at-once 256] [--sources 8] [--retry-ms 500]\n"
        "FILE holds one peer a line: client id TAB user name TAB password\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"peers", required_argument, NULL, 'f'},
        {"ca", required_argument, NULL, 'c'}, {"host", required_argument, NULL, 'h'},
        {"port", required_argument, NULL, 'p'}, {"filter", required_argument, NULL, 't'},
        {"at-once", required_argument, NULL, 'a'}, {"sources", required_argument, NULL, 's'},
        {"retry-ms", required_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
    struct swarm_options with = {.host = "localhost",
        .port = "8883",
        .connecting_at_once = 256,
        .sources = 8,
        .retry_ms = 500,
        .packet = on_packet};
    struct fleet fleet = {.filter = NULL};
    const char *peers = NULL;
    const char **const texts[] = {['f'] = &peers,
        ['c'] = &with.ca_file,
        ['h'] = &with.host,
        ['p'] = &with.port,
        ['t'] = &fleet.filter};
    unsigned *const numbers[] = {
        ['a'] = &with.connecting_at_once, ['s'] = &with.sources, ['r'] = &with.retry_ms};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if ((size_t)option < COUNT_OF(texts) && texts[option] != NULL)
            *texts[option] = optarg;
        else if ((size_t)option < COUNT_OF(numbers) && numbers[option] != NULL)
            *numbers[option] = (unsigned)atoi(optarg);
        else
            return usage();
    }
    if (peers == NULL || with.ca_file == NULL || with.connecting_at_once == 0)
        return usage();
    swarm_open(&fleet.swarm, &with, peers);
    fleet.swarm.self = &fleet;
    fleet.followers = mem_alloc(fleet.swarm.count * sizeof *fleet.followers);
    must(fleet.followers != NULL);
    while (obey(&fleet))
        swarm_run(&fleet.swarm, 20);
    swarm_close(&fleet.swarm);
    mem_free(fleet.followers);
    mem_free(fleet.late.ms);
    return 0;
}
