/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world for tests of the service: a real SQLite store in a folder of its own, the local bus, one
 * hub "h1" with the host names hub.local and other.local, and a clock that stands still until a
 * test moves it. Asking waits for the reply.
 */
#ifndef GEMEL_TEST_SERVICE_HARNESS_H
#define GEMEL_TEST_SERVICE_HARNESS_H

#include "sas.h"
#include "service.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#define START_US INT64_C(1700000000000000) /* 2023-11-14T22:13:20Z */
#define START_TEXT "2023-11-14T22:13:20.0000000Z"
#define HUB_KEY "MDEyMzQ1Njc4OWFiY2RlZg=="
#define OTHER_KEY "ZmVkY2JhOTg3NjU0MzIxMA=="
#define V "api-version=2021-04-12"

struct answer {
    enum err err;
    int status;
    const char *body; /* NUL-terminated; "" where there is none */
    const struct json *json;
    const char *etag;
    const char *error; /* iothub-errorcode */
    const char *allow;
    const char *challenge;
    const char *request_id;
    const char *set_cookie;
    const char *retry_after;
    bool more;
};

struct world {
    struct store *store;
    struct bus *bus;
    struct service *service;
    struct service_options options;
    struct arena arena; /* of a test */
    int64_t hub_id;
    char directory[64];
};

extern struct world world;

int world_open(void **state);
int world_close(void **state);
void world_reopen_service(void); /* after a change of world.options */
void world_advance(int64_t seconds);
/* The next call that is asked and waited for finds no memory at its Nth piece; -1: none. */
void world_fail_after(long successes);
/* The next call may use so many bytes more than its request takes; 0: as usual. */
void world_limit_arena(size_t more_bytes);

/* "SharedAccessSignature …" for hub.local, signed now, good for an hour. */
const char *token(const char *policy, const char *key);
const char *token_of(const char *resource_host, const char *device_id, const char *module_id,
    const char *policy, const char *key, int64_t expires_s);

/* One REST call as the owner; `target` is path and query, `body` and `if_match` may be NULL. */
struct answer ask(const char *method, const char *target, const char *body, const char *if_match);
struct answer ask_with(const char *authorization, const char *host, const char *method,
    const char *target, const char *body, const char *if_match);

/* ---- accounts and browsers ---- */

/* Makes or replaces an account; its hash is a cheap one. */
void make_account(
    const char *user, const char *password, const struct grant *grants, size_t grant_count);
void make_administrator(void); /* "admin" with the password "se:cret" */

/* What a browser sends along; members may be NULL. */
struct browser {
    const char *cookie; /* "__Host-gemel=…" */
    const char *csrf;
    const char *origin;
    const char *user_agent;
    const char *address; /* NULL: 127.0.0.1 */
};
struct answer browse(
    const struct browser *browser, const char *method, const char *target, const char *body);
struct answer browse_if(const struct browser *browser, const char *method, const char *target,
    const char *body, const char *if_match);
struct pending *browse_later(
    const struct browser *browser, const char *method, const char *target, const char *body);
/* A GET whose answer comes in pieces. */
struct piecewise;
struct piecewise *begin_pieces(const struct browser *browser, const char *target);
struct answer next_piece(struct piecewise *reading);
void end_pieces(struct piecewise *reading);
/* Signs in, which must succeed. */
struct browser sign_in(const char *user, const char *password);
/* Tries to. */
struct answer try_sign_in(const char *user, const char *password, const char *address);

/* Starts a call and gets its answer later. */
struct pending;
struct pending *ask_later(const char *method, const char *target);
struct pending *ask_later_with(const char *method, const char *target, const char *body);
bool has_answer(struct pending *pending);
struct answer get_answer(struct pending *pending); /* waits */

/* The text of a member, reached through objects: "authentication.type"; NULL if there is none. */
const char *member(const struct answer *answer, const char *path);

void make_device(const char *id); /* with HUB_KEY as primary, OTHER_KEY as secondary */
void make_module(const char *device_id, const char *module_id);

/* What a session heard. */
struct heard {
    struct session_sink sink;
    char payload[2048];
    int desired_count;
    int64_t version;
    int end_count;
    char method[128]; /* the last, its payload in `payload` */
    char request_id[32];
    int method_count;
    int message_count;
    enum session_end reason;
};
void heard_init(struct heard *heard);
int heard_methods(struct heard *heard); /* how many; methods come on other threads */
int heard_messages(struct heard *heard);

struct session {
    struct session_identity identity;
    uint64_t number;
    int64_t expires_us;
    enum err err;
    struct why why;
};
/* Connects with a password to hub.local. */
struct session connect_as(
    const char *device_id, const char *module_id, const char *password, struct heard *heard);
/* The same of a client that shows certificates. */
struct session connect_showing(const char *device_id, const char *module_id, const char *password,
    struct span certificates, struct heard *heard);
struct session connect_device(const char *device_id, struct heard *heard); /* with HUB_KEY */

enum err send_report(const struct session *session, const char *patch);
enum err send_event(const struct session *session, const char *bag, struct span body);

#endif
