/* SPDX-License-Identifier: Apache-2.0 */
#include "network_capture.h"

#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <sys/socket.h>

/* Link, a VLAN tag, IPv6 with two small extension headers, ports. */
#define HEADERS_BYTES 96u
/* DNS over UDP seldom passes 1232 bytes, and its addresses stand near the beginning. */
#define DNS_BYTES 1280u
/* Packets that were there before the filter are told by their time; later it is not looked at, so
 * that a clock that is set back hides nothing. */
#define SETTLING_READS 65536u

struct network_capture {
    pcap_t *pcap;
    enum capture_direction direction;
    enum packet_link link;
    int64_t from_us;
    int64_t until_us;
    uint32_t settling; /* packets whose time is still looked at */
    uint32_t read;
    uint32_t lost;
    uint32_t marked;
    capture_packet *packet; /* of the call that reads */
    void *self;
};

#define LOAD(size, at) BPF_STMT(BPF_LD | BPF_ABS | (size), (uint32_t)(at))
#define AUXILIARY(what) (SKF_AD_OFF + SKF_AD_##what)
#define NETWORK(at) (SKF_NET_OFF + (at))
#define IF(test, value, yes, no) BPF_JUMP(BPF_JMP | BPF_K | (test), (value), (yes), (no))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

/*
 * "inbound (or outbound) and (ip or ip6 or vlan)", with two lengths. It is written out because
 * libpcap's language has but one length, lets packets for other hosts pass as inbound, and differs
 * by link; the kernel knows direction, protocol and the IP header's place for all links alike.
 */
