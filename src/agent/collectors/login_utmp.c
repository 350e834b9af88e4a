/* SPDX-License-Identifier: Apache-2.0 */
#include "login_utmp.h"

#include <arpa/inet.h>

static struct span text_of(const char *bytes, size_t size)
{
    return (struct span){bytes, strnlen(bytes, size)};
}

/* A field of text: no control bytes before its end, and nothing but NUL behind. A user's name may
 * be anything that was typed, but line and host are written by programs. */
static bool is_text(const char *bytes, size_t size)
{
    size_t len = strnlen(bytes, size);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7F)
            return false;
    return true;
}

static bool is_record(const struct utmpx *record)
{
    if (record->ut_type < EMPTY || record->ut_type > 9 /* ACCOUNTING */ || record->ut_pid < 0 ||
        record->ut_tv.tv_usec < 0 || record->ut_tv.tv_usec >= 1000000)
        return false;
    if (!is_text(record->ut_line, sizeof(record->ut_line)) ||
        !is_text(record->ut_id, sizeof(record->ut_id)))
        return false;
    for (size_t i = 0; i < sizeof(record->__glibc_reserved); i++)
        if (record->__glibc_reserved[i] != 0)
            return false;
    return record->ut_tv.tv_sec > 0 &&
           (record->ut_type != USER_PROCESS || record->ut_line[0] != '\0');
}

static bool is_zero(struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.ptr[i] != '\0')
            return false;
    return true;
}

static void set_address(struct login_utmp *utmp)
{
    const struct utmpx *record = &utmp->record;
    const int32_t *words = record->ut_addr_v6;
    struct span host = text_of(record->ut_host, sizeof(record->ut_host));
    char copy[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    bool v6 = (words[1] | words[2] | words[3]) != 0;
    utmp->event.address = SPAN_LIT(LOGIN_LOCAL);
    if (v6 || words[0] != 0)
        (void)inet_ntop(v6 ? AF_INET6 : AF_INET, words, utmp->address, sizeof(utmp->address));
    else if (span_copy(host, copy, sizeof(copy)) && inet_pton(AF_INET6, copy, bytes) == 1)
        (void)inet_ntop(AF_INET6, bytes, utmp->address, sizeof(utmp->address));
    else if (span_copy(host, copy, sizeof(copy)) && inet_pton(AF_INET, copy, bytes) == 1)
        (void)inet_ntop(AF_INET, bytes, utmp->address, sizeof(utmp->address));
    if (utmp->address[0] != '\0')
        utmp->event.address = span_of(utmp->address);
}

void login_utmp_parse(enum login_source source, struct span bytes, struct login_utmp *ret_utmp)
{
    must(bytes.len == LOGIN_UTMP_BYTES);
    struct login_utmp *utmp = ret_utmp;
    *utmp = (struct login_utmp){.kind = LOGIN_UTMP_TORN};
    struct utmpx *record = &utmp->record;
    memcpy(record, bytes.ptr, sizeof(*record));
    if (is_zero(bytes)) { /* what a file of a crashed machine is filled with */
        utmp->kind = LOGIN_UTMP_OTHER;
        return;
    }
    if (!is_record(record))
        return;
    /* In wtmp a LOGIN_PROCESS is getty waiting for somebody. */
    utmp->kind = record->ut_type == USER_PROCESS                            ? LOGIN_UTMP_IN
                 : source == LOGIN_BTMP && record->ut_type == LOGIN_PROCESS ? LOGIN_UTMP_IN
                 : record->ut_type == DEAD_PROCESS                          ? LOGIN_UTMP_OUT
                 : record->ut_type == BOOT_TIME                             ? LOGIN_UTMP_BOOT
                                                                            : LOGIN_UTMP_OTHER;
    struct login_event *event = &utmp->event;
    event->source = source;
    event->operation = source == LOGIN_BTMP           ? LOGIN_FAILED
                       : utmp->kind == LOGIN_UTMP_OUT ? LOGIN_OUT
                                                      : LOGIN_IN;
    event->time_us = (int64_t)record->ut_tv.tv_sec * 1000000 + record->ut_tv.tv_usec;
    event->process_id = (uint32_t)record->ut_pid;
    event->user = text_of(record->ut_user, sizeof(record->ut_user));
    event->terminal = text_of(record->ut_line, sizeof(record->ut_line));
    set_address(utmp);
}
