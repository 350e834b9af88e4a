/* SPDX-License-Identifier: Apache-2.0 */
#include "network_capture.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Link, a VLAN tag, IPv6 with two small extension headers, ports. */
#define HEADERS_BYTES 96u
/* DNS over UDP seldom passes 1232 bytes, and its addresses stand near the beginning. */
#define DNS_BYTES 1280u
/* Some 350 packets: at a thousand a second CAPTURE_HOLD_MS is what ends a block. */
#define BLOCK_BYTES 65536u
/* The kernel asks for it, and with this version of its ring makes nothing of it. */
#define FRAME_BYTES 2048u
/* Packets of before the beginning are told by their time; later it is not looked at, so that a
 * clock that is set back hides nothing. */
#define SETTLING_READS 65536u

struct network_capture {
    int fd;
    bool loopback;
    enum packet_link link;
    unsigned char *ring;
    size_t block_bytes;
    size_t block_count;
    size_t next; /* the block that is read next */
    int64_t from_us;
    int64_t until_us;
    uint32_t settling; /* packets whose time is still looked at */
    uint32_t arrived;  /* what passed the filter and found room, as the kernel said last; wraps */
    uint32_t read;
    uint32_t marked;
    uint64_t lost; /* since the last capture_lost() */
};

#define LOAD(size, at) BPF_STMT(BPF_LD | BPF_ABS | (size), (uint32_t)(at))
#define AUXILIARY(what) (SKF_AD_OFF + SKF_AD_##what)
#define NETWORK(at) (SKF_NET_OFF + (at))
#define IF(test, value, yes, no) BPF_JUMP(BPF_JMP | BPF_K | (test), (value), (yes), (no))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

/*
 * "to us or from us, and (ip or ip6 or vlan)", with two lengths. The kernel knows direction,
 * protocol and the IP header's place for all links alike. On loopback a packet passes as it goes
 * out.
 */
