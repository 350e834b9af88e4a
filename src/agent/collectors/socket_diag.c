/* SPDX-License-Identifier: Apache-2.0 */
#include "socket_diag.h"

#include "file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES 16384u
#define FILE_BYTES_MAX (1024u * 1024)

/* include/net/tcp_states.h; a UDP socket that is not connected is closed. */
enum { STATE_TIME_WAIT = 6, STATE_CLOSED = 7, STATE_LISTEN = 10 };

enum err socket_diag_open(struct socket_diag *ret_diag, struct why *why)
{
    const struct timeval patience = {.tv_sec = 1};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return fail(ERR_REFUSED, why, "sock_diag: %s", strerror(errno));
    /* It answers at once; were it not so, the collector would go on without. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    *ret_diag = (struct socket_diag){.fd = fd};
    return ERR_NONE;
}

void socket_diag_close(struct socket_diag *diag)
{
    if (diag->fd >= 0)
        close(diag->fd);
    diag->fd = -1;
}

static bool ask(
    struct socket_diag *diag, const struct inet_diag_req_v2 *request, unsigned short flags)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } message = {.header = {.nlmsg_len = sizeof(message),
                     .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                     .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags),
                     .nlmsg_seq = ++diag->sequence},
        .request = *request};
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    return sendto(diag->fd, &message, sizeof(message), 0, (const struct sockaddr *)&kernel,
               sizeof(kernel)) == (ssize_t)sizeof(message);
}

static void facts_of(
    const struct inet_diag_msg *said, enum packet_protocol protocol, struct socket_facts *ret_facts)
{
    *ret_facts = (struct socket_facts){.ipv6 = said->idiag_family == AF_INET6,
        .protocol = protocol,
        .local_port = ntohs(said->id.idiag_sport),
        .user_id = said->idiag_uid,
        .inode = said->idiag_inode};
    memcpy(ret_facts->local.bytes, said->id.idiag_src, ret_facts->ipv6 ? 16 : 4);
}

/* Reads one datagram of answers; more come while it returns true. `*ret_err` is set when the
 * kernel says so. */
static bool take_answers(struct socket_diag *diag, enum packet_protocol protocol,
    socket_found *found, void *self, enum err *ret_err)
{
    _Alignas(struct nlmsghdr) char bytes[ANSWER_BYTES];
    ssize_t len;
    do
        len = recv(diag->fd, bytes, sizeof(bytes), 0);
    while (len < 0 && errno == EINTR);
    if (len <= 0) {
        *ret_err = ERR_IO;
        return false;
    }
    size_t left = (size_t)len;
    for (const struct nlmsghdr *header = (const struct nlmsghdr *)bytes;
         left >= sizeof(*header) && header->nlmsg_len >= sizeof(*header) &&
         header->nlmsg_len <= left;) {
        size_t size = NLMSG_ALIGN((size_t)header->nlmsg_len);
        bool ours = header->nlmsg_seq == diag->sequence;
        if (ours && header->nlmsg_type == NLMSG_DONE)
            return false;
        if (ours && header->nlmsg_type == NLMSG_ERROR) {
            *ret_err = ERR_NOT_FOUND;
            return false;
        }
        if (ours && header->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
            header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg))) {
            struct socket_facts facts;
            facts_of(NLMSG_DATA(header), protocol, &facts);
            found(self, &facts);
            if ((header->nlmsg_flags & NLM_F_MULTI) == 0)
                return false;
        }
        if (size >= left)
            break;
        left -= size;
        header = (const struct nlmsghdr *)((const char *)header + size);
    }
    return true;
}

static void keep_one(void *self, const struct socket_facts *facts)
{
    *(struct socket_facts *)self = *facts;
}

bool socket_diag_find(
    struct socket_diag *diag, const struct flow_key *key, struct socket_facts *ret_facts)
{
    bool udp = key->protocol == PACKET_UDP;
    if (diag->fd < 0 || (!udp && key->protocol != PACKET_TCP))
        return false;
    struct inet_diag_req_v2 request = {.sdiag_family = key->ipv6 ? AF_INET6 : AF_INET,
        .sdiag_protocol = udp ? IPPROTO_UDP : IPPROTO_TCP,
        .idiag_states = UINT32_MAX,
        .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}};
    /* The kernel takes the two ends of UDP the other way round ("for historical reasons"). */
    const struct packet_address *source = udp ? &key->remote : &key->local;
    const struct packet_address *destination = udp ? &key->local : &key->remote;
    memcpy(request.id.idiag_src, source->bytes, 16);
    memcpy(request.id.idiag_dst, destination->bytes, 16);
    request.id.idiag_sport = htons(udp ? key->remote_port : key->local_port);
    request.id.idiag_dport = htons(udp ? key->local_port : key->remote_port);
    struct socket_facts facts = {0};
    enum err err = ERR_NONE;
    if (!ask(diag, &request, 0))
        return false;
    while (take_answers(diag, (enum packet_protocol)key->protocol, keep_one, &facts, &err))
        ;
    if (err != ERR_NONE || facts.inode == 0)
        return false;
    *ret_facts = facts;
    return true;
}

