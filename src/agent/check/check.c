/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "settings_doc.h"
#include "verdict.h"

#include <errno.h>
#include <stdio.h>

/* Where a byte of the text stands, for a person. */
static void locate(struct span text, size_t offset, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        column++;
        if (text.ptr[i] == '\n') {
            line++;
            column = 1;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

static bool write_json(struct arena *arena, const struct settings *effective,
    const struct verdict *verdict, struct buf *out)
{
    struct json *root = json_new(arena, JSON_OBJECT);
    if (root == NULL || !verdict_report(arena, verdict, NULL, root) ||
        !json_set(arena, root, SPAN_LIT("effective"), settings_report(arena, effective)))
        return false;
    json_write_pretty(root, 2, out);
    buf_add_text(out, "\n");
    return true;
}

/* Writes the fields that a document changes. */
static bool write_changes(struct arena *arena, const struct settings *effective, struct buf *out)
{
    struct settings defaults;
    settings_init(&defaults);
    struct json *before = settings_report(arena, &defaults);
    struct json *after = settings_report(arena, effective);
    if (before == NULL || after == NULL)
        return false;
    struct json *changes = settings_report_difference(arena, before, after);
    if (changes == NULL)
        return false;
    buf_add_text(out, changes->count == 0 ? "; everything has its default\n"
                                          : "; what differs from the defaults:\n");
    json_each (change, changes) {
        buf_add_format(out, "  %.*s = ", SPAN_ARG(change->key));
        json_write(change, out);
        buf_add_text(out, "\n");
    }
    return true;
}

static void write_fields(const struct verdict_field *field, struct buf *out)
{
    for (; field != NULL; field = field->next)
        buf_add_format(out, "  %.*s: %s\n", SPAN_ARG(field->name), field->sentence);
}

static bool write_text(struct arena *arena, const char *name, const struct settings *effective,
    const struct verdict *verdict, struct buf *out)
{
    if (!verdict_ok(verdict)) {
        size_t count = verdict->field_count + verdict->left_out;
        buf_add_format(out, "%s: would not be applied, nothing of it; %zu bad field%s:\n", name,
            count, count == 1 ? "" : "s");
        write_fields(verdict->fields, out);
        if (verdict->left_out > 0)
            buf_add_format(out, "  and %zu more\n", verdict->left_out);
        return true;
    }
    buf_add_format(out, "%s: would be applied", name);
    if (!write_changes(arena, effective, out))
        return false;
    if (verdict->notes != NULL)
        buf_add_text(out, "to note:\n");
    write_fields(verdict->notes, out);
    return true;
}

static enum check_exit judge_and_write(struct arena *arena, const char *name,
    const struct json *document, bool json_output, struct buf *out, struct buf *err_out)
{
    struct verdict verdict;
    struct settings base;
    struct settings effective;
    verdict_init(&verdict);
    settings_init(&base);
    settings_init(&effective);
    enum err err = settings_judge(&base, document, &effective, &verdict);
    verdict.desired_version = -1;
    bool judged = err == ERR_NONE || err == ERR_ARGUMENT;
    bool written = judged && (json_output ? write_json(arena, &effective, &verdict, out)
                                          : write_text(arena, name, &effective, &verdict, out));
    if (!written || out->failed)
        buf_add_format(err_out, "%s: %s\n", name, err_row(ERR_MEMORY)->text);
    settings_done(&effective);
    verdict_done(&verdict);
    if (!written || out->failed)
        return CHECK_UNREADABLE;
    return err == ERR_NONE ? CHECK_APPLIED : CHECK_REFUSED;
}

enum check_exit check_text(
    const char *name, struct span text, bool json_output, struct buf *out, struct buf *err_out)
{
    struct why why = {""};
    struct arena arena;
    struct json *document;
    enum check_exit result = CHECK_UNREADABLE;
    arena_init(&arena, 0);
    enum err err = json_parse(&arena, text, 0, &document, &why);
    if (err != ERR_NONE) {
        buf_add_format(err_out, "%s: %s\n", name, why_text(&why, err));
    } else if (document->kind != JSON_OBJECT) {
        size_t line;
        size_t column;
        locate(text, document->offset, &line, &column);
        buf_add_format(err_out, "%s: line %zu, column %zu: the document is %s, not an object\n",
            name, line, column, json_kind_name(document));
    } else {
        result = judge_and_write(&arena, name, document, json_output, out, err_out);
    }
    arena_done(&arena);
    return result;
}

/* Reads all of a stream; one byte past the limit is enough to know that it is too large. */
static enum err read_all(FILE *stream, struct buf *ret_text)
{
    for (;;) {
        char *room = buf_reserve(ret_text, 4096);
        if (room == NULL)
            return ERR_MEMORY;
        size_t got = fread(room, 1, 4096, stream);
        ret_text->len += got;
        if (ret_text->len > CHECK_BYTES_MAX)
            return ERR_TOO_LARGE;
        if (got == 0)
            return ferror(stream) ? ERR_IO : ERR_NONE;
    }
}

static enum err read_file(const char *file, struct buf *ret_text, struct why *why)
{
    bool standard = strcmp(file, "-") == 0;
    FILE *stream = standard ? stdin : fopen(file, "rb");
    if (stream == NULL)
        return fail(ERR_IO, why, "%s", strerror(errno));
    enum err err = read_all(stream, ret_text);
    if (err == ERR_IO)
        why_set(why, "%s", strerror(errno));
    if (err == ERR_TOO_LARGE)
        why_set(why, "larger than %u bytes: no desired document", CHECK_BYTES_MAX);
    if (!standard)
        fclose(stream);
    return err;
}

static bool print(const struct buf *text, FILE *stream)
{
    if (fwrite(text->ptr, 1, text->len, stream) == text->len && fflush(stream) == 0)
        return true;
    fprintf(stderr, "gemel-agent: writing the output: %s\n", strerror(errno));
    return false;
}

int agent_check(const char *file, bool json_output)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    AUTO(buf_done) struct buf err_out = BUF_EMPTY;
    struct why why = {""};
    enum check_exit result = CHECK_UNREADABLE;
    const char *name = strcmp(file, "-") == 0 ? "standard input" : file;
    enum err err = read_file(file, &text, &why);
    if (err != ERR_NONE)
        buf_add_format(&err_out, "%s: %s\n", name, why_text(&why, err));
    else
        result = check_text(name, buf_span(&text), json_output, &out, &err_out);
    if (out.len > 0 && !print(&out, stdout))
        result = CHECK_UNREADABLE;
    if (err_out.len > 0 && !print(&err_out, stderr))
        result = CHECK_UNREADABLE;
    return (int)result;
}

int agent_schema(void)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    settings_write_schema(&text);
    return !text.failed && print(&text, stdout) ? 0 : 1;
}
