/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#define COLUMNS_MAX 8
#define CELL_MAX_BYTES 4096

/* ---- JSON: the document itself --------------------------------------------------------------- */

static void json_document(
    const struct json *value, const struct column *columns UNUSED, struct buf *out)
{
    json_write_pretty(value, 2, out);
    buf_add_byte(out, '\n');
}

static void json_record(const struct json *value, const struct column *columns UNUSED,
    bool first UNUSED, struct buf *out)
{
    json_write(value, out);
    buf_add_byte(out, '\n');
}

/* ---- a table: one line a document ------------------------------------------------------------ */

static const struct json *follow(const struct json *value, const char *path)
{
    struct span rest = span_of(path);
    struct span name;
    while (value != NULL && span_cut(&rest, '.', &name))
        value = json_find(value, name);
    return value;
}

/* Control characters would break the lines, and could drive the terminal. */
static void add_plain(struct span text, struct buf *cell)
{
    for (size_t i = 0; i < text.len && cell->len < CELL_MAX_BYTES; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        buf_add_byte(cell, c < 0x20 || c == 0x7F ? ' ' : (char)c);
    }
}

static void write_cell(const struct json *value, struct buf *cell)
{
    if (value == NULL || value->kind == JSON_NULL)
        return;
    if (value->kind == JSON_STRING) {
        add_plain(value->text, cell);
        return;
    }
    bool texts = value->kind == JSON_ARRAY && value->count > 0;
    if (texts)
        json_each (item, value)
            texts = texts && item->kind == JSON_STRING;
    if (!texts) {
        json_write(value, cell);
        return;
    }
    json_each (item, value) {
        if (item != value->first)
            buf_add_text(cell, ", ");
        add_plain(item->text, cell);
    }
}

/* Characters and not bytes: what is not the beginning of a UTF-8 sequence has no width. */
static size_t width_of(struct span text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return width;
}

static size_t column_count(const struct column *columns)
{
    size_t count = 0;
    while (columns[count].title != NULL)
        count++;
    must(count <= COLUMNS_MAX);
    return count;
}

static void add_padded(struct span text, size_t width, bool last, struct buf *out)
{
    buf_add(out, text);
    for (size_t at = width_of(text); !last && at < width + 2; at++)
        buf_add_byte(out, ' ');
}

static void write_row(const struct json *value, const struct column *columns, size_t count,
    const size_t *widths, struct buf *out)
{
    AUTO(buf_done) struct buf cell = BUF_EMPTY;
    for (size_t i = 0; i < count; i++) {
        buf_clear(&cell);
        write_cell(follow(value, columns[i].path), &cell);
        out->failed |= cell.failed;
        add_padded(buf_span(&cell), widths[i], i + 1 == count, out);
    }
    buf_add_byte(out, '\n');
}

static void write_header(
    const struct column *columns, size_t count, const size_t *widths, struct buf *out)
{
    for (size_t i = 0; i < count; i++)
        add_padded(span_of(columns[i].title), widths[i], i + 1 == count, out);
    buf_add_byte(out, '\n');
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < widths[i]; at++)
            buf_add_byte(out, '-');
        buf_add_text(out, i + 1 == count ? "\n" : "  ");
    }
}

static void widen(
    const struct json *value, const struct column *columns, size_t count, size_t *widths)
{
    AUTO(buf_done) struct buf cell = BUF_EMPTY;
    for (size_t i = 0; i < count; i++) {
        buf_clear(&cell);
        write_cell(follow(value, columns[i].path), &cell);
        size_t width = width_of(buf_span(&cell));
        if (width > widths[i])
            widths[i] = width;
    }
}

static void table_document(const struct json *value, const struct column *columns, struct buf *out)
{
    size_t widths[COLUMNS_MAX] = {0};
    size_t count = column_count(columns);
    for (size_t i = 0; i < count; i++)
        widths[i] = width_of(span_of(columns[i].title));
    if (value->kind != JSON_ARRAY) {
        widen(value, columns, count, widths);
        write_header(columns, count, widths, out);
        write_row(value, columns, count, widths, out);
        return;
    }
    json_each (item, value)
        widen(item, columns, count, widths);
    write_header(columns, count, widths, out);
    json_each (item, value)
        write_row(item, columns, count, widths, out);
}

static void table_record(
    const struct json *value, const struct column *columns, bool first, struct buf *out)
{
    size_t widths[COLUMNS_MAX] = {0};
    size_t count = column_count(columns);
    for (size_t i = 0; i < count; i++)
        widths[i] = columns[i].width;
    if (first)
        write_header(columns, count, widths, out);
    write_row(value, columns, count, widths, out);
}

static const struct writer writers[] = {
    {"json", json_document, json_record},
    {"table", table_document, table_record},
};

const struct writer *writer_find(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(writers); i++)
        if (span_is(name, writers[i].name))
            return &writers[i];
    return NULL;
}
