/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MQTT 3.1.1 packets (OASIS standard, level 4): an incremental reader for a server or a client, and
 * encoders that append to a buffer. Pure: no socket, no session state.
 *
 *   bytes from the peer --> mqtt_read() --> struct mqtt_packet (spans, nothing copied)
 *
 * A packet that lies whole in the bytes handed in is read in place; only a packet that is cut by
 * their end is collected in the reader, which holds no memory while there is none. A packet that
 * would pass the limit is refused as soon as its fixed header is read. What the standard calls
 * malformed is refused with a sentence that names the clause. What is well-formed but not wanted
 * here (QoS 2, a second CONNECT, an unknown topic) is the caller's to refuse.
 *
 * A reader belongs to one connection and one thread.
 */
#ifndef GEMEL_MQTT_H
#define GEMEL_MQTT_H

#include "buf.h"

/* The values are those of the fixed header (table 2.1). */
enum mqtt_kind {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_PUBREC = 5,
    MQTT_PUBREL = 6,
    MQTT_PUBCOMP = 7,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_UNSUBSCRIBE = 10,
    MQTT_UNSUBACK = 11,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14,
};

/* Return codes of CONNACK (table 3.1). */
enum mqtt_code {
    MQTT_CODE_ACCEPTED = 0,
    MQTT_CODE_BAD_PROTOCOL = 1,
    MQTT_CODE_BAD_CLIENT_ID = 2,
    MQTT_CODE_UNAVAILABLE = 3,
    MQTT_CODE_BAD_CREDENTIALS = 4,
    MQTT_CODE_NOT_AUTHORIZED = 5,
};

#define MQTT_SUBACK_FAILURE 0x80u

struct mqtt_connect {
    struct span client_id; /* may be empty, also with clean_session 0: the server's matter */
    bool clean_session;
    uint16_t keep_alive_seconds; /* 0: off */
    bool has_will;
    struct span will_topic; /* not empty; as topic below */
    struct span will_payload;
    unsigned will_qos;
    bool will_retain;
    bool has_username;
    struct span username;
    bool has_password;
    struct span password; /* any bytes */
};

struct mqtt_publish {
    struct span
        topic; /* not empty, no U+0000; may hold a wildcard, which only an id may, see topic.h */
    struct span payload;
    unsigned qos; /* 0 to 2 */
    bool dup;
    bool retain;
    uint16_t packet_id; /* 0 with QoS 0 only */
};

/* SUBSCRIBE and UNSUBSCRIBE: walk the list with mqtt_next_filter(). */
struct mqtt_subscribe {
    uint16_t packet_id;
    uint32_t count;   /* at least 1 */
    bool with_qos;    /* SUBSCRIBE */
    struct span list; /* checked, still encoded */
};

struct mqtt_filter {
    struct span filter; /* not empty; wildcards only where the standard allows them */
    unsigned qos;       /* asked for, 0 to 2; 0 for UNSUBSCRIBE */
};

struct mqtt_packet {
    enum mqtt_kind kind;
    union {
        struct mqtt_connect connect;
        struct mqtt_publish publish;
        struct mqtt_subscribe subscribe; /* and unsubscribe */
        struct {
            bool session_present;
            uint8_t code;
        } connack;
        struct {
            uint16_t packet_id;
            struct span codes; /* one byte a filter */
        } suback;
        uint16_t packet_id; /* PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK */
    };
};

enum mqtt_role { MQTT_SERVER, MQTT_CLIENT };

struct mqtt_reader {
    enum mqtt_role role; /* ours: a server refuses CONNACK, a client refuses CONNECT */
    size_t limit_bytes;  /* of a whole packet, header included */
    struct buf partial;  /* the beginning of a packet that is not complete yet */
    bool partial_given;  /* its packet was handed out by the last call */
    enum err refused;    /* sticky */
};

void mqtt_reader_init(struct mqtt_reader *reader, enum mqtt_role role, size_t limit_bytes);
void mqtt_reader_done(struct mqtt_reader *reader);

/*
 * Takes the next packet from the bytes at `*input` and moves `*input` behind what it used. Call
 * until it says ERR_AGAIN: then all input is used and more bytes are needed. The packet's spans
 * live until the next call on this reader, at most as long as the input.
 *
 * ERR_FORMAT: malformed, with the clause; ERR_TOO_LARGE: over the limit; ERR_PROTOCOL: a CONNECT of
 * another version of MQTT, to be answered with CONNACK 1 (3.1.2-2); ERR_MEMORY. After any of these
 * the connection is to be closed, and the reader refuses all that follows.
 */
enum err mqtt_read(struct mqtt_reader *reader, struct span *input, struct mqtt_packet *ret_packet,
    struct why *why) MUST_USE;

/* Takes the next filter of a list that mqtt_read() returned; false at its end. */
bool mqtt_next_filter(struct mqtt_subscribe *subscribe, struct mqtt_filter *ret_filter);

/* "PUBLISH": for sentences and logs. */
const char *mqtt_kind_name(enum mqtt_kind kind);

/*
 * Encoders. A field longer than the format carries (65,535 bytes for a text, 268,435,455 for a
 * packet) marks the buffer failed, as running out of memory does.
 */
void mqtt_write_connect(struct buf *out, const struct mqtt_connect *connect);
void mqtt_write_connack(struct buf *out, bool session_present, enum mqtt_code code);
void mqtt_write_publish(struct buf *out, const struct mqtt_publish *publish);
/* Only what stands before the payload, for a payload of `payload_bytes` that is sent from
 * elsewhere. */
void mqtt_write_publish_head(
    struct buf *out, const struct mqtt_publish *publish, size_t payload_bytes);
/* PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK. */
void mqtt_write_ack(struct buf *out, enum mqtt_kind kind, uint16_t packet_id);
void mqtt_write_subscribe(
    struct buf *out, uint16_t packet_id, const struct mqtt_filter *filters, size_t count);
void mqtt_write_suback(struct buf *out, uint16_t packet_id, struct span codes);
void mqtt_write_unsubscribe(
    struct buf *out, uint16_t packet_id, const struct mqtt_filter *filters, size_t count);
/* PINGREQ, PINGRESP or DISCONNECT. */
void mqtt_write_empty(struct buf *out, enum mqtt_kind kind);

#endif
