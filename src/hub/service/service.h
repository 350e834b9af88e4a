/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The use cases of the hub. The gateway fills a call, hands it in on any of its threads, and gets
 * it back through call->reply, on a thread of the store, of the bus, or, where the answer needs
 * neither, on its own before the call to the service returns; nothing here blocks the caller. The
 * service knows the store and the bus only by their headers and no protocol: a call holds what was
 * asked in the terms of IoT Hub's REST or of a device session.
 *
 * A call belongs to the gateway before it is handed in and after reply; in between to the service.
 * All spans of the request must live in the call's arena (call_init makes it); the response's do.
 * The arena must be able to grow to SERVICE_ARENA_BYTES: twins that consist of thousands of tiny
 * members, and pages of events that need escaping, take about as much. Ordinary calls take some
 * 20 KiB.
 */
#ifndef GEMEL_SERVICE_H
#define GEMEL_SERVICE_H

#include "bus.h"
#include "clock.h"
#include "store.h"

#define SERVICE_ARENA_BYTES 67108864

struct service;

/* Of accounts, their sessions and passwords, and the audit log. */
struct access_limits {
    unsigned session_idle_minutes; /* 480 */
    unsigned session_hours;        /* 24 */
    unsigned session_note_seconds; /* how seldom it is written down that a session is used: 60 */
    unsigned sessions;             /* of one account: 20 */
    unsigned accounts;             /* 1000 */
    unsigned password_characters;  /* of one that a person chooses: 12 */
    unsigned password_threads;     /* that check and hash passwords: 2 */
    unsigned password_waiting;     /* for these: 64 */
    unsigned attempts;             /* wrong passwords of an account without delay: 3 */
    unsigned address_attempts;     /* and from an address: 20 */
    unsigned delay_seconds;        /* after the next; doubled by each further one: 1 */
    unsigned delay_max_seconds;    /* 300 */
    unsigned delay_forget_minutes; /* 60 */
    unsigned audit_retention_days; /* 365 */
    uint64_t audit_entries;        /* 10,000,000; 0: any number */
    unsigned audit_items;          /* in a page: 1000 */
};

/* Of POST /devices/query. */
struct query_bounds {
    size_t bytes;     /* of the text: 8192 */
    unsigned depth;   /* of nesting: 32 */
    unsigned terms;   /* 500 */
    unsigned seconds; /* 30 */
    unsigned running; /* at a time: 32 */
    size_t groups;    /* of one query: 10,000 */
};

/* What is throttled; see throttle.def. */
enum throttle_class {
#define THROTTLE(id, key, name, unit, seconds, what) THROTTLE_##id,
#include "throttle.def"
#undef THROTTLE
    THROTTLE_CLASSES,
    THROTTLE_NOTHING = THROTTLE_CLASSES
};

struct throttle_limits {
    unsigned hub[THROTTLE_CLASSES];  /* of a hub, in the class's unit; 0: any */
    unsigned each[THROTTLE_CLASSES]; /* likewise of one caller */
    unsigned daily_messages;         /* of a hub, of 4 KiB each; 0: any */
    unsigned burst_seconds;          /* what so much time allows may come at once: 60 */
    unsigned queue_seconds;          /* and what is over it waits up to: 10 */
    size_t waiting;                  /* at a time: 10,000 */
    size_t callers;                  /* that are remembered: 65,536 */
};

/* Of scheduled jobs; of one hub each. */
struct job_bounds {
    size_t waiting;          /* that wait or run: 100 */
    unsigned running;        /* at a time: 10 */
    unsigned devices_second; /* devices that jobs begin with in a second: 500 */
    unsigned methods;        /* of one job, under way at a time: 200 */
    unsigned seconds;        /* that a job may ask for: 172,800 */
    unsigned start_days;     /* ahead that one may begin: 30 */
    size_t answer_bytes;     /* of a device's answer that are kept: 8192 */
    size_t history;          /* jobs that are kept: 1000 */
    size_t history_devices;  /* with this many device jobs: 2,000,000 */
    unsigned history_days;   /* after their end: 30 */
};

