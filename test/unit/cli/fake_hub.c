/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#define WORDS_MAX 16

static enum err fake_send(void *self, const struct request *request, struct arena *arena,
    struct response *ret_response, struct why *why)
{
    struct fake_hub *hub = self;
    assert_true(hub->asked_count < hub->answer_count);
    const struct fake_answer *answer = &hub->answers[hub->asked_count];
    struct buf *asked = &hub->asked[hub->asked_count++];
    assert_true(hub->asked_count < ASKED_MAX);
    buf_add_format(asked, "%s %.*s %.*s\n", request->method, SPAN_ARG(request->host),
        SPAN_ARG(request->target));
    for (size_t i = 0; i < request->header_count; i++)
        buf_add_format(
            asked, "%s: %.*s\n", request->headers[i].name, SPAN_ARG(request->headers[i].value));
    buf_add_byte(asked, '\n');
    buf_add(asked, request->body);
    hub->now_us += hub->step_us;
    hub->stop = answer->stop;
    if (answer->err != ERR_NONE) {
        why_set(why, "the fake transport fails");
        return answer->err;
    }
    struct response response = {
        .status = answer->status, .continuation = span_of(answer->continuation)};
    if (answer->body != NULL && !arena_span(arena, span_of(answer->body), &response.body))
        return ERR_MEMORY;
    *ret_response = response;
    return ERR_NONE;
}

static int64_t fake_now(void *self)
{
    return ((struct fake_hub *)self)->now_us;
}

int fake_run(struct fake_hub *hub, const char *line)
{
    const struct clock clock = {fake_now, fake_now, hub};
    char *words[WORDS_MAX];
    int count = 0;
    char *text = mem_text(span_of(line));
    size_t out_size = 0;
    size_t err_size = 0;
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        must(count < WORDS_MAX);
        words[count++] = word;
    }
    setenv("GEMEL_LOGIN", LOGIN, 1);
    setenv("GEMEL_ADMIN_PASSWORD", "geheim", 1);
    struct cli cli = {.transport = {fake_send, hub}, .clock = &clock, .stop = &hub->stop};
    cli.out = open_memstream(&hub->out, &out_size);
    cli.err = open_memstream(&hub->err, &err_size);
    arena_init(&cli.arena, 0);
    mem_fail_after(hub->fails_memory ? hub->fail_after : -1);
    int status = cli_run(&cli, count, words);
    mem_fail_after(-1);
    fclose(cli.out);
    fclose(cli.err);
    arena_done(&cli.arena);
    mem_free(text);
    assert_null(strstr(hub->err, "MDEyMzQ1"));
    assert_null(strstr(hub->err, "geheim"));
    assert_null(strstr(hub->err, "SharedAccessSignature"));
    return status;
}

void fake_done(struct fake_hub *hub)
{
    for (size_t i = 0; i < hub->asked_count; i++)
        buf_done(&hub->asked[i]);
    free(hub->out);
    free(hub->err);
}

const char *fake_asked(const struct fake_hub *hub, size_t at)
{
    assert_true(at < hub->asked_count);
    return hub->asked[at].ptr;
}
