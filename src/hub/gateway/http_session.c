/* SPDX-License-Identifier: Apache-2.0 */
#include "http_session.h"

#include "gateway_priv.h"
#include "http_response.h"
#include "log.h"
#include "static_files.h"
#include "websocket.h"
#include "websocket_upgrade.h"

/* Of a response body, copied to the connection whenever it has sent what it had. */
#define BODY_PIECE_BYTES (64u * 1024)
#define SEND_BYTES (256u * 1024)

/* While a call is at the service, only to look in again. */
#define PATIENCE_MS (3600 * 1000)

#define METHODS "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"

struct http_op {
    struct mail mail;
    struct http_session *session; /* NULL: the client went away */
    struct gateway_thread *thread;
    struct rest_call rest;
    struct static_request file; /* the same request, as one for a file */
    bool head_only;             /* HEAD: all of the answer but the body */
    bool is_options;
    unsigned minor; /* HTTP/1.minor */
    bool chunked;
    bool close;   /* after the response */
    int status;   /* when no row of the error table has the one that fits; 0 */
    bool refused; /* was never handed to the service */
    struct http_chunks chunks;
    struct buf collected; /* a chunked body */
    char *body;           /* one with Content-Length, in the call's arena */
    uint64_t body_size;
    uint64_t body_got;
    size_t sent;     /* of the response's body, or of its present piece */
    bool streamed;   /* the body comes from the service in pieces */
    bool in_chunks;  /* and is sent in chunks */
    bool last_chunk; /* was sent */
};

static void advance(struct http_session *session);

/* ---- states ---------------------------------------------------------------------------------- */

static void move(struct http_session *session, enum http_state state)
{
    must(http_state_may_become(session->state, state));
    session->state = state;
}

static void set_deadline_seconds(struct http_session *session, unsigned seconds)
{
    session->sent_before = session->conn.sent_bytes;
    conn_set_deadline(&session->conn, (int64_t)seconds * 1000);
}

/* ---- a request's life ------------------------------------------------------------------------ */

static void on_reply(struct gateway_thread *thread, struct mail *mail);

static void reply(struct call *call)
{
    struct http_op *op = call->owner;
    thread_post(op->thread, &op->mail);
}

static struct http_op *new_op(struct http_session *session)
{
    struct http_op *op = mem_alloc(sizeof *op);
    if (op == NULL)
        return NULL;
    op->mail.deliver = on_reply;
    op->session = session;
    op->thread = session->conn.thread;
    call_init(&op->rest.call, op->thread->limits->arena_bytes, reply, op);
    session->op = op;
    return op;
}

static void free_op(struct http_op *op)
{
    /* Ours: the copy in the arena that copy_request() made. */
    mem_wipe((char *)(uintptr_t)op->rest.authorization.ptr, op->rest.authorization.len);
    mem_wipe((char *)(uintptr_t)op->rest.cookie.ptr, op->rest.cookie.len);
    call_done(&op->rest.call);
    buf_done(&op->collected);
    mem_free(op);
}

/* ---- the response ---------------------------------------------------------------------------- */

static void end_response(struct http_session *session)
{
    bool close = session->op->close;
    free_op(session->op);
    session->op = NULL;
    if (close || session->conn.thread->draining) {
        conn_finish(&session->conn);
        return;
    }
    move(session, HTTP_IDLE);
    set_deadline_seconds(session, session->conn.thread->limits->http_idle_seconds);
    advance(session);
    if (conn_is_open(&session->conn) && session->state != HTTP_ASKING)
        conn_resume(&session->conn);
}

static void send_chunk(struct http_session *session, struct span piece)
{
    char size[24];
    snprintf(size, sizeof size, "%zx\r\n", piece.len);
    conn_send(&session->conn, span_of(size));
    conn_send(&session->conn, piece);
    conn_send(&session->conn, SPAN_LIT("\r\n"));
}

/* False once all of the body, or of its present piece, was sent. */
static bool send_piece(struct http_session *session)
{
    struct http_op *op = session->op;
    struct span rest = op->head_only ? SPAN_NONE : span_from(op->rest.body_out, op->sent);
    struct span piece = span_first(rest, BODY_PIECE_BYTES);
    op->sent += piece.len;
    if (op->in_chunks && piece.len > 0)
        send_chunk(session, piece);
    else
        conn_send(&session->conn, piece);
    return piece.len > 0;
}

static void ask_for_more(struct http_session *session)
{
    struct http_op *op = session->op;
    move(session, HTTP_ASKING);
    conn_set_deadline(&session->conn, PATIENCE_MS);
    op->thread->calls++;
    service_rest_more(&op->rest);
}

