/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_message.h"

#include <stdio.h>

#define HEADER_BYTES 12u
#define CLASS_INTERNET 1u
/* Aliases and signatures stand between the addresses. */
#define RECORDS_MAX 64u
/* RFC 1035 gives a name 255 bytes, so no name has more labels, nor a sane one more pointers. */
#define LABELS_MAX 128u
#define POINTERS_MAX 16u

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28 };

struct name {
    char text[DNS_NAME_MAX + 1];
    size_t len;
};

static unsigned byte_at(struct span bytes, size_t at)
{
    return at < bytes.len ? (unsigned char)bytes.ptr[at] : 0;
}

static unsigned word_at(struct span bytes, size_t at)
{
    return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

static bool add_label(struct span label, struct name *name)
{
    if (name->len > 0 && name->len < DNS_NAME_MAX)
        name->text[name->len++] = '.';
    for (size_t i = 0; i < label.len; i++) {
        unsigned char c = (unsigned char)label.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (c >= 'A' && c <= 'Z') {
            c = (unsigned char)(c + 'a' - 'A');
            plain = true;
        }
        if (name->len + (plain ? 1u : 4u) > DNS_NAME_MAX)
            return false;
        if (plain)
            name->text[name->len++] = (char)c;
        else
            name->len += (size_t)snprintf(name->text + name->len, 5, "\\%03u", c);
    }
    return true;
}

/* Reads the name at `*at` and moves `*at` behind it. A pointer leads to an earlier place than the
 * one before it, so that none leads in a circle. */
static bool take_name(struct span bytes, size_t *at, struct name *ret_name)
{
    size_t here = *at, end = 0, before = *at;
    unsigned pointers = 0;
    ret_name->len = 0;
    for (unsigned labels = 0; labels < LABELS_MAX; labels++) {
        if (here >= bytes.len)
            return false;
        unsigned size = byte_at(bytes, here);
        while ((size & 0xc0) == 0xc0) {
            size_t target = word_at(bytes, here) & 0x3fff;
            if (here + 2 > bytes.len || target >= before || ++pointers > POINTERS_MAX)
                return false;
            if (end == 0)
                end = here + 2;
            here = before = target;
            size = byte_at(bytes, here);
        }
        if (size > 63 || here + 1 + size > bytes.len)
            return false;
        if (size == 0) {
            *at = end != 0 ? end : here + 1;
            ret_name->text[ret_name->len] = '\0';
            return true;
        }
        if (!add_label((struct span){bytes.ptr + here + 1, size}, ret_name))
            return false;
        here += 1 + size;
    }
    return false;
}

static bool is_same(const struct name *a, const struct name *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

struct record {
    struct name owner;
    unsigned type;
    unsigned class;
    uint32_t ttl_s;
    size_t data_at;
    size_t data_len;
};

static bool take_record(struct span bytes, size_t *at, struct record *ret_record)
{
    if (!take_name(bytes, at, &ret_record->owner) || *at + 10 > bytes.len)
        return false;
    ret_record->type = word_at(bytes, *at);
    ret_record->class = word_at(bytes, *at + 2);
    ret_record->ttl_s = word_at(bytes, *at + 4) << 16 | word_at(bytes, *at + 6);
    ret_record->data_len = word_at(bytes, *at + 8);
    ret_record->data_at = *at + 10;
    if (ret_record->data_len > bytes.len - ret_record->data_at)
        return false;
    *at = ret_record->data_at + ret_record->data_len;
    return true;
}

static void add_address(struct span bytes, const struct record *record, struct dns_message *message)
{
    bool ipv6 = record->type == TYPE_AAAA;
    if (record->data_len != (ipv6 ? 16u : 4u) || message->count == DNS_ADDRESSES_MAX)
        return;
    memcpy(message->addresses[message->count].address.bytes, bytes.ptr + record->data_at,
        record->data_len);
    message->addresses[message->count].ipv6 = ipv6;
    message->addresses[message->count].ttl_s = record->ttl_s;
    message->count++;
}

/* Reads answers as far as they are there. */
static void take_answers(
    struct span bytes, size_t at, const struct name *asked, struct dns_message *message)
{
    struct name current = *asked;
    struct record record;
    unsigned count = word_at(bytes, 6);
    for (unsigned i = 0; i < count && i < RECORDS_MAX; i++) {
        if (!take_record(bytes, &at, &record))
            return;
        if (record.class != CLASS_INTERNET || !is_same(&record.owner, &current))
            continue;
        size_t data_at = record.data_at;
        struct name alias;
        if (record.type == TYPE_A || record.type == TYPE_AAAA)
            add_address(bytes, &record, message);
        else if (record.type == TYPE_CNAME && take_name(bytes, &data_at, &alias))
            current = alias;
    }
}

bool dns_parse(struct span datagram, struct dns_message *ret_message)
{
    if (datagram.len < HEADER_BYTES)
        return false;
    unsigned flags = word_at(datagram, 2);
    unsigned operation = flags >> 11 & 15;
    if (operation != 0 || word_at(datagram, 4) != 1)
        return false;
    size_t at = HEADER_BYTES;
    struct name asked;
    if (!take_name(datagram, &at, &asked) || asked.len == 0 || at + 4 > datagram.len ||
        word_at(datagram, at + 2) != CLASS_INTERNET)
        return false;
    *ret_message = (struct dns_message){
        .response = (flags & 0x8000) != 0, .id = (uint16_t)word_at(datagram, 0)};
    memcpy(ret_message->name, asked.text, asked.len + 1);
    if (ret_message->response && (flags & 15) == 0)
        take_answers(datagram, at + 4, &asked, ret_message);
    return true;
}
