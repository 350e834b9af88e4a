/* SPDX-License-Identifier: Apache-2.0 */
#include "login_sessions.h"

#include "mem.h"

static bool is_of(const struct login_session *session, enum login_session_kind kind,
    struct span terminal, uint32_t process_id)
{
    if (session->kind != kind)
        return false;
    return kind == LOGIN_SESSION_LINE ? span_eq(session->terminal, terminal)
                                      : session->process_id == process_id;
}

struct login_session *login_sessions_take(struct login_sessions *sessions,
    enum login_session_kind kind, struct span terminal, uint32_t process_id)
{
    for (struct login_session **at = &sessions->newest; *at != NULL; at = &(*at)->next) {
        struct login_session *session = *at;
        if (!is_of(session, kind, terminal, process_id))
            continue;
        *at = session->next;
        sessions->counts[kind]--;
        return session;
    }
    return NULL;
}

static void drop_oldest(struct login_sessions *sessions, enum login_session_kind kind)
{
    struct login_session **oldest = NULL;
    for (struct login_session **at = &sessions->newest; *at != NULL; at = &(*at)->next)
        if ((*at)->kind == kind)
            oldest = at;
    must(oldest != NULL);
    struct login_session *session = *oldest;
    *oldest = session->next;
    sessions->counts[kind]--;
    mem_free(session);
}

static struct span put(char **at, struct span text)
{
    struct span copy = {*at, text.len};
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

void login_sessions_put(
    struct login_sessions *sessions, enum login_session_kind kind, const struct login_event *event)
{
    mem_free(login_sessions_take(sessions, kind, event->terminal, event->process_id));
    struct span terminal = span_first(event->terminal, LOGIN_TERMINAL_MAX);
    struct span user = span_first(event->user, LOGIN_USER_MAX);
    struct span address = span_first(event->address, LOGIN_ADDRESS_MAX);
    struct login_session *session =
        mem_alloc(sizeof(*session) + terminal.len + user.len + address.len);
    if (session == NULL)
        return;
    char *at = session->bytes;
    session->kind = kind;
    session->process_id = event->process_id;
    session->terminal = put(&at, terminal);
    session->user = put(&at, user);
    session->address = put(&at, address);
    session->next = sessions->newest;
    sessions->newest = session;
    if (++sessions->counts[kind] >
        (kind == LOGIN_SESSION_INVALID ? LOGIN_SESSIONS_INVALID_MAX : LOGIN_SESSIONS_MAX))
        drop_oldest(sessions, kind);
}

void login_sessions_clear(struct login_sessions *sessions, enum login_session_kind kind)
{
    struct login_session **at = &sessions->newest;
    while (*at != NULL) {
        struct login_session *session = *at;
        if (session->kind != kind) {
            at = &session->next;
            continue;
        }
        *at = session->next;
        sessions->counts[kind]--;
        mem_free(session);
    }
}

void login_sessions_done(struct login_sessions *sessions)
{
    for (unsigned kind = 0; kind < LOGIN_SESSION_KINDS; kind++)
        login_sessions_clear(sessions, (enum login_session_kind)kind);
}
