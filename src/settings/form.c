/* SPDX-License-Identifier: Apache-2.0 */
#include "form_priv.h"

/* The patterns say the same as the functions beside them; a test holds both against each other. */
#define PLAIN "\\u0000-\\u001f\\u007f-\\u009f"

bool form_is_plain(struct span text)
{
    if (!span_is_utf8(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7F)
            return false;
        /* U+0080 to U+009F: well-formed UTF-8 is C2 and the second byte. */
        if (c == 0xC2 && (unsigned char)text.ptr[i + 1] < 0xA0)
            return false;
    }
    return true;
}

static bool fits_check_id(struct span item)
{
    for (size_t i = 0; i < item.len; i++)
        if (item.ptr[i] <= ' ' || item.ptr[i] > '~')
            return false;
    return true;
}

/* What the kernel accepts as a name (dev_valid_name in net/core/dev.c). */
static bool fits_interface(struct span item)
{
    if (span_is(item, ".") || span_is(item, ".."))
        return false;
    for (size_t i = 0; i < item.len; i++)
        if (item.ptr[i] <= ' ' || item.ptr[i] > '~' || item.ptr[i] == '/' || item.ptr[i] == ':')
            return false;
    return true;
}

static bool fits_path(struct span item)
{
    return item.ptr[0] == '/' && form_is_plain(item);
}

static bool fits_process_event(struct span item)
{
    return span_is(item, "EXEC") || span_is(item, "FORK") || span_is(item, "EXIT");
}

static bool is_host_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
}

static bool fits_proxy(struct span text)
{
    struct span rest = text;
    struct span host = SPAN_NONE;
    struct span port = SPAN_NONE;
    struct span user = SPAN_NONE;
    uint64_t number;
    if (!form_is_plain(text))
        return false;
    if (!span_cut(&rest, ',', &host) || !span_cut(&rest, ',', &port))
        return false;
    if (host.len == 0 || host.len > 253 || host.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < host.len; i++)
        if (!is_host_byte(host.ptr[i]))
            return false;
    if (port.len > 5 || !span_u64(port, 65535, &number) || number == 0)
        return false;
    /* A password may hold commas: it is all that stands behind the user. */
    return rest.ptr == NULL || (span_cut(&rest, ',', &user) && user.len > 0 && rest.len > 0);
}

const struct setting_form form_any = {
    .allowed = "texts without control characters",
    .pattern = "[^" PLAIN "]*",
    .largest_bytes = 4000,
    .fits = form_is_plain,
};

const struct setting_form form_check_id = {
    .allowed = "ids of checks without blanks, 1 to 64 characters each",
    .pattern = "[!-+.-~-]{1,64}",
    .largest_bytes = 64,
    .fits = fits_check_id,
};

const struct setting_form form_group_name = {
    .allowed = "names of groups, 1 to 128 bytes each",
    .pattern = "[^, " PLAIN "]([^," PLAIN "]{0,126}[^, " PLAIN "])?",
    .largest_bytes = 128,
    .fits = form_is_plain,
};

const struct setting_form form_interface = {
    .allowed = "names of interfaces without '/', ':' and blanks, 1 to 15 characters each",
    .pattern = "(?!\\.{1,2}[ \\t\\r\\n]*(,|$))[!-+.0-9;-~-]{1,15}",
    .largest_bytes = 15,
    .fits = fits_interface,
};

const struct setting_form form_path = {
    .allowed = "absolute paths, which begin with '/'",
    .pattern = "/([^," PLAIN "]*[^, " PLAIN "])?",
    .largest_bytes = 4000,
    .fits = fits_path,
};

const struct setting_form form_process_event = {
    .allowed = "the words EXEC, FORK and EXIT",
    .pattern = "(EXEC|FORK|EXIT)",
    .largest_bytes = 4,
    .fits = fits_process_event,
};

const struct setting_form form_proxy = {
    .allowed = "an IPv4 address or host name and a port, or these and user and password, with "
               "commas between",
    .largest_bytes = 512,
    .fits = fits_proxy,
};
