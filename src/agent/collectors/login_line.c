/* SPDX-License-Identifier: Apache-2.0 */
#include "login_line.h"

#include "clock.h"

#include <arpa/inet.h>
#include <time.h>

/* sshd cuts its messages at 1023 bytes; near that the end of one is no longer its own. */
#define CUT_FROM 1000u

/* The programs that people log in through, by the name that PAM gives their service. sudo, su and
 * cron open sessions too, but for who is there already. */
static const char *const services[] = {
    "login", "remote", "gdm-password", "gdm-autologin", "lightdm", "sddm", "xdm"};

static const char *const ssh_programs[] = {"sshd", "sshd-session", "sshd-auth"};

static bool is_one_of(struct span word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(word, words[i]))
            return true;
    return false;
}

static bool skip(struct span *rest, const char *start)
{
    if (!span_starts(*rest, span_of(start)))
        return false;
    *rest = span_from(*rest, strlen(start));
    return true;
}

/* Where a text begins last, or first; the length if it is not there. */
static size_t find(struct span text, const char *what, bool last)
{
    size_t len = strlen(what), found = text.len;
    for (size_t i = 0; len <= text.len && i <= text.len - len; i++) {
        if (memcmp(text.ptr + i, what, len) != 0)
            continue;
        found = i;
        if (!last)
            break;
    }
    return found;
}

static bool is_address(struct span text)
{
    char copy[INET6_ADDRSTRLEN + 20];
    unsigned char bytes[16];
    text = span_first(text, span_find(text, '%')); /* fe80::1%eth0 */
    return span_copy(text, copy, sizeof(copy)) &&
           (inet_pton(AF_INET, copy, bytes) == 1 || inet_pton(AF_INET6, copy, bytes) == 1);
}

/* Reads "ADDRESS port N", and " ssh2" where that belongs; what follows may be more of sshd's. */
static bool parse_peer(struct span text, const char *end, bool whole, struct span *ret_address)
{
    struct span address, word, port;
    uint64_t number;
    if (!span_cut(&text, ' ', &address) || !span_cut(&text, ' ', &word) || !span_is(word, "port"))
        return false;
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    port = span_first(text, digits);
    text = span_from(text, digits);
    if (!span_u64(port, 65535, &number) || !is_address(address) || !skip(&text, end))
        return false;
    if (whole ? text.len > 0 : text.len > 0 && text.ptr[0] != ':')
        return false;
    *ret_address = address;
    return true;
}

/* Reads "USER from ADDRESS port N…". */
static void parse_who(struct span text, const char *end, bool stranger, struct login_line *line)
{
    size_t at = find(text, " from ", stranger);
    line->user = span_first(text, at);
    if (text.len >= CUT_FROM && stranger)
        return;
    struct span peer = span_from(text, at + strlen(" from "));
    if (!parse_peer(peer, end, stranger, &line->address) && stranger)
        line->user = text; /* cut, or not of that form: nothing tells where the name ends */
}

static void parse_sshd(struct span rest, struct login_line *line)
{
    struct span method;
    if (skip(&rest, "Invalid user ")) {
        line->kind = LOGIN_LINE_INVALID;
        parse_who(rest, "", true, line);
        return;
    }
    bool accepted = skip(&rest, "Accepted ");
    if (!accepted && !skip(&rest, "Failed "))
        return;
    if (!span_cut(&rest, ' ', &method) || !skip(&rest, "for "))
        return;
    bool stranger = !accepted && skip(&rest, "invalid user ");
    line->kind = accepted   ? LOGIN_LINE_ACCEPTED
                 : stranger ? LOGIN_LINE_FAILED_INVALID
                            : LOGIN_LINE_FAILED;
    /* "none" is how a client asks what it may try. */
    if (span_is(method, "none") && !accepted)
        line->kind = LOGIN_LINE_OTHER;
    parse_who(rest, " ssh2", stranger, line);
    if (!stranger && line->address.len == 0)
        line->kind = LOGIN_LINE_OTHER;
}

static struct span value_of(struct span text, const char *name)
{
    size_t at = find(text, name, false);
    struct span value = span_from(text, at + strlen(name));
    return span_first(value, span_find(value, ' '));
}