struct service_limits {
    struct twin_limits twin;
    struct query_bounds query;
    struct job_bounds job;
    size_t request_bytes;           /* a REST body: 1 MiB */
    size_t event_bytes;             /* a device-to-cloud message: 256 KiB */
    size_t method_bytes;            /* payload and answer of a direct method: 128 KiB */
    size_t methods_per_device;      /* under way at a time: 5000 */
    size_t message_bytes;           /* a cloud-to-device message: 64 KiB */
    size_t messages_per_device;     /* that wait: 50 */
    unsigned message_seconds;       /* they wait, unless they say so themselves: 3600 */
    unsigned message_hours;         /* they may wait at most: 48 */
    unsigned message_deliveries;    /* attempts until one is given up: 10 */
    unsigned message_lock_seconds;  /* for which a device may hold one over HTTPS: 60 */
    size_t modules_per_device;      /* 50 */
    size_t devices_per_hub;         /* 1,000,000 */
    size_t certificates_per_hub;    /* of authorities: 25 */
    size_t enrollments;             /* individual, of one hub: 1,000,000 */
    size_t enrollment_groups;       /* of one hub: 100 */
    size_t configurations;          /* of one hub: 100 */
    size_t configuration_metrics;   /* of one configuration: 5 */
    unsigned configuration_seconds; /* between two sweeps over all twins: 300 */
    size_t bulk_items;              /* 100 */
    size_t list_items;              /* 1000 */
    unsigned skew_seconds;          /* tolerated behind a token's expiry: 300 */
    unsigned event_retention_hours;
    size_t event_retention_bytes; /* of one hub's log; 0: any */
    /* Which events the hub itself makes: 0 or 1. */
    unsigned lifecycle_events;
    unsigned twin_events;
    unsigned connection_events;
    size_t history_entries; /* documents kept of each twin: 50; 0: none */
    unsigned history_days;  /* for how long: 365; 0: without end */
    struct throttle_limits throttle;
    struct access_limits access;
};

extern const struct service_limits service_limits_default;

/* The host names of all hubs, for which the server's certificate is to stand. */
struct cover {
    struct cover *next;       /* the keeper's */
    const struct span *names; /* stay until done() */
    size_t count;
    /* Called once, on any thread; `why` says what is not covered and what to do. */
    void (*done)(struct cover *cover, enum err err, const struct why *why);
};

struct service_options {
    struct store *store;
    struct bus *bus;
    const struct clock *clock;
    struct service_limits limits;
    unsigned mqtt_port;        /* as clients reach it: told by GET /gemel/v1/about */
    unsigned https_port;       /* likewise */
    struct span metrics_token; /* that opens GET /metrics; empty: none does. Stays. */
    /* Called after hubs came or went, before that is answered; NULL: nobody keeps a certificate. */
    void (*cover_names)(void *keeper, struct cover *cover);
    void *keeper;
};

/* Reads the hubs into memory, and has their host names covered. */
enum err service_open(
    const struct service_options *options, struct service **ret_service, struct why *why) MUST_USE;
/* Call after every call came back and before the store closes. */
void service_close(struct service *service);

/* To be called about four times a second by one thread: ends long polls, prunes the event log and
 * the history of twins. */
void service_tick(struct service *service);

/* Says from now on that the server is about to stop: /readyz gets 503. */
void service_begin_leaving(struct service *service);
/* Whether clients may be sent here; `*ret_reason` is a word why not. Any thread. */
bool service_is_ready(struct service *service, const char **ret_reason);
/* Writes all metrics, in Prometheus' text format. Any thread. */
void service_write_metrics(struct buf *out);

/* Lets no direct method begin any more; returns how many, those of jobs included, have been sent
 * and not answered: before a drain, which takes the connections away by which answers come. */
size_t service_finish_methods(struct service *service);

/* Answers every parked long poll now: for a drain. */
void service_release_parked(struct service *service);