static bool set_filter(int fd, enum capture_direction direction)
{
    enum { LONG = 24, SHORT = 25, NONE = 26 };
#define TO(label, here) ((label) - (here)-1)
    struct sock_filter code[] = {
        /*  0 */ LOAD(BPF_B, AUXILIARY(PKTTYPE)),
        /*  1 */ IF(BPF_JGT, PACKET_MULTICAST, TO(NONE, 1), 0),
        /*  2 */ LOAD(BPF_H, AUXILIARY(PROTOCOL)),
        /*  3 */ IF(BPF_JEQ, ETH_P_IP, TO(8, 3), 0),
        /*  4 */ IF(BPF_JEQ, ETH_P_IPV6, TO(18, 4), 0),
        /*  5 */ IF(BPF_JEQ, ETH_P_8021Q, TO(SHORT, 5), 0),
        /*  6 */ IF(BPF_JEQ, ETH_P_8021AD, TO(SHORT, 6), 0),
        /*  7 */ IF(BPF_JEQ, ETH_P_QINQ1, TO(SHORT, 7), TO(NONE, 7)),
        /* IPv4: UDP, neither later fragment nor options, with the port of DNS */
        /*  8 */ LOAD(BPF_B, NETWORK(9)),
        /*  9 */ IF(BPF_JEQ, IPPROTO_UDP, 0, TO(SHORT, 9)),
        /* 10 */ LOAD(BPF_H, NETWORK(6)),
        /* 11 */ IF(BPF_JSET, 0x1fff, TO(SHORT, 11), 0),
        /* 12 */ LOAD(BPF_B, NETWORK(0)),
        /* 13 */ IF(BPF_JEQ, 0x45, 0, TO(SHORT, 13)),
        /* 14 */ LOAD(BPF_H, NETWORK(20)),
        /* 15 */ IF(BPF_JEQ, 53, TO(LONG, 15), 0),
        /* 16 */ LOAD(BPF_H, NETWORK(22)),
        /* 17 */ IF(BPF_JEQ, 53, TO(LONG, 17), TO(SHORT, 17)),
        /* IPv6: UDP right behind its header */
        /* 18 */ LOAD(BPF_B, NETWORK(6)),
        /* 19 */ IF(BPF_JEQ, IPPROTO_UDP, 0, TO(SHORT, 19)),
        /* 20 */ LOAD(BPF_H, NETWORK(40)),
        /* 21 */ IF(BPF_JEQ, 53, TO(LONG, 21), 0),
        /* 22 */ LOAD(BPF_H, NETWORK(42)),
        /* 23 */ IF(BPF_JEQ, 53, TO(LONG, 23), TO(SHORT, 23)),
        /* LONG */ RETURN(DNS_BYTES),
        /* SHORT */ RETURN(HEADERS_BYTES),
        /* NONE */ RETURN(0),
    };
    if (direction == CAPTURE_OUT)
        code[1] = (struct sock_filter)IF(BPF_JEQ, PACKET_OUTGOING, 0, TO(NONE, 1));
#undef TO
    const struct sock_fprog program = {.len = COUNT_OF(code), .filter = code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

static const struct {
    int number;
    enum packet_link link;
} links[] = {
    {DLT_EN10MB, PACKET_LINK_ETHERNET},
    {DLT_RAW, PACKET_LINK_RAW},
    {DLT_IPV4, PACKET_LINK_RAW},
    {DLT_IPV6, PACKET_LINK_RAW},
    {DLT_LINUX_SLL, PACKET_LINK_SLL},
    {DLT_LINUX_SLL2, PACKET_LINK_SLL2},
};

static enum err find_link(struct network_capture *capture, const char *device, struct why *why)
{
    int number = pcap_datalink(capture->pcap);
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        if (links[i].number == number) {
            capture->link = links[i].link;
            return ERR_NONE;
        }
    }
    const char *name = pcap_datalink_val_to_name(number);
    return fail(ERR_REFUSED, why, "%s: its link type, %s, is none that is understood", device,
        name == NULL ? "unknown" : name);
}

static enum err activate(
    struct network_capture *capture, const char *device, size_t buffer_bytes, struct why *why)
{
    char text[PCAP_ERRBUF_SIZE] = "";
    pcap_t *pcap = capture->pcap = pcap_create(device, text);
    if (pcap == NULL)
        return fail(ERR_MEMORY, why, "%s: %s", device, text);
    (void)pcap_set_snaplen(pcap, (int)DNS_BYTES);
    (void)pcap_set_promisc(pcap, 0);
    (void)pcap_set_timeout(pcap, CAPTURE_HOLD_MS);
    (void)pcap_set_buffer_size(pcap, buffer_bytes > INT_MAX ? INT_MAX : (int)buffer_bytes);
    int status = pcap_activate(pcap);
    if (status == PCAP_ERROR_NO_SUCH_DEVICE || status == PCAP_ERROR_IFACE_NOT_UP)
        return fail(ERR_NOT_FOUND, why, "%s: %s", device, pcap_statustostr(status));
    if (status < 0)
        return fail(ERR_REFUSED, why, "%s: %s%s%s", device, pcap_statustostr(status),
            pcap_geterr(pcap)[0] == '\0' ? "" : ": ", pcap_geterr(pcap));
    if (pcap_setnonblock(pcap, 1, text) != 0)
        return fail(ERR_IO, why, "%s: %s", device, text);
    return ERR_NONE;
}

/* What passed the filter and found room; wraps. */
static uint32_t arrived(struct network_capture *capture)
{
    struct pcap_stat stat;
    if (pcap_stats(capture->pcap, &stat) != 0)
        return capture->read;
    capture->lost = stat.ps_drop;
    return stat.ps_recv - stat.ps_drop;
}

enum err capture_open(const char *device, enum capture_direction direction, size_t buffer_bytes,
    struct network_capture **ret_capture, struct why *why)
{
    struct network_capture *capture = mem_alloc(sizeof(*capture));
    if (capture == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    capture->direction = direction;
    capture->until_us = INT64_MAX;
    enum err err = activate(capture, device, buffer_bytes, why);
    if (err == ERR_NONE)
        err = find_link(capture, device, why);
    if (err == ERR_NONE && !set_filter(pcap_fileno(capture->pcap), direction))
        err = fail(ERR_REFUSED, why, "%s: filter: %s", device, strerror(errno));
    if (err != ERR_NONE) {
        capture_close(capture);
        return err;
    }
    *ret_capture = capture;
    return ERR_NONE;
}

void capture_begin(struct network_capture *capture, int64_t from_us)
{
    capture->from_us = from_us;
    capture->settling = SETTLING_READS;
    (void)arrived(capture); /* what was lost until now was not ours */
}

bool capture_is_of(const struct network_capture *capture, unsigned interface)
{
    /* The kernel takes the index away from a socket whose interface goes. */
    struct sockaddr_ll bound = {0};
    socklen_t len = sizeof(bound);
    return getsockname(pcap_fileno(capture->pcap), (struct sockaddr *)&bound, &len) == 0 &&
           bound.sll_ifindex == (int)interface;
}

void capture_close(struct network_capture *capture)
{
    if (capture == NULL)
        return;
    if (capture->pcap != NULL)
        pcap_close(capture->pcap);
    mem_free(capture);
}

int capture_fd(const struct network_capture *capture)
{
    return pcap_get_selectable_fd(capture->pcap);
}

static void take(unsigned char *self, const struct pcap_pkthdr *header, const unsigned char *bytes)
{
    struct network_capture *capture = (struct network_capture *)(void *)self;
    capture->read++;
    int64_t time_us = (int64_t)header->ts.tv_sec * 1000000 + header->ts.tv_usec;
    if (capture->settling > 0) {
        capture->settling = time_us < capture->from_us ? capture->settling - 1 : 0;
        if (capture->settling > 0)
            return;
    }
    if (time_us >= capture->until_us)
        return;
    capture->packet(capture->self, capture->direction, capture->link,
        (struct span){(const char *)bytes, header->caplen}, header->len);
}

bool capture_read(struct network_capture *capture, int most, capture_packet *packet, void *self)
{
    capture->packet = packet;
    capture->self = self;
    /* An error is that of an interface that went down or away: who watches it hears of that. */
    return pcap_dispatch(capture->pcap, most, take, (unsigned char *)capture) >= most;
}

uint64_t capture_lost(struct network_capture *capture)
{
    uint32_t before = capture->lost;
    (void)arrived(capture);
    uint64_t lost = capture->lost - before;
    return capture->direction == CAPTURE_LOOP ? 2 * lost : lost;
}

void capture_mark(struct network_capture *capture)
{
    uint32_t before = capture->lost;
    capture->marked = arrived(capture);
    capture->lost = before; /* for capture_lost() to tell */
}

bool capture_passed_mark(struct network_capture *capture)
{
    return (int32_t)(capture->read - capture->marked) >= 0;
}

void capture_end(struct network_capture *capture, int64_t until_us)
{
    struct sock_filter code[] = {RETURN(0)};
    const struct sock_fprog program = {.len = COUNT_OF(code), .filter = code};
    (void)setsockopt(
        pcap_fileno(capture->pcap), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
    capture->until_us = until_us;
    capture_mark(capture);
}
