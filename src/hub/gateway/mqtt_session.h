/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One MQTT 3.1.1 connection of a device or module, as IoT Hub speaks it; session_state.h has the
 * drawing of its life.
 *
 * The object outlives its socket: it is freed once it is OVER, no call of it is at the service, and
 * the bus can no longer reach it (a mail to ourselves, posted after the session was unregistered,
 * comes behind every mail of the bus).
 *
 * What is ours to choose:
 *   - SUBSCRIBE to a filter that the hub does not offer, or of another identity: 0x80.
 *   - PUBLISH to such a topic, without $rid where one is needed, or with QoS 2: the connection is
 *     closed. An acknowledgement would tell the client that something was done.
 *   - An event that was not stored is not acknowledged; with QoS 1 the connection is closed, so
 *     that the client sends it again.
 *   - A will with a topic other than the identity's own events is ignored.
 *   - Of a session with CleanSession 0 its subscriptions last; with them, session present is 1.
 *     Without any it is 0: there is nothing that could have lasted.
 */
#ifndef GEMEL_GATEWAY_MQTT_SESSION_H
#define GEMEL_GATEWAY_MQTT_SESSION_H

#include "conn.h"
#include "mqtt.h"
#include "session_state.h"
#include "topic.h"

struct mqtt_op;
struct mqtt_messages;
struct mqtt_provision;

struct mqtt_will {
    struct span properties;
    struct span payload;
    bool retain;
};

struct mqtt_session {
    struct conn conn; /* first: one is the other */
    enum mqtt_state state;
    struct mqtt_reader reader;
    struct buf backlog; /* input that waits until earlier packets are done */

    /* Whose it is; the texts in one piece of memory. */
    struct session_sink sink;
    struct session_identity identity;
    char *texts;
    uint64_t number;
    int64_t expires_us;
    int64_t silence_ms; /* the longest that the client may be silent */
    int64_t heard_ms;   /* mono time of its last bytes */

    unsigned filters;     /* set of enum topic_filter */
    bool lasting;         /* CleanSession 0 */
    int64_t desired_told; /* the highest $version the bus told us of, sent or not */

    struct mqtt_op *ops; /* in the order of their packets */
    struct mqtt_op **last_op;
    size_t op_count;       /* how many; those that are done wait for what came before them */
    size_t busy;           /* of these, how many have no answer yet */
    size_t reports_busy;   /* of these, how many are reported patches */
    size_t events_delayed; /* of these, how many events are throttled: nothing is read meanwhile */

    struct mqtt_provision *provision; /* it wants to be provisioned; NULL: it is at a hub */

    struct mqtt_messages *messages; /* NULL until the first is asked for */
    unsigned message_qos;           /* granted */
    struct mail message_mail;
    atomic_bool message_told; /* the mail is under way */

    struct mqtt_will *will; /* NULL: none, or DISCONNECT came */

    int64_t
        fault_ms; /* mono time at which the client wants to lose the connection; 0: it does not */
    bool fault_is_polite;

    unsigned holds; /* the socket, calls in flight, the registration, whoever is at work on it */
    struct mail release_mail;
    struct mail end_mail;
    enum session_end end_reason;
    struct mail lost_mail;
    bool lost; /* under the bus's lock */
};

/* Keeps the object while the caller works on it. */
void mqtt_session_hold(struct mqtt_session *session);
void mqtt_session_release(struct mqtt_session *session);

/* Moves to a state; a move that is not in the table is a bug. */
void mqtt_session_move(struct mqtt_session *session, enum mqtt_state state);

/* Called when an answer came or the service accepted: reads on, or drains. */
void mqtt_session_go_on(struct mqtt_session *session);

/* Ends the connection because of what the client did; the sentence goes to the log. */
void mqtt_session_fault(struct mqtt_session *session, const char *format, ...) PRINTF_LIKE(2, 3);

/* Sets when the connection is to be looked at for silence and for the end of its token. */
void mqtt_session_arm(struct mqtt_session *session);

/* Tells the service what the client takes, by what it is subscribed to. */
void mqtt_session_tell_takes(struct mqtt_session *session);

static inline bool mqtt_session_takes_messages(const struct mqtt_session *session)
{
    return (session->filters & (TOPIC_FILTER_C2D | TOPIC_FILTER_MODULE)) != 0;
}

/* Its subscriptions as they are stored where the session lasts: the filters, and a bit if messages
 * go out with QoS 0. */
#define MQTT_LASTING_QOS_0 UINT32_C(0x80000000)
static inline uint32_t mqtt_session_subscriptions(const struct mqtt_session *session)
{
    bool at_most_once = mqtt_session_takes_messages(session) && session->message_qos == 0;
    return session->filters | (at_most_once ? MQTT_LASTING_QOS_0 : 0);
}

static inline struct topic_owner mqtt_session_owner(const struct mqtt_session *session)
{
    return (struct topic_owner){session->identity.device_id, session->identity.module_id};
}

/* An empty buffer of the thread's to build a packet in, and its sending. */
struct buf *mqtt_session_encoder(struct mqtt_session *session);
void mqtt_session_send(struct mqtt_session *session, struct buf *packet);

#endif
