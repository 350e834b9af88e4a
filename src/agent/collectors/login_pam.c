/* SPDX-License-Identifier: Apache-2.0 */
#include "login_pam.h"

#include "clock.h"

/* Services whose stack includes the common one, but that nobody logs in through. */
static const char *const others[] = {"atd", "chsh", "chfn", "chpasswd", "cron", "crond", "passwd",
    "polkit-1", "runuser", "runuser-l", "su", "su-l", "sudo", "sudo-i", "systemd-user"};

/* Takes what stands behind the last comma. */
static bool cut_last(struct span *rest, struct span *ret_part)
{
    size_t at = rest->len;
    while (at > 0 && rest->ptr[at - 1] != ',')
        at--;
    if (at == 0)
        return false;
    *ret_part = span_from(*rest, at);
    *rest = span_first(*rest, at - 1);
    return true;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes the script's escapes, into at most `size` bytes. */
static struct span decode(struct span field, char *ret_bytes, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < field.len && len < size; i++) {
        int high = -1, low = -1;
        if (field.ptr[i] == '%' && i + 2 < field.len) {
            high = digit_of(field.ptr[i + 1]);
            low = digit_of(field.ptr[i + 2]);
        }
        bool escape = high >= 0 && low >= 0;
        ret_bytes[len++] = escape ? (char)(high * 16 + low) : field.ptr[i];
        i += escape ? 2 : 0;
    }
    return (struct span){ret_bytes, len};
}

bool login_pam_parse(struct span line, char scratch[LOGIN_USER_MAX + LOGIN_ADDRESS_MAX],
    struct login_event *ret_event)
{
    struct span time, seconds, pid, type, service, host, terminal, code;
    struct login_event event = {.source = LOGIN_PAM};
    uint64_t number, operation;
    if (!span_cut(&line, ',', &time) || !span_cut(&line, ',', &seconds) ||
        !span_cut(&line, ',', &pid) || !span_cut(&line, ',', &type) ||
        !span_cut(&line, ',', &service) || !cut_last(&line, &code) || !cut_last(&line, &terminal) ||
        !cut_last(&line, &host))
        return false;
    if (!span_u64(span_trim(code), LOGIN_FAILED, &operation) ||
        !span_u64(pid, INT32_MAX, &number) || clock_parse(time, &event.time_us, NULL) != ERR_NONE)
        return false;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (span_is(service, others[i]))
            return false;
    event.operation = (enum login_operation)operation;
    event.process_id = (uint32_t)number;
    event.user = decode(line, scratch, LOGIN_USER_MAX);
    event.address = decode(host, scratch + LOGIN_USER_MAX, LOGIN_ADDRESS_MAX);
    if (event.address.len == 0)
        event.address = SPAN_LIT(LOGIN_LOCAL);
    event.terminal = terminal;
    if (span_starts(terminal, SPAN_LIT("/dev/")))
        event.terminal = span_from(terminal, 5);
    *ret_event = event;
    return true;
}