static bool set_filter(int fd, bool loopback)
{
    enum { LONG = 25, SHORT = 26, NONE = 27 };
#define TO(label, here) ((label) - (here)-1)
    struct sock_filter code[] = {
        /*  0 */ LOAD(BPF_B, AUXILIARY(PKTTYPE)),
        /*  1 */ IF(BPF_JEQ, PACKET_OUTGOING, 1, 0),
        /*  2 */ IF(BPF_JGT, PACKET_MULTICAST, TO(NONE, 2), 0),
        /*  3 */ LOAD(BPF_H, AUXILIARY(PROTOCOL)),
        /*  4 */ IF(BPF_JEQ, ETH_P_IP, TO(9, 4), 0),
        /*  5 */ IF(BPF_JEQ, ETH_P_IPV6, TO(19, 5), 0),
        /*  6 */ IF(BPF_JEQ, ETH_P_8021Q, TO(SHORT, 6), 0),
        /*  7 */ IF(BPF_JEQ, ETH_P_8021AD, TO(SHORT, 7), 0),
        /*  8 */ IF(BPF_JEQ, ETH_P_QINQ1, TO(SHORT, 8), TO(NONE, 8)),
        /* IPv4: UDP, neither later fragment nor options, with the port of DNS */
        /*  9 */ LOAD(BPF_B, NETWORK(9)),
        /* 10 */ IF(BPF_JEQ, IPPROTO_UDP, 0, TO(SHORT, 10)),
        /* 11 */ LOAD(BPF_H, NETWORK(6)),
        /* 12 */ IF(BPF_JSET, 0x1fff, TO(SHORT, 12), 0),
        /* 13 */ LOAD(BPF_B, NETWORK(0)),
        /* 14 */ IF(BPF_JEQ, 0x45, 0, TO(SHORT, 14)),
        /* 15 */ LOAD(BPF_H, NETWORK(20)),
        /* 16 */ IF(BPF_JEQ, 53, TO(LONG, 16), 0),
        /* 17 */ LOAD(BPF_H, NETWORK(22)),
        /* 18 */ IF(BPF_JEQ, 53, TO(LONG, 18), TO(SHORT, 18)),
        /* IPv6: UDP right behind its header */
        /* 19 */ LOAD(BPF_B, NETWORK(6)),
        /* 20 */ IF(BPF_JEQ, IPPROTO_UDP, 0, TO(SHORT, 20)),
        /* 21 */ LOAD(BPF_H, NETWORK(40)),
        /* 22 */ IF(BPF_JEQ, 53, TO(LONG, 22), 0),
        /* 23 */ LOAD(BPF_H, NETWORK(42)),
        /* 24 */ IF(BPF_JEQ, 53, TO(LONG, 24), TO(SHORT, 24)),
        /* LONG */ RETURN(DNS_BYTES),
        /* SHORT */ RETURN(HEADERS_BYTES),
        /* NONE */ RETURN(0),
    };
    if (loopback)
        code[2] = (struct sock_filter)RETURN(0);
#undef TO
    const struct sock_fprog program = {.len = COUNT_OF(code), .filter = code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

/* Interfaces that are not in the table show their packets without what their link put around. */
static const struct {
    unsigned short hardware;
    bool carries_ip;
    enum packet_link link;
} links[] = {
    {ARPHRD_ETHER, true, PACKET_LINK_ETHERNET},
    {ARPHRD_LOOPBACK, true, PACKET_LINK_ETHERNET},
    {ARPHRD_IEEE80211, false, PACKET_LINK_RAW},
    {ARPHRD_IEEE80211_PRISM, false, PACKET_LINK_RAW},
    {ARPHRD_IEEE80211_RADIOTAP, false, PACKET_LINK_RAW},
};

static enum err find_link(const struct capture_of *of, enum packet_link *ret_link, struct why *why)
{
    *ret_link = PACKET_LINK_RAW;
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        if (links[i].hardware != of->hardware)
            continue;
        if (!links[i].carries_ip)
            return fail(ERR_REFUSED, why, "%s: interfaces of its kind carry no IP", of->name);
        *ret_link = links[i].link;
    }
    return ERR_NONE;
}

/* A small ring has small blocks, so that one is read while another is filled. */
static void measure(struct network_capture *capture, size_t ring_bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t block = page > BLOCK_BYTES ? page : BLOCK_BYTES;
    while (block > page && block * 4 > ring_bytes)
        block /= 2;
    capture->block_bytes = block;
    capture->block_count = ring_bytes < block ? 1 : ring_bytes / block;
}

static bool make_ring(struct network_capture *capture)
{
    const int version = TPACKET_V3;
    const size_t bytes = capture->block_bytes * capture->block_count;
    const struct tpacket_req3 request = {
        .tp_block_size = (unsigned)capture->block_bytes,
        .tp_block_nr = (unsigned)capture->block_count,
        .tp_frame_size = FRAME_BYTES,
        .tp_frame_nr = (unsigned)(bytes / FRAME_BYTES),
        .tp_retire_blk_tov = CAPTURE_HOLD_MS,
    };
    if (setsockopt(capture->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0 ||
        setsockopt(capture->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) != 0)
        return false;
    void *ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, capture->fd, 0);
    if (ring == MAP_FAILED)
        return false;
    capture->ring = ring;
    return true;
}

/* A socket of no protocol hears nothing until it is bound, with its filter and its ring in place.
 */
static enum err open_socket(struct network_capture *capture, const struct capture_of *of,
    size_t ring_bytes, struct why *why)
{
    const struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)of->index};
    const int type = capture->link == PACKET_LINK_ETHERNET ? SOCK_RAW : SOCK_DGRAM;
    measure(capture, ring_bytes);
    capture->fd = socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (capture->fd < 0)
        return fail(ERR_REFUSED, why, "%s: a packet socket: %s", of->name, strerror(errno));
    if (!set_filter(capture->fd, capture->loopback))
        return fail(ERR_REFUSED, why, "%s: filter: %s", of->name, strerror(errno));
    if (!make_ring(capture))
        return fail(ERR_REFUSED, why, "%s: a buffer of %zu bytes: %s", of->name,
            capture->block_bytes * capture->block_count, strerror(errno));
    if (bind(capture->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return fail(errno == ENODEV ? ERR_NOT_FOUND : ERR_REFUSED, why, "%s: %s", of->name,
            strerror(errno));
    return ERR_NONE;
}

enum err capture_open(const struct capture_of *of, size_t ring_bytes,
    struct network_capture **ret_capture, struct why *why)
{
    enum packet_link link;
    enum err err = find_link(of, &link, why);
    if (err != ERR_NONE)
        return err;
    struct network_capture *capture = mem_alloc(sizeof(*capture));
    if (capture == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    capture->fd = -1;
    capture->loopback = of->loopback;
    capture->link = link;
    capture->until_us = INT64_MAX;
    err = open_socket(capture, of, ring_bytes, why);
    if (err != ERR_NONE) {
        capture_close(capture);
        return err;
    }
    *ret_capture = capture;
    return ERR_NONE;
}

void capture_close(struct network_capture *capture)
{
    if (capture == NULL)
        return;
    if (capture->ring != NULL)
        munmap(capture->ring, capture->block_bytes * capture->block_count);
    if (capture->fd >= 0)
        close(capture->fd);
    mem_free(capture);
}

/* Asks the kernel, which counts anew each time. */
static void count(struct network_capture *capture)
{
    struct tpacket_stats_v3 stats;
    socklen_t len = sizeof(stats);
    if (getsockopt(capture->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) != 0)
        return;
    capture->arrived += stats.tp_packets - stats.tp_drops;
    capture->lost += (uint64_t)stats.tp_drops * (capture->loopback ? 2 : 1);
}

void capture_begin(struct network_capture *capture, int64_t from_us)
{
    capture->from_us = from_us;
    capture->settling = SETTLING_READS;
    count(capture);
    capture->lost = 0; /* until now it was not ours */
}

bool capture_is_of(const struct network_capture *capture, unsigned interface)
{
    /* The kernel takes the index away from a socket whose interface goes. */
    struct sockaddr_ll bound = {0};
    socklen_t len = sizeof(bound);
    return getsockname(capture->fd, (struct sockaddr *)&bound, &len) == 0 &&
           bound.sll_ifindex == (int)interface;
}

int capture_fd(const struct network_capture *capture)
{
    return capture->fd;
}

void capture_clear_error(struct network_capture *capture)
{
    int error = 0;
    socklen_t len = sizeof(error);
    (void)!getsockopt(capture->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/* ---- reading ---- */

_Static_assert(
    sizeof(struct tpacket3_hdr) % TPACKET_ALIGNMENT == 0, "the address comes right behind");

/* Whether a packet passed while this capture was in charge. */
static bool is_ours(struct network_capture *capture, const struct tpacket3_hdr *header)
{
    int64_t time_us = (int64_t)header->tp_sec * 1000000 + header->tp_nsec / 1000;
    if (capture->settling > 0) {
        capture->settling = time_us < capture->from_us ? capture->settling - 1 : 0;
        if (capture->settling > 0)
            return false;
    }
    return time_us < capture->until_us;
}

static void take(
    struct network_capture *capture, const unsigned char *frame, capture_packet *packet, void *self)
{
    const struct tpacket3_hdr *header = (const void *)frame;
    const struct sockaddr_ll *from = (const void *)(frame + sizeof(*header));
    enum capture_direction direction = capture->loopback                      ? CAPTURE_LOOP
                                       : from->sll_pkttype == PACKET_OUTGOING ? CAPTURE_OUT
                                                                              : CAPTURE_IN;
    capture->read++;
    if (is_ours(capture, header))
        packet(self, direction, capture->link,
            (struct span){(const char *)frame + header->tp_mac, header->tp_snaplen},
            header->tp_len);
}

bool capture_read(struct network_capture *capture, int most, capture_packet *packet, void *self)
{
    for (int done = 0;;) {
        unsigned char *bytes = capture->ring + capture->next * capture->block_bytes;
        struct tpacket_hdr_v1 *block = &((struct tpacket_block_desc *)(void *)bytes)->hdr.bh1;
        uint32_t status = __atomic_load_n(&block->block_status, __ATOMIC_ACQUIRE);
        if ((status & TP_STATUS_USER) == 0)
            return false;
        if (done >= most)
            return true;
        const unsigned char *frame = bytes + block->offset_to_first_pkt;
        for (uint32_t i = 0; i < block->num_pkts; i++, done++) {
            take(capture, frame, packet, self);
            frame += ((const struct tpacket3_hdr *)(const void *)frame)->tp_next_offset;
        }
        __atomic_store_n(&block->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        capture->next = (capture->next + 1) % capture->block_count;
        if ((status & TP_STATUS_LOSING) != 0)
            count(capture);
    }
}

uint64_t capture_lost(struct network_capture *capture)
{
    uint64_t lost = capture->lost;
    capture->lost = 0;
    return lost;
}

/* ---- marks ---- */

void capture_mark(struct network_capture *capture)
{
    count(capture);
    capture->marked = capture->arrived;
}

bool capture_passed_mark(const struct network_capture *capture)
{
    return (int32_t)(capture->read - capture->marked) >= 0;
}

uint64_t capture_unread(const struct network_capture *capture)
{
    if (capture_passed_mark(capture))
        return 0;
    return (uint64_t)(capture->marked - capture->read) * (capture->loopback ? 2 : 1);
}

void capture_end(struct network_capture *capture, int64_t until_us)
{
    struct sock_filter code[] = {RETURN(0)};
    const struct sock_fprog program = {.len = COUNT_OF(code), .filter = code};
    (void)setsockopt(capture->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
    capture->until_us = until_us;
    capture_mark(capture);
}