/* All of the piece was sent: false once there is nothing behind it. */
static bool go_on(struct http_session *session)
{
    struct http_op *op = session->op;
    if (op->streamed && op->rest.more) {
        ask_for_more(session);
        return true;
    }
    if (!op->in_chunks || op->last_chunk)
        return false;
    op->last_chunk = true;
    conn_send(&session->conn, SPAN_LIT("0\r\n\r\n"));
    return true;
}

/* Called whenever nothing is left to send. */
static void sent(struct conn *conn)
{
    struct http_session *session = (struct http_session *)conn;
    if (session->state == HTTP_ANSWERING && !send_piece(session) && !go_on(session))
        end_response(session);
}

static void answer(struct http_session *session)
{
    struct http_op *op = session->op;
    move(session, HTTP_ANSWERING);
    set_deadline_seconds(session, session->conn.thread->limits->http_idle_seconds);
    if (op->status != 0)
        op->rest.status = op->status;
    op->streamed = op->rest.more && !op->head_only;
    op->close |= session->conn.thread->draining || (op->streamed && op->minor == 0);
    op->in_chunks = op->streamed && !op->close;
    struct http_response response = {
        .rest = &op->rest,
        .allow = op->is_options || (op->refused && op->rest.status == 405) ? METHODS : NULL,
        .now_us = clock_wall_us(session->conn.thread->clock),
        .close = op->close,
        .streamed = op->rest.more,
    };
    struct buf *head = &session->conn.thread->encoder;
    buf_clear(head);
    http_write_head(head, &response);
    if (head->failed) {
        conn_fail(&session->conn);
        return;
    }
    conn_send(&session->conn, buf_span(head));
    send_piece(session);
}

/* Of a body whose head is sent nothing else can be said than that it ends too early. */
static void answer_more(struct http_session *session)
{
    struct http_op *op = session->op;
    move(session, HTTP_ANSWERING);
    if (op->rest.status != 200) {
        conn_fail(&session->conn);
        return;
    }
    set_deadline_seconds(session, session->conn.thread->limits->http_idle_seconds);
    op->sent = 0;
    send_piece(session);
}

static void on_reply(struct gateway_thread *thread, struct mail *mail)
{
    struct http_op *op = lws_container_of(mail, struct http_op, mail);
    thread->calls--;
    if (op->session == NULL) {
        free_op(op);
        return;
    }
    struct conn *conn = &op->session->conn;
    conn_enter(conn);
    if (op->streamed)
        answer_more(op->session);
    else
        answer(op->session);
    conn_leave(conn);
}

/* Answers without the service. What the client still sends is not read: the connection closes. */
static void refuse(struct http_session *session, enum err err, int status, const struct why *why)
{
    struct http_op *op = session->op;
    if (op == NULL && (op = new_op(session)) == NULL) {
        conn_fail(&session->conn);
        return;
    }
    service_rest_refuse(&op->rest, err, why);
    op->refused = true;
    op->status = status;
    op->close = true;
    answer(session);
}

static void refuse_with(struct http_session *session, enum err err, const char *sentence)
{
    struct why why;
    why_set(&why, "%s", sentence);
    refuse(session, err, 0, &why);
}

static void refuse_large(struct http_session *session)
{
    struct why why;
    why_set(&why,
        "the request's body is larger than %zu bytes, which is the limit "
        "(limits.request_bytes)",
        session->conn.thread->limits->body_bytes);
    refuse(session, ERR_TOO_LARGE, 0, &why);
}

