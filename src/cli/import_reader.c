/* SPDX-License-Identifier: Apache-2.0 */
#include "import_reader.h"

#include <errno.h>

#define CHUNK_BYTES 65536
#define DOCUMENT_MAX_BYTES (4u << 20)
#define STATE_MAX_BYTES (512u << 20)

enum form { FORM_UNKNOWN, FORM_LINES, FORM_LIST, FORM_STATE };

struct import_reader {
    FILE *stream;
    enum form form;
    uint64_t from;
    uint64_t line;  /* of the next byte */
    uint64_t count; /* of the documents of a list or a state so far */
    uint64_t bytes;
    size_t at;
    size_t filled;
    struct buf text;    /* of the document that is being read */
    struct arena arena; /* of a state file */
    struct json *state;
    struct json *device; /* the next of a state file's devices */
    struct json *owner;  /* the device whose modules come next */
    struct json *module;
    bool over;
    char chunk[CHUNK_BYTES];
};

enum err import_reader_new(FILE *stream, uint64_t from, struct import_reader **ret_reader)
{
    struct import_reader *reader = mem_alloc(sizeof(*reader));
    if (reader == NULL)
        return ERR_MEMORY;
    reader->stream = stream;
    reader->from = from;
    reader->line = 1;
    reader->text.limit_bytes = STATE_MAX_BYTES; /* until it is known what it is */
    arena_init(&reader->arena, 0);
    *ret_reader = reader;
    return ERR_NONE;
}

void import_reader_free(struct import_reader *reader)
{
    if (reader == NULL)
        return;
    buf_wipe(&reader->text);
    mem_wipe(reader->chunk, sizeof(reader->chunk));
    arena_done(&reader->arena);
    mem_free(reader);
}

const char *import_reader_unit(const struct import_reader *reader)
{
    return reader->form == FORM_LINES ? "line" : "item";
}