struct call {
    struct store_job job; /* the service's own */
    struct service *service;
    struct arena arena;
    void (*reply)(struct call *call); /* the gateway's; called exactly once, on any thread */
    void *owner;                      /* the gateway's */
    void *work;                       /* the service's own */
    struct waiting *waiting;          /* likewise */
    bool delayed;           /* throttled: it waits, or did; set before the service returned */
    unsigned retry_seconds; /* with ERR_THROTTLED and ERR_QUOTA: after which to ask again */
    enum err err;           /* the outcome */
    struct why why;
};

void call_init(
    struct call *call, size_t arena_limit_bytes, void (*reply)(struct call *call), void *owner);
void call_done(struct call *call);

/* ---- sessions of devices and modules --------------------------------------------------------- */

/* Who is connected; filled by connect, handed in with every later call of the session. */
struct session_identity {
    int64_t hub_id;
    struct span device_id;
    struct span module_id; /* empty: the device itself */
    uint64_t generation;
    struct span auth_method; /* JSON text for iothub-connection-auth-method */
};

struct connect_call {
    struct call call;
    /* in */
    struct span host;      /* from the username, as sent */
    struct span device_id; /* raw */
    struct span module_id;
    struct span model_id;     /* empty: none */
    struct span password;     /* SAS token; wiped by the service */
    struct span certificates; /* that the client showed, DER, its own first; empty: none. They count
                               * where there is no password. */
    struct span peer;         /* address, for the log */
    struct session_sink *sink;
    bool lasting; /* the client keeps its session (MQTT CleanSession 0) */
    /* out, in the call's arena: copy what is to outlive it */
    struct session_identity identity;
    uint64_t session;
    uint32_t filters;   /* what the session that lasted is subscribed to; see subscriptions_call */
    int64_t expires_us; /* wall time at which the session must end: the expiry of token or
                         * certificate (with the skew that is tolerated, where that alone let it
                         * in) */
};

/*
 * Authenticates by the identity's own key, by a policy with DeviceConnect, or by the client's
 * certificate: whichever the identity's type of authentication asks for. Registers the session
 * (taking over an older one) and stores "connected" before it replies.
 * ERR_UNAUTHORIZED (also for unknown or disabled identities), ERR_HUB_NOT_FOUND, store errors.
 */
void service_connect(struct service *service, struct connect_call *call);

/* Forgets the session and stores "disconnected"; nobody waits for it. Copies what it needs. */
void service_disconnect(
    struct service *service, const struct session_identity *identity, uint64_t session);

/* Notes what a session that lasts is subscribed to, a set of bits that are the gateway's: Azure's
 * Node SDK does not subscribe again when it comes back. Replies when it is durable. */
struct subscriptions_call {
    struct call call;
    struct session_identity identity; /* in */
    uint32_t filters;                 /* in */
};
void service_subscriptions(struct service *service, struct subscriptions_call *call);

struct twin_get_call {
    struct call call;
    struct session_identity identity; /* in */
    bool again;                       /* in: it was read before, and changed meanwhile */
    struct span body;                 /* out: {"desired":…,"reported":…} */
    int64_t desired_version;          /* out */
};
void service_twin_get(struct service *service, struct twin_get_call *call);

struct reported_call {
    struct call call;
    struct session_identity identity; /* in */
    struct span patch;                /* in: the JSON text as sent */
    int64_t expected_version;         /* in: from "$version"; 0: unconditional */
    int64_t version;                  /* out: the new reported $version */
};
void service_reported(struct service *service, struct reported_call *call);

struct event_call {
    struct call call;
    struct session_identity identity; /* in */
    struct span properties;           /* in: the property bag as sent, still percent-encoded */
    bool retain;                      /* in */
    bool is_will;                     /* in */
    bool patient;      /* in: throttled, it waits as long as it takes; see service_abandon() */
    struct span body;  /* in */
    uint64_t sequence; /* out */
};
/* Appends to the event log; replies when it is durable. */
void service_event(struct service *service, struct event_call *call);

/* Gives up a call that is delayed: it comes back with ERR_CANCELLED, soon. One that is under way by
 * now goes on. */
void service_abandon(struct service *service, struct call *call);

/* Notes that a connected client was sent desired properties of that $version: as a notification, or
 * in the answer to its GET. */