static void refuse_late(struct http_session *session)
{
    struct why why;
    why_set(&why, "the request did not arrive in time");
    refuse(session, ERR_ARGUMENT, 408, &why);
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool is_of_the_portal(struct http_op *op)
{
    op->file.path = op->rest.path;
    op->file.is_api = service_is_api(op->rest.path);
    return !op->is_options && (op->head_only || span_is(op->rest.method, "GET")) &&
           static_files_answer(op->thread->gateway->files, &op->file, &op->rest);
}

static void ask(struct http_session *session)
{
    struct http_op *op = session->op;
    if (is_of_the_portal(op)) {
        answer(session);
        return;
    }
    if (op->is_options) {
        op->rest.status = 204;
        answer(session);
        return;
    }
    move(session, HTTP_ASKING);
    conn_set_deadline(&session->conn, PATIENCE_MS);
    op->thread->calls++;
    service_rest(op->thread->service, &op->rest);
}

static bool is_offered(struct span method)
{
    static const char *const methods[] = {
        "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (span_is(method, methods[i]))
            return true;
    return false;
}

static bool tells_of_a_message(struct span name)
{
    static const struct span prefix = SPAN_INIT("iothub-");
    return span_eq_nocase(span_first(name, prefix.len), prefix) ||
           span_eq_nocase(name, SPAN_LIT("dt-subject"));
}

static bool copy_told(struct rest_call *rest, const struct http_request *request)
{
    struct arena *arena = &rest->call.arena;
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += tells_of_a_message(request->headers[i].name);
    if (count == 0)
        return true;
    rest->told = arena_alloc(arena, count * sizeof *rest->told);
    for (size_t i = 0; rest->told != NULL && i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (!tells_of_a_message(header->name))
            continue;
        struct rest_header *copy = &rest->told[rest->told_count++];
        copy->name = arena_text(arena, header->name);
        if (copy->name == NULL || !arena_span(arena, header->value, &copy->value))
            return false;
    }
    return rest->told != NULL;
}

/* The spans of the request point into the input buffer, those of the call into its arena. */
static bool copy_request(struct http_op *op, const struct http_request *request)
{
    struct rest_call *rest = &op->rest;
    char peer[CONN_PEER_SIZE];
    const struct {
        struct span from;
        struct span *to;
    } fields[] = {
        {request->method, &rest->method},
        {request->host, &rest->host},
        {request->path, &rest->path},
        {request->query, &rest->query},
        {http_find_header(request, "authorization"), &rest->authorization},
        {http_find_header(request, "if-match"), &rest->if_match},
        {http_find_header(request, "cookie"), &rest->cookie},
        {http_find_header(request, "x-gemel-csrf"), &rest->csrf},
        {http_find_header(request, "origin"), &rest->origin},
        {http_find_header(request, "content-type"), &rest->content_type},
        {http_find_header(request, "x-ms-max-item-count"), &rest->max_items},
        {http_find_header(request, "x-ms-continuation"), &rest->continuation},
        {http_find_header(request, "last-event-id"), &rest->last_event_id},
        {span_of(conn_peer(&op->session->conn, peer)), &rest->peer},
        {http_find_header(request, "user-agent"), &rest->user_agent},
        {http_find_header(request, "accept"), &op->file.accept},
        {http_find_header(request, "accept-encoding"), &op->file.accept_encoding},
        {http_find_header(request, "if-none-match"), &op->file.if_none_match},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (!arena_span(&rest->call.arena, fields[i].from, fields[i].to))
            return false;
    AUTO(buf_done) struct buf chain = BUF_EMPTY;
    if (!copy_told(rest, request))
        return false;
    if (rest->authorization.len == 0)
        conn_add_certificates(&op->session->conn, &chain);
    return !chain.failed && arena_span(&rest->call.arena, buf_span(&chain), &rest->certificates);
}

static bool make_op(struct http_session *session, const struct http_request *request)
{
    struct http_op *op = new_op(session);
    if (op == NULL)
        return false;
    op->head_only = span_is(request->method, "HEAD");
    op->is_options = span_is(request->method, "OPTIONS");
    op->chunked = request->chunked;
    op->minor = request->minor;
    op->close = !request->keep_alive;
    op->collected.limit_bytes = op->thread->limits->body_bytes;
    op->body_size = request->content_length;
    if (!copy_request(op, request))
        return false;
    if (op->chunked || op->body_size == 0 || op->body_size > op->thread->limits->body_bytes)
        return true;
    op->body = arena_alloc(&op->rest.call.arena, (size_t)op->body_size);
    return op->body != NULL;
}

static void become_websocket(struct http_session *session, const struct http_request *request)
{
    struct http_fault fault;
    enum err err = websocket_check_request(request, &fault);
    if (err != ERR_NONE) {
        refuse(session, fault.status == 404 ? ERR_NO_ROUTE : err, fault.status, &fault.why);
        return;
    }
    struct conn *mqtt = websocket_accept(session->conn.thread, &mqtt_protocol);
    struct buf *head = &session->conn.thread->encoder;
    buf_clear(head);
    websocket_write_response(head, request);
    if (mqtt == NULL || head->failed)
        conn_fail(&session->conn);
    else
        conn_send(&session->conn, buf_span(head));
    if (mqtt != NULL)
        conn_hand_over(&session->conn, mqtt, &session->in);
}

static void begin_request(struct http_session *session, const struct http_request *request)
{
    bool wants_socket = websocket_is_asked(request) || websocket_is_path(request->path);
    bool expects = request->expects_continue;
    if (!is_offered(request->method)) {
        refuse_with(session, ERR_METHOD, "the methods that are offered are " METHODS);
    } else if (session->conn.thread->draining) {
        refuse_with(session, ERR_UNAVAILABLE, "the server is shutting down");
    } else if (wants_socket) {
        become_websocket(session, request);
    } else if (!make_op(session, request)) {
        conn_fail(&session->conn);
    } else if (session->op->body_size > session->conn.thread->limits->body_bytes) {
        refuse_large(session);
    } else {
        move(session, HTTP_BODY);
        if (expects)
            conn_send(&session->conn, SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    }
}

static bool read_head(struct http_session *session)
{
    struct http_request request;
    struct http_fault fault;
    enum err err = http_parse_head(
        buf_span(&session->in), session->conn.thread->limits->header_bytes, &request, &fault);
    if (err == ERR_AGAIN)
        return false;
    if (err != ERR_NONE) {
        refuse(session, ERR_FORMAT, fault.status, &fault.why);
        return false;
    }
    begin_request(session, &request);
    mem_wipe(session->in.ptr, request.head_bytes); /* it held the token */
    buf_drop(&session->in, request.head_bytes);
    return true;
}

static void read_sized_body(struct http_session *session)
{
    struct http_op *op = session->op;
    size_t wanted = (size_t)(op->body_size - op->body_got);
    size_t take = session->in.len < wanted ? session->in.len : wanted;
    if (take > 0)
        memcpy(op->body + op->body_got, session->in.ptr, take);
    op->body_got += take;
    buf_drop(&session->in, take);
    if (op->body_got < op->body_size)
        return;
    op->rest.body = (struct span){op->body, (size_t)op->body_size};
    ask(session);
}

static void read_chunked_body(struct http_session *session)
{
    struct http_op *op = session->op;
    struct span input = buf_span(&session->in), piece;
    enum err err = ERR_NONE;
    while (!op->chunks.done && !op->collected.failed &&
           (err = http_read_chunk(&op->chunks, &input, &piece)) == ERR_NONE)
        buf_add(&op->collected, piece);
    buf_drop(&session->in, session->in.len - input.len);
    if (op->collected.failed)
        refuse_large(session);
    else if (err == ERR_FORMAT)
        refuse_with(session, ERR_FORMAT, "the chunks of the request's body are malformed");
    else if (op->chunks.done &&
             !arena_span(&op->rest.call.arena, buf_span(&op->collected), &op->rest.body))
        refuse_with(session, ERR_MEMORY, "no memory for the request's body");
    else if (op->chunks.done)
        ask(session);
}

/* Goes as far as the input reaches: one request at a time. */
static void advance(struct http_session *session)
{
    if (session->state == HTTP_IDLE && session->in.len > 0) {
        move(session, HTTP_HEAD);
        set_deadline_seconds(session, session->conn.thread->limits->http_request_seconds);
    }
    if (session->state == HTTP_HEAD && !read_head(session))
        return;
    if (!conn_is_open(&session->conn) || session->state != HTTP_BODY)
        return;
    if (session->op->chunked)
        read_chunked_body(session);
    else
        read_sized_body(session);
}

/* ---- the connection -------------------------------------------------------------------------- */

static struct conn *accept_session(struct gateway_thread *thread)
{
    struct http_session *session = mem_alloc(sizeof *session);
    if (session == NULL)
        return NULL;
    conn_init(&session->conn, thread, &http_protocol, SEND_BYTES);
    set_deadline_seconds(session, thread->limits->http_idle_seconds);
    return &session->conn;
}

static void data(struct conn *conn, struct span bytes)
{
    struct http_session *session = (struct http_session *)conn;
    buf_add(&session->in, bytes);
    if (session->in.failed) {
        conn_fail(conn);
        return;
    }
    advance(session);
    bool waits = session->state == HTTP_ASKING || session->state == HTTP_ANSWERING;
    if (waits && session->in.len >= conn->thread->limits->header_bytes)
        conn_pause(conn);
    if (session->in.len == 0)
        buf_done(&session->in);
}

static void deadline(struct conn *conn)
{
    struct http_session *session = (struct http_session *)conn;
    if (session->state == HTTP_ASKING)
        conn_set_deadline(conn, PATIENCE_MS);
    else if (session->state == HTTP_ANSWERING && conn->sent_bytes != session->sent_before)
        set_deadline_seconds(session, conn->thread->limits->http_idle_seconds);
    else if (session->state == HTTP_HEAD || session->state == HTTP_BODY)
        refuse_late(session);
    else
        conn_finish(conn);
}

static void drain(struct conn *conn)
{
    struct http_session *session = (struct http_session *)conn;
    if (session->state == HTTP_IDLE)
        conn_finish(conn);
}

static void gone(struct conn *conn)
{
    struct http_session *session = (struct http_session *)conn;
    if (session->op != NULL && session->state == HTTP_ASKING)
        session->op->session = NULL;
    else if (session->op != NULL)
        free_op(session->op);
    buf_done(&session->in);
    mem_free(session);
}

const struct conn_protocol http_protocol = {
    .name = "HTTP",
    .accept = accept_session,
    .data = data,
    .deadline = deadline,
    .sent = sent,
    .drain = drain,
    .gone = gone,
};
