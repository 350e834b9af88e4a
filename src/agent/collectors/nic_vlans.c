/* SPDX-License-Identifier: Apache-2.0 */
#include "nic_vlans.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define VLANS_MAX 4096u
#define WAIT_S 2
#define ANSWER_BYTES (32u * 1024) /* what the kernel puts into one answer at most */

/* Finds an attribute in a list of them. */
static const struct rtattr *find(const void *list, size_t len, unsigned type)
{
    const struct rtattr *at = list;
    while (len >= sizeof(*at) && at->rta_len >= sizeof(*at) && at->rta_len <= len) {
        if ((at->rta_type & NLA_TYPE_MASK) == type)
            return at;
        size_t step = RTA_ALIGN((size_t)at->rta_len);
        if (step >= len)
            break;
        len -= step;
        at = (const struct rtattr *)(const void *)((const char *)at + step);
    }
    return NULL;
}

static size_t payload_of(const struct rtattr *attribute, const void **ret_data)
{
    *ret_data = (const char *)attribute + RTA_LENGTH(0);
    return attribute->rta_len - RTA_LENGTH(0);
}

static const struct rtattr *find_in(const struct rtattr *outer, unsigned type)
{
    const void *data;
    if (outer == NULL)
        return NULL;
    size_t len = payload_of(outer, &data);
    return find(data, len, type);
}

static bool read_number(const struct rtattr *attribute, void *ret_number, size_t size)
{
    const void *data;
    if (attribute == NULL || payload_of(attribute, &data) < size)
        return false;
    memcpy(ret_number, data, size);
    return true;
}

static void take_link(const struct nlmsghdr *message, struct buf *out)
{
    struct ifinfomsg link;
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(link)))
        return;
    memcpy(&link, NLMSG_DATA(message), sizeof(link));
    const char *list = (const char *)message + NLMSG_LENGTH(NLMSG_ALIGN(sizeof(link)));
    size_t len = message->nlmsg_len - NLMSG_LENGTH(NLMSG_ALIGN(sizeof(link)));
    const struct rtattr *info = find(list, len, IFLA_LINKINFO);
    const struct rtattr *kind = find_in(info, IFLA_INFO_KIND);
    struct nic_vlan vlan = {.index = link.ifi_index};
    if (kind == NULL || kind->rta_len < RTA_LENGTH(4) ||
        memcmp((const char *)kind + RTA_LENGTH(0), "vlan", 4) != 0 ||
        !read_number(
            find_in(find_in(info, IFLA_INFO_DATA), IFLA_VLAN_ID), &vlan.id, sizeof(vlan.id)))
        return;
    /* The parent's number may be one of another network namespace. */
    if (find(list, len, IFLA_LINK_NETNSID) != NULL ||
        !read_number(find(list, len, IFLA_LINK), &vlan.parent, sizeof(vlan.parent)))
        vlan.parent = 0;
    if (out->len < VLANS_MAX * sizeof(vlan))
        buf_add(out, (struct span){(const char *)&vlan, sizeof(vlan)});
}

bool nic_vlans_parse(const void *answer, size_t len, struct buf *out)
{
    const struct nlmsghdr *message = answer;
    while (len >= sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
           message->nlmsg_len <= len) {
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return false;
        if (message->nlmsg_type == RTM_NEWLINK)
            take_link(message, out);
        size_t step = NLMSG_ALIGN((size_t)message->nlmsg_len);
        if (step >= len)
            break;
        len -= step;
        message = (const struct nlmsghdr *)(const void *)((const char *)message + step);
    }
    return true;
}

void nic_vlans_list(struct buf *out)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
    } request = {.header = {.nlmsg_len = sizeof(request),
                     .nlmsg_type = RTM_GETLINK,
                     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    const struct timeval wait = {.tv_sec = WAIT_S};
    AUTO(buf_done) struct buf answer = BUF_EMPTY;
    char *room = buf_reserve(&answer, ANSWER_BYTES);
    int fd = room == NULL ? -1 : socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    bool more = send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request);
    while (more) {
        ssize_t got = recv(fd, room, ANSWER_BYTES, 0);
        if (got < 0 && errno == EINTR)
            continue;
        more = got > 0 && nic_vlans_parse(room, (size_t)got, out);
    }
    close(fd);
}
