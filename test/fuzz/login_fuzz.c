/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the system's log and of the PAM log, and records of utmp: anybody who tries to log in
 * writes some of their bytes. */
#include "login_line.h"
#include "login_pam.h"
#include "login_utmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct span part, struct span whole)
{
    must(part.len <= whole.len);
    must(part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len) ||
         span_is(part, LOGIN_LOCAL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct login_line line;
    if (login_line_parse(text, INT64_C(1795845200) * 1000000, &line)) {
        check_within(line.user, text);
        check_within(line.terminal, text);
        check_within(line.address, text);
    }
    login_message_parse(SPAN_LIT("sshd"), text, &line);
    check_within(line.user, text);
    check_within(line.address, text);
    must(line.repeated <= LOGIN_REPEATED_MAX);

    char scratch[LOGIN_USER_MAX + LOGIN_ADDRESS_MAX];
    struct login_event event;
    if (login_pam_parse(text, scratch, &event))
        must(event.user.len <= LOGIN_USER_MAX && event.address.len <= LOGIN_ADDRESS_MAX);

    struct login_utmp utmp;
    if (size >= LOGIN_UTMP_BYTES)
        login_utmp_parse(LOGIN_WTMP, span_first(text, LOGIN_UTMP_BYTES), &utmp);
    return 0;
}