/* "pam_unix(SERVICE:session): session opened for user NAME(uid=0) by …" and its like. */
static void parse_pam(struct span rest, bool ssh, struct login_line *line)
{
    struct span service, type;
    if (!span_cut(&rest, ':', &service) || !span_cut(&rest, ')', &type) || !skip(&rest, ": "))
        return;
    bool ours = ssh ? span_is(service, "sshd") : is_one_of(service, services, COUNT_OF(services));
    if (!ours)
        return;
    if (span_is(type, "session")) {
        bool opened = skip(&rest, "session opened for user ");
        if (!opened && !skip(&rest, "session closed for user "))
            return;
        line->user = span_first(rest, span_find(rest, ' '));
        line->user = span_first(line->user, span_find(line->user, '('));
        /* What sshd opens it has accepted, and said so. */
        if (!opened || !ssh)
            line->kind = opened ? LOGIN_LINE_OPENED : LOGIN_LINE_CLOSED;
    } else if (span_is(type, "auth") && !ssh && skip(&rest, "authentication failure; ")) {
        /* The name stands last; the blanks in it are the guest's, and its "rhost=" too. */
        size_t at = find(rest, " user=", false);
        struct span before = span_first(rest, at);
        line->kind = LOGIN_LINE_FAILED;
        line->user = span_from(rest, at + strlen(" user="));
        line->terminal = value_of(before, "tty=");
        line->address = value_of(before, "rhost=");
    }
    (void)skip(&line->terminal, "/dev/");
    if (!ssh && line->address.len == 0)
        line->address = SPAN_LIT(LOGIN_LOCAL);
}

void login_message_parse(struct span program, struct span message, struct login_line *ret_line)
{
    struct login_line line = {.repeated = 1, .program = program};
    bool ssh = is_one_of(program, ssh_programs, COUNT_OF(ssh_programs));
    struct span rest = message, number;
    uint64_t times;
    if (skip(&rest, "message repeated ") && span_cut(&rest, ' ', &number) &&
        span_u64(number, LOGIN_REPEATED_MAX, &times) && skip(&rest, "times: [ ") && rest.len > 0 &&
        rest.ptr[rest.len - 1] == ']') {
        line.repeated = (uint32_t)times;
        message = span_first(rest, rest.len - 1);
    }
    rest = message;
    if (skip(&rest, "pam_unix("))
        parse_pam(rest, ssh, &line);
    else if (ssh)
        parse_sshd(message, &line);
    *ret_line = line;
}

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static int two_digits(const char *text)
{
    if (text[1] < '0' || text[1] > '9')
        return -1;
    if (text[0] == ' ')
        return text[1] - '0';
    return text[0] < '0' || text[0] > '9' ? -1 : (text[0] - '0') * 10 + text[1] - '0';
}

/* "Nov 28 05:53:17", local time. The year is the one that puts it nearest before now. */
static bool parse_traditional(struct span text, int64_t now_us, int64_t *ret_us)
{
    if (text.len < 15 || text.ptr[3] != ' ' || text.ptr[6] != ' ' || text.ptr[9] != ':' ||
        text.ptr[12] != ':')
        return false;
    int month = -1;
    for (int i = 0; i < 12; i++)
        if (memcmp(months + (size_t)i * 3, text.ptr, 3) == 0)
            month = i;
    int day = two_digits(text.ptr + 4), hour = two_digits(text.ptr + 7);
    int minute = two_digits(text.ptr + 10), second = two_digits(text.ptr + 13);
    if (month < 0 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 60)
        return false;
    time_t now = (time_t)(now_us / 1000000);
    struct tm local;
    if (localtime_r(&now, &local) == NULL)
        return false;
    int year = local.tm_year;
    for (int tries = 0; tries < 2; tries++, year--) {
        struct tm moment = {.tm_year = year,
            .tm_mon = month,
            .tm_mday = day,
            .tm_hour = hour,
            .tm_min = minute,
            .tm_sec = second,
            .tm_isdst = -1};
        time_t at = mktime(&moment);
        *ret_us = (int64_t)at * 1000000;
        if (at <= now + 86400)
            break;
    }
    return true;
}

static bool parse_time(struct span *rest, int64_t now_us, int64_t *ret_us)
{
    struct span word, line = *rest;
    if (parse_traditional(line, now_us, ret_us)) {
        *rest = span_from(line, 16);
        return true;
    }
    if (!span_cut(&line, ' ', &word) || clock_parse(word, ret_us, NULL) != ERR_NONE)
        return false;
    *rest = line;
    return true;
}

bool login_line_parse(struct span line, int64_t now_us, struct login_line *ret_line)
{
    struct span host, tag;
    int64_t time_us;
    uint64_t process_id = 0;
    if (!parse_time(&line, now_us, &time_us) || !span_cut(&line, ' ', &host))
        return false;
    size_t end = find(line, ": ", false);
    tag = span_first(line, end);
    struct span message = span_from(line, end + 2);
    size_t bracket = span_find(tag, '[');
    if (end == line.len || span_find(tag, ' ') < tag.len)
        return false;
    if (bracket < tag.len &&
        (tag.ptr[tag.len - 1] != ']' ||
            !span_u64((struct span){tag.ptr + bracket + 1, tag.len - bracket - 2}, INT32_MAX,
                &process_id)))
        return false;
    login_message_parse(span_first(tag, bracket), message, ret_line);
    ret_line->time_us = time_us;
    ret_line->process_id = (uint32_t)process_id;
    return true;
}
