/* SPDX-License-Identifier: Apache-2.0 */
#include "https.h"

#include <curl/curl.h>
#include <errno.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_S 10L
#define ANSWER_MAX_BYTES (256u << 20)

struct https {
    CURL *curl;
    const volatile sig_atomic_t *stop;
};

enum err https_new(const volatile sig_atomic_t *stop, struct https **ret_https, struct why *why)
{
    struct https *https = mem_alloc(sizeof(*https));
    CURL *curl = https == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK
                     ? NULL
                     : curl_easy_init();
    if (curl == NULL) {
        mem_free(https);
        return fail(ERR_MEMORY, why, "libcurl cannot be started");
    }
    *https = (struct https){.curl = curl, .stop = stop};
    *ret_https = https;
    return ERR_NONE;
}

void https_free(struct https *https)
{
    if (https == NULL)
        return;
    curl_easy_cleanup(https->curl);
    curl_global_cleanup();
    mem_free(https);
}

/* ---- what libcurl calls ---------------------------------------------------------------------- */

#define HEADERS_MAX_BYTES 131072

struct answer {
    struct buf body;
    struct buf headers;
    struct arena *arena;
    struct response response;
    const volatile sig_atomic_t *stop;
};

static size_t take_body(char *bytes, size_t size, size_t count, void *self)
{
    struct answer *answer = self;
    buf_add(&answer->body, (struct span){bytes, size * count});
    return answer->body.failed ? 0 : size * count;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *self)
{
    struct answer *answer = self;
    struct span line = {bytes, size * count};
    size_t colon = span_find(line, ':');
    struct span value = span_trim(span_from(line, colon + 1));
    struct span name = span_first(line, colon);
    struct span *to =
        span_eq_nocase(name, SPAN_LIT("iothub-errorcode"))
            ? &answer->response.error_name
            : (span_eq_nocase(name, SPAN_LIT("x-ms-continuation")) ? &answer->response.continuation
                                                                   : NULL);
    buf_add(&answer->headers, line);
    if (answer->headers.failed || (to != NULL && !arena_span(answer->arena, value, to)))
        return 0;
    return line.len;
}

static int check_stop(void *self, curl_off_t down_total UNUSED, curl_off_t down UNUSED,
    curl_off_t up_total UNUSED, curl_off_t up UNUSED)
{
    const struct answer *answer = self;
    return answer->stop != NULL && *answer->stop != 0;
}

/* ---- a request ------------------------------------------------------------------------------- */

static struct curl_slist *make_headers(const struct request *request, struct arena *arena)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < request->header_count; i++) {
        char *line = arena_format(arena, "%s: %.*s", request->headers[i].name,
            (int)request->headers[i].value.len, request->headers[i].value.ptr);
        struct curl_slist *longer = line == NULL ? NULL : curl_slist_append(list, line);
        if (line != NULL)
            mem_wipe(line, strlen(line)); /* it may be the authorization */
        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static void free_headers(struct curl_slist *list)
{
    for (struct curl_slist *at = list; at != NULL; at = at->next)
        mem_wipe(at->data, strlen(at->data));
    curl_slist_free_all(list);
}

static bool set_up(struct https *https, const struct request *request, struct answer *answer,
    const char *url, struct curl_slist *headers, char *error)
{
    CURL *curl = https->curl;
    curl_easy_reset(curl);
    bool set = true;
#define SET(option, value) set = set && curl_easy_setopt(curl, option, value) == CURLE_OK
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PATH_AS_IS, 1L); /* "." is a device id like any other */
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_CUSTOMREQUEST, request->method);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_USERAGENT, "gemel/" GEMEL_VERSION);
    SET(CURLOPT_ERRORBUFFER, error);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    SET(CURLOPT_TIMEOUT, (long)request->timeout_s);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, answer);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, answer);
    SET(CURLOPT_XFERINFOFUNCTION, check_stop);
    SET(CURLOPT_XFERINFODATA, answer);
    SET(CURLOPT_NOPROGRESS, 0L);
    if (request->ca_file != NULL)
        SET(CURLOPT_CAINFO, request->ca_file);
    if (request->has_body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        SET(CURLOPT_POSTFIELDS, request->body.len > 0 ? request->body.ptr : "");
    }