static const struct kind {
    unsigned char family;
    unsigned char number;
    enum packet_protocol protocol;
    uint32_t states;
    const char *file;
} kinds[] = {
    {AF_INET, IPPROTO_TCP, PACKET_TCP, 1u << STATE_LISTEN, "tcp"},
    {AF_INET6, IPPROTO_TCP, PACKET_TCP, 1u << STATE_LISTEN, "tcp6"},
    {AF_INET, IPPROTO_UDP, PACKET_UDP, 1u << STATE_CLOSED, "udp"},
    {AF_INET6, IPPROTO_UDP, PACKET_UDP, 1u << STATE_CLOSED, "udp6"},
};

enum err socket_diag_listening(struct socket_diag *diag, socket_found *found, void *self)
{
    size_t answered = 0;
    enum err failed = ERR_NONE;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const struct inet_diag_req_v2 request = {.sdiag_family = kinds[i].family,
            .sdiag_protocol = kinds[i].number,
            .idiag_states = kinds[i].states};
        enum err err = ERR_NONE;
        if (!ask(diag, &request, NLM_F_DUMP))
            return ERR_REFUSED;
        while (take_answers(diag, kinds[i].protocol, found, self, &err))
            ;
        /* A kernel without IPv6 has no answer for it. */
        if (err == ERR_NONE)
            answered++;
        else
            failed = err;
    }
    return answered > 0 ? ERR_NONE : failed;
}

/* ---- /proc/net ---- */

static bool next_field(struct span *rest, struct span *ret_field)
{
    *rest = span_trim(*rest);
    return rest->len > 0 && span_cut(rest, ' ', ret_field);
}

static bool hex(struct span digits, uint32_t *ret_value)
{
    uint32_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16u;
        if (digit > 15)
            return false;
        value = value << 4 | digit;
    }
    *ret_value = value;
    return digits.len > 0 && digits.len <= 8;
}

/* The kernel prints addresses as words of the machine's own byte order. */
static bool parse_address(struct span text, bool ipv6, struct socket_facts *facts)
{
    struct span address;
    uint32_t word, port;
    size_t words = ipv6 ? 4 : 1;
    if (!span_cut(&text, ':', &address) || address.len != words * 8 || text.len != 4 ||
        !hex(text, &port))
        return false;
    for (size_t i = 0; i < words; i++) {
        if (!hex(span_first(span_from(address, i * 8), 8), &word))
            return false;
        memcpy(facts->local.bytes + i * 4, &word, 4);
    }
    facts->local_port = (uint16_t)port;
    return true;
}

bool socket_file_parse(
    struct span line, bool ipv6, enum packet_protocol protocol, struct socket_facts *ret_facts)
{
    /* sl local remote state queues timer retransmits uid timeout inode … */
    struct socket_facts facts = {.ipv6 = ipv6, .protocol = protocol};
    struct span fields[10];
    uint64_t user, inode;
    uint32_t state;
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (!next_field(&line, &fields[i]))
            return false;
    if (!parse_address(fields[1], ipv6, &facts) || !hex(fields[3], &state) ||
        state != (protocol == PACKET_TCP ? STATE_LISTEN : STATE_CLOSED) ||
        !span_u64(fields[7], UINT32_MAX, &user) || !span_u64(fields[9], UINT64_MAX, &inode))
        return false;
    facts.user_id = (uint32_t)user;
    facts.inode = inode;
    *ret_facts = facts;
    return true;
}

enum err socket_files_listening(const char *net_dir, socket_found *found, void *self)
{
    enum err err = ERR_IO;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        AUTO(buf_done) struct buf text = BUF_EMPTY;
        if (!file_read(net_dir, kinds[i].file, FILE_BYTES_MAX, &text))
            continue;
        err = ERR_NONE;
        struct span rest = buf_span(&text), line;
        struct socket_facts facts;
        while (span_cut(&rest, '\n', &line))
            if (socket_file_parse(line, kinds[i].family == AF_INET6, kinds[i].protocol, &facts))
                found(self, &facts);
    }
    return err;
}