uint64_t import_reader_bytes(const struct import_reader *reader)
{
    return reader->bytes;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* The next byte, or -1 at the end; it stays the next one. */
static int peek(struct import_reader *reader)
{
    if (reader->at == reader->filled) {
        reader->filled = fread(reader->chunk, 1, CHUNK_BYTES, reader->stream);
        reader->at = 0;
    }
    return reader->filled == 0 ? -1 : (unsigned char)reader->chunk[reader->at];
}

static int take(struct import_reader *reader)
{
    int byte = peek(reader);
    if (byte < 0)
        return byte;
    reader->at++;
    reader->bytes++;
    if (byte == '\n')
        reader->line++;
    return byte;
}

static bool is_blank(int byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void skip_blanks(struct import_reader *reader)
{
    while (is_blank(peek(reader)))
        take(reader);
}

/* Editors and .NET begin a file with a byte order mark. */
static void skip_mark(struct import_reader *reader)
{
    static const unsigned char mark[] = {0xEF, 0xBB, 0xBF};
    if (peek(reader) != mark[0] || reader->filled < sizeof(mark) ||
        memcmp(reader->chunk, mark, sizeof(mark)) != 0)
        return;
    for (size_t i = 0; i < sizeof(mark); i++)
        take(reader);
}

/* ---- documents ------------------------------------------------------------------------------- */

static enum err parse(struct import_reader *reader, struct arena *arena,
    struct import_document *document, struct why *why)
{
    struct json *json = NULL;
    size_t fault = 0;
    if (reader->text.failed)
        return fail(ERR_FORMAT, why, "it has more than %u MiB", DOCUMENT_MAX_BYTES >> 20);
    enum err err = json_parse_located(arena, buf_span(&reader->text), 0, &json, &fault, why);
    if (err == ERR_FORMAT)
        why_prefix(why, "byte %zu", fault + 1);
    if (err == ERR_NONE && json->kind != JSON_OBJECT)
        err = fail(ERR_FORMAT, why, "it is %s, and an object is needed", json_kind_name(json));
    document->json = json;
    return err;
}

static void begin_text(struct import_reader *reader)
{
    buf_clear(&reader->text);
    reader->text.failed = false;
}

/* A line without its end; false at the end of the file. */
static bool take_line(struct import_reader *reader, uint64_t *ret_line)
{
    begin_text(reader);
    *ret_line = reader->line;
    int byte = take(reader);
    if (byte < 0)
        return false;
    for (; byte >= 0 && byte != '\n'; byte = take(reader))
        buf_add_byte(&reader->text, (char)byte);
    return true;
}

static enum err next_line(struct import_reader *reader, struct arena *arena,
    struct import_document *document, struct why *why)
{
    while (take_line(reader, &document->number))
        if (document->number >= reader->from &&
            (reader->text.failed || span_trim(buf_span(&reader->text)).len > 0))
            return parse(reader, arena, document, why);
    return ERR_NOT_FOUND;
}

/* Takes one value of a list, by its brackets. */
static enum err take_value(struct import_reader *reader, struct why *why)
{
    unsigned depth = 0;
    bool quoted = false;
    begin_text(reader);
    for (;;) {
        int byte = peek(reader);
        if (byte < 0)
            return fail(ERR_CORRUPT, why, "the list ends in the middle, at line %llu",
                (unsigned long long)reader->line);
        if (!quoted && depth == 0 && (byte == ',' || byte == ']'))
            return ERR_NONE;
        take(reader);
        buf_add_byte(&reader->text, (char)byte);
        if (quoted && byte == '\\') {
            int next = take(reader);
            buf_add_byte(&reader->text, (char)(next < 0 ? 0 : next));
        } else if (byte == '"') {
            quoted = !quoted;
        } else if (!quoted && (byte == '{' || byte == '[')) {
            depth++;
        } else if (!quoted && (byte == '}' || byte == ']')) {
            depth--;
        }
    }
}

static enum err next_of_list(struct import_reader *reader, struct arena *arena,
    struct import_document *document, struct why *why)
{
    for (;;) {
        skip_blanks(reader);
        if (reader->over || peek(reader) == ']') {
            reader->over = true;
            return ERR_NOT_FOUND;
        }
        document->number = ++reader->count;
        enum err err = take_value(reader, why);
        if (err != ERR_NONE)
            return err;
        if (peek(reader) == ',')
            take(reader);
        if (document->number >= reader->from)
            return parse(reader, arena, document, why);
    }
}

/* ---- the state of a hub ---------------------------------------------------------------------- */

/* In one form a device is its twin with its keys, and the modules of all devices stand beside them
 * as pairs; in the other it is {identity, twin, modules}. */
static struct json *modules_of(const struct import_reader *reader, const struct json *device)
{
    struct json *own = json_find_text(device, "modules");
    return own != NULL ? own : json_find(json_find_text(reader->state, "modules"), device->key);
}

static void split(const struct json *pair, struct import_document *document)
{
    const struct json *identity = json_find_text(pair, "identity");
    document->json = identity != NULL ? identity : pair;
    document->twin = json_find_text(pair, "twin");
    if (pair->kind == JSON_ARRAY) {
        document->json = pair->first;
        document->twin = pair->first == NULL ? NULL : pair->first->next;
    }
}

/* All devices first, then their modules. */
static const struct json *next_part(struct import_reader *reader, bool *ret_module)
{
    const struct json *part = reader->device;
    *ret_module = part == NULL;
    if (part != NULL) {
        reader->device = reader->device->next;
        return part;
    }
    while (reader->module == NULL && reader->owner != NULL) {
        struct json *modules = modules_of(reader, reader->owner);
        reader->module = modules == NULL ? NULL : modules->first;
        reader->owner = reader->owner->next;
    }
    part = reader->module;
    if (part != NULL)
        reader->module = reader->module->next;
    return part;
}

static enum err next_of_state(
    struct import_reader *reader, struct import_document *document, struct why *why)
{
    const struct json *part;
    do {
        part = next_part(reader, &document->of_module);
        if (part == NULL)
            return ERR_NOT_FOUND;
        document->number = ++reader->count;
    } while (document->number < reader->from);
    split(part, document);
    if (json_is(document->json, JSON_OBJECT))
        return ERR_NONE;
    return fail(ERR_FORMAT, why, "it is no object, and an object is needed");
}

static enum err read_state(struct import_reader *reader, struct why *why)
{
    reader->text.limit_bytes = STATE_MAX_BYTES;
    for (int byte = take(reader); byte >= 0; byte = take(reader))
        buf_add_byte(&reader->text, (char)byte);
    if (reader->text.failed)
        return fail(ERR_TOO_LARGE, why,
            "the file is one document of more than %u MiB, not one object a line",
            STATE_MAX_BYTES >> 20);
    enum err err = json_parse(&reader->arena, buf_span(&reader->text), 0, &reader->state, why);
    if (err == ERR_MEMORY)
        return err;
    const struct json *devices = err == ERR_NONE ? json_find_text(reader->state, "devices") : NULL;
    if (err != ERR_NONE || !json_is(devices, JSON_OBJECT))
        return fail(ERR_CORRUPT, why,
            "it is none of: one JSON object a line, a list of objects, the state of a hub with "
            "its \"devices\"");
    reader->device = devices->first;
    reader->owner = devices->first;
    return ERR_NONE;
}

/* ---- which form it is ------------------------------------------------------------------------ */

/* The first line decides: whole by itself and about one identity, or the beginning of more. */
static enum err begin(struct import_reader *reader, struct arena *arena,
    struct import_document *document, struct why *why)
{
    skip_mark(reader);
    skip_blanks(reader);
    reader->form = peek(reader) == '[' ? FORM_LIST : FORM_LINES;
    if (reader->form == FORM_LIST) {
        reader->text.limit_bytes = DOCUMENT_MAX_BYTES;
        take(reader);
        return import_reader_next(reader, arena, document, why);
    }
    if (!take_line(reader, &document->number))
        return ERR_NOT_FOUND;
    enum err err = parse(reader, arena, document, why);
    bool is_state = err == ERR_NONE ? json_find_text(document->json, "devices") != NULL
                                    : span_is(span_trim(buf_span(&reader->text)), "{");
    if (is_state) {
        reader->form = FORM_STATE;
        if (peek(reader) >= 0)
            buf_add_byte(&reader->text, '\n');
        err = read_state(reader, why);
        return err == ERR_NONE ? next_of_state(reader, document, why) : err;
    }
    reader->text.limit_bytes = DOCUMENT_MAX_BYTES;
    if (document->number < reader->from)
        return next_line(reader, arena, document, why);
    return err;
}

enum err import_reader_next(struct import_reader *reader, struct arena *arena,
    struct import_document *ret_document, struct why *why)
{
    enum err err = ERR_NOT_FOUND;
    *ret_document = (struct import_document){.number = 0};
    if (reader->form == FORM_UNKNOWN)
        err = begin(reader, arena, ret_document, why);
    else if (reader->form == FORM_LINES)
        err = next_line(reader, arena, ret_document, why);
    else if (reader->form == FORM_LIST)
        err = next_of_list(reader, arena, ret_document, why);
    else
        err = next_of_state(reader, ret_document, why);
    if (ferror(reader->stream))
        return fail(ERR_IO, why, "it cannot be read: %s", strerror(errno));
    return err;
}
