/* SPDX-License-Identifier: Apache-2.0 */
#include "network_names.h"

#include "mem.h"

#define WAYS 4u
#define QUESTION_LIFE_US INT64_C(30000000)
/* Each direction has a buffer of its own, so that an answer may be read before its question: a few
 * answers are kept for that long. */
#define EARLY_MAX 8u
#define EARLY_LIFE_US INT64_C(2000000)
/* Connections outlive the answer that led to them, but not a day of it. */
#define LIFE_MIN_S 300u
#define LIFE_MAX_S 86400u

struct named {
    struct packet_address address;
    bool ipv6;
    int64_t used_us;
    int64_t until_us;
    uint64_t hits; /* not told yet */
    char *name;    /* NULL: the place is free */
};

struct question {
    struct flow_key key;
    uint16_t id;
    int64_t until_us; /* 0: the place is free */
    uint64_t name_hash;
};

struct early {
    struct flow_key key;
    int64_t until_us;
    struct dns_message message;
};

struct name_tables {
    struct named named[NAMES_MAX];
    struct question questions[NAMES_QUESTIONS];
    struct early early[EARLY_MAX];
    size_t next_early;
    struct dns_message message; /* too large for a stack */
};

void network_names_init(struct network_names *ret_names, uint64_t seed)
{
    *ret_names = (struct network_names){.seed = seed};
}

void network_names_done(struct network_names *names)
{
    for (size_t i = 0; names->tables != NULL && i < NAMES_MAX; i++)
        mem_free(names->tables->named[i].name);
    mem_free(names->tables);
    *names = (struct network_names){0};
}

static uint64_t hash_of_name(const struct network_names *names, const char *name)
{
    uint64_t hash = names->seed;
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash;
}

static struct question *question_at(
    struct network_names *names, const struct flow_key *key, uint16_t id)
{
    uint64_t hash = flows_hash(names->seed ^ id, key, sizeof(*key));
    return &names->tables->questions[hash % NAMES_QUESTIONS];
}

static struct named *ways_of(
    struct network_names *names, bool ipv6, const struct packet_address *address)
{
    uint64_t hash = flows_hash(names->seed ^ ipv6, address->bytes, sizeof(*address));
    return &names->tables->named[hash % (NAMES_MAX / WAYS) * WAYS];
}

static bool is_at(const struct named *named, bool ipv6, const struct packet_address *address)
{
    return named->name != NULL && named->ipv6 == ipv6 &&
           memcmp(&named->address, address, sizeof(*address)) == 0;
}

/* The place of an address: its own, a free one, or that of the one used least recently. */
static struct named *place_of(
    struct network_names *names, bool ipv6, const struct packet_address *address)
{
    struct named *ways = ways_of(names, ipv6, address), *place = ways;
    for (size_t i = 0; i < WAYS; i++)
        if (is_at(&ways[i], ipv6, address))
            return &ways[i];
    for (size_t i = 1; i < WAYS && place->name != NULL; i++)
        if (ways[i].name == NULL || ways[i].used_us < place->used_us)
            place = &ways[i];
    return place;
}

static bool keep(struct network_names *names, bool ipv6, const struct packet_address *address,
    uint32_t ttl_s, const char *name, int64_t mono_us)
{
    struct named *place = place_of(names, ipv6, address);
    bool same = is_at(place, ipv6, address) && strcmp(place->name, name) == 0;
    if (!same) {
        char *copy = mem_text(span_of(name));
        if (copy == NULL)
            return false;
        mem_free(place->name);
        *place = (struct named){.address = *address, .ipv6 = ipv6, .name = copy};
    }
    uint32_t life_s = ttl_s < LIFE_MIN_S ? LIFE_MIN_S : ttl_s > LIFE_MAX_S ? LIFE_MAX_S : ttl_s;
    place->used_us = mono_us;
    place->until_us = mono_us + (int64_t)life_s * 1000000;
    place->hits++;
    return true;
}

/* Whether it answers a question of ours, for the same name; each is answered once. */
static bool was_asked(struct network_names *names, const struct flow_key *key,
    const struct dns_message *message, int64_t mono_us)
{
    struct question *question = question_at(names, key, message->id);
    if (question->until_us <= mono_us || question->id != message->id ||
        memcmp(&question->key, key, sizeof(*key)) != 0 ||
        question->name_hash != hash_of_name(names, message->name))
        return false;
    question->until_us = 0;
    return true;
}

static size_t keep_all(
    struct network_names *names, const struct dns_message *message, int64_t mono_us)
{
    size_t count = 0;
    for (size_t i = 0; i < message->count; i++)
        count += keep(names, message->addresses[i].ipv6, &message->addresses[i].address,
            message->addresses[i].ttl_s, message->name, mono_us);
    return count;
}

/* Remembers a question, or finds the answer that was read before it. */
static size_t ask(struct network_names *names, const struct flow_key *key,
    const struct dns_message *question, int64_t mono_us)
{
    for (size_t i = 0; i < EARLY_MAX; i++) {
        struct early *early = &names->tables->early[i];
        if (early->until_us <= mono_us || early->message.id != question->id ||
            memcmp(&early->key, key, sizeof(*key)) != 0 ||
            strcmp(early->message.name, question->name) != 0)
            continue;
        early->until_us = 0;
        return keep_all(names, &early->message, mono_us);
    }
    *question_at(names, key, question->id) = (struct question){.key = *key,
        .id = question->id,
        .until_us = mono_us + QUESTION_LIFE_US,
        .name_hash = hash_of_name(names, question->name)};
    return 0;
}

static void keep_early(struct network_names *names, const struct flow_key *key,
    const struct dns_message *answer, int64_t mono_us)
{
    struct early *early = &names->tables->early[names->tables->next_early++ % EARLY_MAX];
    early->key = *key;
    early->until_us = mono_us + EARLY_LIFE_US;
    early->message = *answer;
}

size_t network_names_take(struct network_names *names, const struct flow_key *key, bool incoming,
    struct span datagram, int64_t mono_us)
{
    if (names->tables == NULL)
        names->tables = mem_alloc(sizeof(*names->tables));
    if (names->tables == NULL)
        return 0;
    struct dns_message *message = &names->tables->message;
    if (!dns_parse(datagram, message) || message->response != incoming)
        return 0;
    if (!incoming)
        return ask(names, key, message, mono_us);
    if (was_asked(names, key, message, mono_us))
        return keep_all(names, message, mono_us);
    if (message->count > 0)
        keep_early(names, key, message, mono_us);
    return 0;
}

const char *network_names_find(struct network_names *names, bool ipv6,
    const struct packet_address *address, int64_t mono_us, uint64_t *ret_hits)
{
    *ret_hits = 0;
    if (names->tables == NULL)
        return NULL;
    struct named *ways = ways_of(names, ipv6, address);
    for (size_t i = 0; i < WAYS; i++) {
        if (!is_at(&ways[i], ipv6, address) || ways[i].until_us <= mono_us)
            continue;
        ways[i].used_us = mono_us;
        *ret_hits = ways[i].hits;
        ways[i].hits = 0;
        return ways[i].name;
    }
    return NULL;
}