#undef SET
    return set;
}

/* What each failure of libcurl means to the person; all others are ERR_UNAVAILABLE. ERR_TLS is for
 * certificates alone: what else TLS fails at is a peer that is no hub, or one that just stopped. */
static const struct failure {
    CURLcode code;
    enum err err;
    const char *text;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, ERR_UNAVAILABLE, "the name is not known"},
    {CURLE_COULDNT_RESOLVE_PROXY, ERR_UNAVAILABLE, "the name of the proxy is not known"},
    {CURLE_COULDNT_CONNECT, ERR_UNAVAILABLE, "nothing answers there"},
    {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT, "no answer in time"},
    {CURLE_PEER_FAILED_VERIFICATION, ERR_TLS, "its certificate is not accepted"},
    {CURLE_SSL_CONNECT_ERROR, ERR_UNAVAILABLE, "TLS failed"},
    {CURLE_SSL_CACERT_BADFILE, ERR_TLS, "the file of certificate authorities cannot be used"},
    {CURLE_SSL_ISSUER_ERROR, ERR_TLS, "its certificate is not accepted"},
    {CURLE_SSL_CERTPROBLEM, ERR_TLS, "its certificate is not accepted"},
    {CURLE_ABORTED_BY_CALLBACK, ERR_CANCELLED, "stopped"},
    {CURLE_OUT_OF_MEMORY, ERR_MEMORY, "out of memory"},
    {CURLE_WRITE_ERROR, ERR_TOO_LARGE, "its answer is too large"},
    {CURLE_OK, ERR_UNAVAILABLE, "the connection failed"},
};

static enum err explain(
    CURLcode code, const struct request *request, const char *error, struct why *why)
{
    const struct failure *row = failures;
    while (row->code != code && row->code != CURLE_OK)
        row++;
    return fail(row->err, why, "%.*s cannot be reached: %s%s%s%s", SPAN_ARG(request->host),
        row->text, error[0] == '\0' ? "" : " (", error, error[0] == '\0' ? "" : ")");
}

static enum err perform(struct https *https, const struct request *request, struct answer *answer,
    const char *url, struct why *why)
{
    char error[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = make_headers(request, answer->arena);
    if (headers == NULL || !set_up(https, request, answer, url, headers, error)) {
        free_headers(headers);
        return fail(ERR_MEMORY, why, "no memory for a request");
    }
    CURLcode code = curl_easy_perform(https->curl);
    free_headers(headers);
    if (code != CURLE_OK)
        return explain(code, request, error, why);
    long status = 0;
    curl_easy_getinfo(https->curl, CURLINFO_RESPONSE_CODE, &status);
    answer->response.status = (int)status;
    if (!arena_span(answer->arena, buf_span(&answer->body), &answer->response.body) ||
        !arena_span(answer->arena, buf_span(&answer->headers), &answer->response.headers))
        return fail(ERR_MEMORY, why, "no memory for the answer");
    return ERR_NONE;
}

static enum err https_send(void *self, const struct request *request, struct arena *arena,
    struct response *ret_response, struct why *why)
{
    struct https *https = self;
    /* libcurl would only say that TLS failed. */
    if (request->ca_file != NULL && access(request->ca_file, R_OK) != 0)
        return fail(ERR_ARGUMENT, why, "the certificate authority %s cannot be read: %s",
            request->ca_file, strerror(errno));
    struct answer answer = {.body = {.limit_bytes = ANSWER_MAX_BYTES},
        .headers = {.limit_bytes = HEADERS_MAX_BYTES},
        .arena = arena,
        .stop = request->to_the_end ? NULL : https->stop};
    char *url = arena_format(arena, "https://%.*s%.*s", SPAN_ARG(request->host),
        (int)request->target.len, request->target.ptr);
    if (url == NULL)
        return fail(ERR_MEMORY, why, "no memory for a request");
    enum err err = perform(https, request, &answer, url, why);
    buf_done(&answer.body);
    buf_done(&answer.headers);
    if (err == ERR_NONE)
        *ret_response = answer.response;
    return err;
}

struct transport https_transport(struct https *https)
{
    return (struct transport){https_send, https};
}