void service_delivered(struct service *service, uint64_t session, int64_t version);

/* Notes what the client of a session takes from now on, a set of enum session_takes: calls that
 * wait for it go out. */
void service_takes(struct service *service, const struct session_identity *identity,
    uint64_t session, unsigned takes);

/* A cloud-to-device message for the client of a session. */
struct message_call {
    struct call call;
    struct session_identity identity; /* in */
    uint64_t session;                 /* in */
    /* out, in the call's arena */
    bool release; /* in, to complete: it was not sent, and is to wait again */
    bool found;
    uint64_t sequence;
    bool again;             /* it was delivered before */
    uint64_t event;         /* the service's own: the feedback that is to be told of; 0: none */
    struct span properties; /* the bag of its topic */
    struct span body;
};
/* Takes the next, which the session holds from then on; those that are over are given up before. */
void service_message_take(struct service *service, struct message_call *call);

/* The client has got a message that its session holds (in: sequence). What it holds no more is
 * passed over. */
void service_message_complete(struct service *service, struct message_call *call);

struct method_response {
    struct span request_id;
    int32_t status;
    struct span payload; /* as the client sent it */
};

/* The client of an identity answered a direct method. What nobody waits for is dropped. */
void service_method_response(struct service *service, const struct session_identity *identity,
    const struct method_response *response);

/* A method that the sink took was not sent: the client went, or does not take methods any more. */
void service_method_returned(
    struct service *service, const struct session_identity *identity, struct span request_id);

/* The error document of MQTT answers: {"errorCode":400004,"trackingId":…,"message":…,…}. */
void service_write_mqtt_error(
    struct service *service, enum err err, const struct why *why, struct buf *out);

/* ---- REST ------------------------------------------------------------------------------------ */

struct rest_header {
    const char *name; /* lower case */
    struct span value;
};

#define REST_MAX_RESPONSE_HEADERS 16

struct rest_call {
    struct call call;
    /* in */
    struct span method; /* "GET"; "HEAD" is answered like it where that changes nothing */
    struct span host;   /* the Host header, as sent */
    struct span path;   /* still percent-encoded, without the query: "/twins/d%231" */
    struct span query;  /* without '?', still percent-encoded */
    struct span authorization;
    struct span if_match;
    struct span content_type;
    struct span cookie;
    struct span csrf; /* x-gemel-csrf */
    struct span origin;
    struct span user_agent;
    struct span max_items;    /* x-ms-max-item-count */
    struct span continuation; /* x-ms-continuation */
    struct span last_event_id;
    struct span body;
    struct span peer;         /* address, for the log and a twin's history */
    struct span certificates; /* as in connect_call; where there is no authorization */
    struct rest_header *told; /* of the request's headers those that tell of a message: iothub-…,
                               * dt-subject; their names as sent */
    size_t told_count;
    /* out; set for errors as well */
    int status;
    struct span content_type_out; /* empty: no body */
    struct span body_out;
    struct rest_header headers[REST_MAX_RESPONSE_HEADERS];
    size_t header_count;
    struct span header_block; /* further headers, as lines that end in CR LF */
    bool more;                /* body_out is a piece: service_rest_more() gets the next */
};

/*
 * Finds the operation (method and path, paths without regard to case), authenticates, runs it and
 * replies. Every outcome, errors too, comes back as status, headers and body ready to send. The
 * operations stand in operations.def. What waits for news (events, a twin) may take as long as its
 * "wait" says. The values of the headers authorization and cookie are wiped.
 */
void service_rest(struct service *service, struct rest_call *call);

/* Whether a path belongs to the service, by its first part: what else there is belongs to the
 * portal. */
bool service_is_api(struct span path);

/*
 * Goes on with a call that came back with `more`, and replies again: body_out is the next piece and
 * lies where the one before lay. Status and headers were those of the first reply; another status
 * now means that the rest cannot be had. A call may also be left without asking for the rest.
 */
void service_rest_more(struct rest_call *call);

/* Fills the response of a call that never reached the service (too large, malformed, draining). */
void service_rest_refuse(struct rest_call *call, enum err err, const struct why *why);

#endif
