/* SPDX-License-Identifier: Apache-2.0 */
#include "sign_in_delay.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

/* A key has its place in one of the rows; the table takes 16384 of them in some 800 KiB. */
#define ROWS 2048u
#define WAYS 8u

#define KEY_BYTES 16

struct entry {
    unsigned char key[KEY_BYTES]; /* zeroes: free */
    int64_t until_us;             /* nothing is tried before */
    unsigned wrong;
    unsigned under_way;
};

struct sign_in_delay {
    struct access_limits limits;
    unsigned char secret[32]; /* so that nobody can choose who shares his row */
    struct entry rows[ROWS][WAYS];
};

struct sign_in_delay *sign_in_delay_new(const struct access_limits *limits)
{
    struct sign_in_delay *delay = mem_alloc(sizeof(*delay));
    if (delay == NULL || RAND_bytes(delay->secret, sizeof(delay->secret)) != 1) {
        mem_free(delay);
        return NULL;
    }
    delay->limits = *limits;
    return delay;
}

void sign_in_delay_free(struct sign_in_delay *delay)
{
    mem_free(delay);
}

/* ---- finding --------------------------------------------------------------------------------- */

struct key {
    unsigned char bytes[EVP_MAX_MD_SIZE];
};

static struct key key_of(const struct sign_in_delay *delay, char kind, struct span text)
{
    struct key key = {{0}};
    unsigned char message[512];
    struct span part = span_first(text, sizeof(message) - 1);
    message[0] = (unsigned char)kind;
    if (part.len > 0)
        memcpy(message + 1, part.ptr, part.len);
    must(HMAC(EVP_sha256(), delay->secret, sizeof(delay->secret), message, part.len + 1, key.bytes,
             NULL) != NULL);
    return key;
}

/* An IPv6 customer has 2^64 addresses and more. */
static struct key key_of_address(const struct sign_in_delay *delay, struct span address)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr six;
    if (span_copy(address, text, sizeof(text)) && inet_pton(AF_INET6, text, &six) == 1)
        return key_of(delay, '6', (struct span){(const char *)six.s6_addr, 8});
    return key_of(delay, '4', address);
}

static bool is_over(const struct sign_in_delay *delay, const struct entry *entry, int64_t now_us)
{
    return now_us >= entry->until_us + (int64_t)delay->limits.delay_forget_minutes * 60000000;
}

/* The entry of a key, a fresh one if there was none; NULL where all of its row are under way. */
static struct entry *find(struct sign_in_delay *delay, const struct key *key, int64_t now_us)
{
    struct entry *row =
        delay->rows[((unsigned)key->bytes[30] << 8 | (unsigned)key->bytes[31]) % ROWS];
    struct entry *victim = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *entry = &row[i];
        if (memcmp(entry->key, key->bytes, KEY_BYTES) == 0) {
            if (entry->under_way == 0 && entry->wrong > 0 && is_over(delay, entry, now_us))
                entry->wrong = 0;
            return entry;
        }
        if (entry->under_way == 0 &&
            (victim == NULL || entry->wrong < victim->wrong ||
                (entry->wrong == victim->wrong && entry->until_us < victim->until_us)))
            victim = entry;
    }
    if (victim != NULL) {
        *victim = (struct entry){.until_us = INT64_MIN / 2};
        memcpy(victim->key, key->bytes, KEY_BYTES);
    }
    return victim;
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool must_wait(const struct entry *entry, unsigned attempts)
{
    return entry->under_way > 0 && entry->wrong + entry->under_way >= attempts;
}

static int64_t later(const struct entry *a, const struct entry *b)
{
    return a->until_us > b->until_us ? a->until_us : b->until_us;
}

enum sign_in_verdict sign_in_delay_ask(struct sign_in_delay *delay, struct span user,
    struct span address, int64_t now_us, int64_t *ret_wait_us)
{
    struct key user_key = key_of(delay, 'u', user);
    struct key address_key = key_of_address(delay, address);
    struct entry *of_user = find(delay, &user_key, now_us);
    if (of_user == NULL)
        return SIGN_IN_WAIT;
    of_user->under_way++; /* so that the other does not take its place */
    struct entry *of_address = find(delay, &address_key, now_us);
    of_user->under_way--;
    if (of_address == NULL)
        return SIGN_IN_WAIT;
    int64_t until_us = later(of_user, of_address);
    if (until_us > now_us) {
        *ret_wait_us = until_us - now_us;
        return SIGN_IN_REFUSED;
    }
    if (must_wait(of_user, delay->limits.attempts) ||
        must_wait(of_address, delay->limits.address_attempts))
        return SIGN_IN_WAIT;
    of_user->under_way++;
    of_address->under_way++;
    return SIGN_IN_GO;
}

static void count_wrong(
    const struct sign_in_delay *delay, struct entry *entry, unsigned attempts, int64_t now_us)
{
    uint64_t most = delay->limits.delay_max_seconds;
    uint64_t seconds = delay->limits.delay_seconds;
    entry->wrong++;
    entry->until_us = now_us;
    if (entry->wrong <= attempts)
        return;
    for (unsigned i = entry->wrong - attempts; i > 1 && seconds < most; i--)
        seconds *= 2;
    entry->until_us += (int64_t)(seconds < most ? seconds : most) * 1000000;
}

void sign_in_delay_tell(struct sign_in_delay *delay, struct span user, struct span address,
    enum sign_in_end end, int64_t now_us)
{
    struct key user_key = key_of(delay, 'u', user);
    struct key address_key = key_of_address(delay, address);
    struct entry *of_user = find(delay, &user_key, now_us);
    struct entry *of_address = find(delay, &address_key, now_us);
    must(of_user != NULL && of_address != NULL && of_user->under_way > 0 &&
         of_address->under_way > 0);
    of_user->under_way--;
    of_address->under_way--;
    if (end == SIGN_IN_WRONG) {
        count_wrong(delay, of_user, delay->limits.attempts, now_us);
        count_wrong(delay, of_address, delay->limits.address_attempts, now_us);
    } else if (end == SIGN_IN_RIGHT) {
        of_user->wrong = 0;
        of_user->until_us = INT64_MIN / 2;
    }
}
