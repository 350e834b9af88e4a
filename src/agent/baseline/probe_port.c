/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "port": whether somebody listens at a port for more than this machine itself, by the tables of
 * /proc/net, which take the kernel a while to write and so are read once a scan. A machine without
 * IPv6 has no table of it.
 */
#include "probe_priv.h"

struct table {
    const char *protocol;
    const char *paths[2];
    const char *state; /* of a socket that waits for others */
};

/* The network of process 1, if we may look: this process may have been given another. */
static const struct table tables[] = {
    {"tcp", {"/proc/1/net/tcp", "/proc/self/net/tcp"}, "0A"},
    {"tcp", {"/proc/1/net/tcp6", "/proc/self/net/tcp6"}, "0A"},
    {"udp", {"/proc/1/net/udp", "/proc/self/net/udp"}, "07"},
    {"udp", {"/proc/1/net/udp6", "/proc/self/net/udp6"}, "07"},
};

static bool hex(struct span text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 16)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit == 16)
            return false;
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

/* The kernel writes addresses in words of the machine's own byte order. 127.0.0.0/8, ::1 and
 * ::ffff:127.0.0.0/104 do not leave the machine. */
static bool is_loopback(struct span address)
{
    uint32_t words[4] = {0};
    size_t count = address.len / 8;
    unsigned char bytes[16];
    if (address.len % 8 != 0 || (count != 1 && count != 4))
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (!hex((struct span){address.ptr + 8 * i, 8}, &value))
            return false;
        words[i] = (uint32_t)value;
    }
    memcpy(bytes, words, sizeof(bytes));
    static const unsigned char one[16] = {[15] = 1};
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (count == 1)
        return bytes[0] == 127;
    return memcmp(bytes, one, sizeof(one)) == 0 ||
           (memcmp(bytes, mapped, sizeof(mapped)) == 0 && bytes[12] == 127);
}

struct ports {
    enum looked looked;
    struct why why;
    unsigned char open[2][65536 / 8]; /* tcp, udp: a bit a port */
};

/* "   0: 0100007F:0CEA 00000000:0000 0A …" */
static void read_line(struct span line, const struct table *table, struct ports *ports)
{
    struct span word, local, state;
    uint64_t port;
    if (!next_word(&line, &word) || !next_word(&line, &local) || !next_word(&line, &word) ||
        !next_word(&line, &state) || !span_is(state, table->state))
        return;
    size_t colon = span_find(local, ':');
    if (hex(span_from(local, colon + 1), &port) && port <= UINT16_MAX &&
        !is_loopback(span_first(local, colon)))
        ports->open[table->protocol[0] == 'u'][port / 8] |= (unsigned char)(1u << port % 8);
}

static void read_table(struct context *context, const struct table *table, struct ports *ports)
{
    struct lines lines;
    struct span line;
    struct why why = {""};
    enum looked looked = lines_open(&context->root, table->paths[0], &lines, &why);
    if (looked != LOOKED_FOUND)
        looked = lines_open(&context->root, table->paths[1], &lines, &why);
    if (looked == LOOKED_FOUND) {
        while (lines_next(&lines, &line))
            read_line(line, table, ports);
        if (!lines_check(&lines, table->paths[0], &why))
            looked = LOOKED_FAILED;
        lines_close(&lines);
    }
    if (looked == LOOKED_FAILED || (looked == LOOKED_MISSING && ports->looked == LOOKED_MISSING))
        ports->why = why;
    if (looked != LOOKED_MISSING)
        ports->looked = looked;
}

/* NULL without memory. */
static const struct ports *load(struct context *context)
{
    if (context->ports != NULL)
        return context->ports;
    struct ports *ports = arena_alloc(&context->arena, sizeof(*ports));
    if (ports == NULL)
        return NULL;
    ports->looked = LOOKED_MISSING;
    for (size_t i = 0; i < COUNT_OF(tables) && ports->looked != LOOKED_FAILED; i++)
        read_table(context, &tables[i], ports);
    context->ports = ports;
    return ports;
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    const char *protocol = arg_text(args, "protocol");
    bool wanted = arg_bool(args, "beyond_loopback", false);
    const struct ports *ports = load(context);
    int64_t port = 0;
    (void)arg_int(args, "port", &port);
    if (ports == NULL)
        return no_memory(why);
    if (ports->looked != LOOKED_FOUND) {
        *why = ports->why;
        return BASELINE_ERROR;
    }
    bool found = port <= UINT16_MAX &&
                 (ports->open[protocol[0] == 'u'][port / 8] >> (unsigned)port % 8 & 1) != 0;
    why_set(why, "%s listens at %s port %lld for other machines", found ? "somebody" : "nobody",
        protocol, (long long)port);
    return pass_if(found == wanted);
}

static const char *const protocols[] = {"tcp", "udp", NULL};

static const struct probe_arg args_table[] = {
    {.name = "protocol", .kind = ARG_CHOICE, .choices = protocols, .required = true},
    {.name = "port", .kind = ARG_COUNT, .required = true},
    {.name = "beyond_loopback", .kind = ARG_BOOL, .required = true},
    {.name = NULL},
};

const struct probe port_probe = {.name = "port", .args = args_table, .run = run};
