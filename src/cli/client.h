/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the hub: signs each request (a token of the login's policy with a short life, or the
 * administrator's password), and turns what the hub refuses into its code, its sentence and, where
 * we know it, what to do next.
 */
#ifndef GEMEL_CLI_CLIENT_H
#define GEMEL_CLI_CLIENT_H

#include "cli.h"

struct call {
    const char *method;
    struct span target;      /* path and query, encoded */
    const struct json *body; /* NULL: none */
    bool is_raw;             /* in its place this goes out as it is: */
    struct span raw;
    const char *content_type;     /* NULL: JSON */
    const struct header *headers; /* besides the usual */
    size_t header_count;
    struct span etag; /* for If-Match, quoted or not; empty: no such header */
    struct span continuation;
    unsigned max_items; /* of a page; 0: as many as the hub likes */
    unsigned timeout_s; /* 0: the usual */
    bool to_the_end;    /* a signal does not break it off: who stops wants to know what it did */
};

/* Sends a call. ERR_NONE with any status of the hub; else an error of the transport. */
enum err client_send(struct cli *cli, const struct call *call, struct arena *arena,
    struct response *ret_response, struct why *why) MUST_USE;

/* Sends a call and reads the JSON of a good answer (NULL if it has no body). Any failure is printed
 * and its exit status returned. */
int client_call(struct cli *cli, const struct call *call, struct json **ret_answer);

/* The same, and prints it. */
int client_print(struct cli *cli, const struct call *call);

/* Finds a header of an answer; the empty span if there is none. */
struct span client_header(const struct response *response, const char *name);

/* Prints what the hub refused and returns EXIT_REFUSED. */
int client_refused(struct cli *cli, const struct response *response);

/* Reads the JSON of an answer; prints and returns EXIT_NO_HUB if it is none: that is no hub. */
int client_parse(struct cli *cli, const struct response *response, struct arena *arena,
    struct json **ret_answer);

/* Reads --top of lists that come in pages; `*ret_top` stays if it is not given. */
int client_top(struct cli *cli, uint64_t *ret_top);

/* Sends a call again and again, until the hub has no further page or `rows`, an array, has `top`.
 */
int client_rows(struct cli *cli, struct call *call, uint64_t top, struct json *rows);

/* Returns what to invoke, as --method-name and the options beside it say, and for how many seconds
 * that may go on. */
int client_method(struct cli *cli, struct json **ret_method, uint64_t *ret_seconds);

/* Returns "/PREFIX/{device}[/modules/{module}]?api-version=…" for the options -d and -m, or the
 * empty span without memory. */
struct span client_target(struct cli *cli, const char *prefix);

/* Returns "PREFIX/{id, encoded}SUFFIX?api-version=…" ("&api-version" behind a suffix that holds
 * '?'), or the empty span without memory. An empty id has no slash before it. */
struct span client_path(
    struct cli *cli, const char *prefix, struct span id, const char *suffix, const char *version);

#endif
