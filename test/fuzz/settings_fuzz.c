/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An input is a document, judged as desired and as conf.json. Whatever stands in it, what is
 * reported fits a twin; and what is accepted is accepted again in the form that is reported.
 */
#include "verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_twin_key(struct span key)
{
    must(key.len > 0 && key.len <= 1024);
    for (size_t i = 0; i < key.len; i++)
        must(key.ptr[i] > ' ' && key.ptr[i] <= '~' && strchr(".$#", key.ptr[i]) == NULL);
}

static void must_fit_a_twin(const struct json *report)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    json_write(report, &text);
    must(!text.failed && text.len <= 32768);
    json_each (member, report) {
        must_be_twin_key(member->key);
        buf_clear(&text);
        json_write(member, &text);
        /* Quotes and backslashes weigh double as JSON text, but not in a twin. */
        must(member->kind == JSON_STRING ? member->text.len <= 4096 : text.len <= 4096);
        if (member->kind == JSON_OBJECT) {
            json_each (inner, member) {
                must_be_twin_key(inner->key);
                must(inner->text.len <= 4096 && span_is_utf8(inner->text));
            }
        }
    }
}

static void must_be_reported(
    struct arena *arena, const struct settings *settings, const struct verdict *verdict)
{
    struct settings again;
    struct verdict second;
    struct json *report = settings_report(arena, settings);
    must(report != NULL);
    verdict_init(&second);
    must(settings_judge(settings, report, &again, &second) == ERR_NONE);
    must(settings_difference(settings, &again) == 0);
    settings_done(&again);
    verdict_done(&second);
    must(verdict_report(arena, verdict, "0.0.0", report));
    must_fit_a_twin(report);
    struct json *patch = settings_report_difference(arena, report, report);
    must(patch != NULL && patch->count == 0);
}

static void judge(struct arena *arena, const struct json *document, bool local)
{
    struct settings defaults;
    struct settings effective;
    struct verdict verdict;
    settings_init(&defaults);
    settings_init(&effective);
    verdict_init(&verdict);
    enum err err = local ? settings_judge_local(document, &effective, &verdict)
                         : settings_judge(&defaults, document, &effective, &verdict);
    must(err == ERR_NONE || err == ERR_ARGUMENT);
    must((err == ERR_NONE) == verdict_ok(&verdict));
    must(err == ERR_NONE || settings_difference(&defaults, &effective) == 0);
    must_be_reported(arena, &effective, &verdict);
    settings_done(&effective);
    verdict_done(&verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct json *document;
    arena_init(&arena, 0);
    if (json_parse(&arena, (struct span){(const char *)data, size}, 0, &document, NULL) ==
        ERR_NONE) {
        judge(&arena, document, false);
        judge(&arena, document, true);
    }
    arena_done(&arena);
    return 0;
}
