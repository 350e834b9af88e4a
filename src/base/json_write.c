/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

/* Escapes a character of ASCII that cannot stand in a string as it is. */
static void write_escape(unsigned char c, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    const char *found = c == 0 ? NULL : strchr("\"\\\b\f\n\r\t", c);
    if (found == NULL) {
        char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        buf_add(out, (struct span){escape, sizeof(escape)});
    } else {
        char escape[] = {'\\', "\"\\bfnrt"[found - "\"\\\b\f\n\r\t"]};
        buf_add(out, (struct span){escape, sizeof(escape)});
    }
}

/* How many bytes from a place on stand in a string as they are. */
static size_t plain_from(struct span text, size_t at)
{
    size_t end = at;
    while (end < text.len) {
        unsigned char c = (unsigned char)text.ptr[end];
        if (c < 0x20 || c >= 0x7F || c == '"' || c == '\\')
            break;
        end++;
    }
    return end - at;
}

/* Whoever hands us bytes that are no UTF-8 (a command line that was cut) gets these marked, and no
 * others. */
void json_write_string(struct span text, struct buf *out)
{
    buf_add_byte(out, '"');
    size_t plain = 0, at = 0;
    while ((at += plain_from(text, at)) < text.len) {
        unsigned char c = (unsigned char)text.ptr[at];
        bool well_formed = true;
        size_t len = c < 0x80 ? 1 : span_utf8(span_from(text, at), &well_formed);
        bool as_it_is = well_formed && c >= 0x20 && c != '"' && c != '\\' && c != 0x7F;
        if (!as_it_is) {
            buf_add(out, (struct span){text.ptr + plain, at - plain});
            plain = at + len;
        }
        if (!well_formed)
            buf_add_text(out, "\xEF\xBF\xBD");
        else if (!as_it_is)
            write_escape(c, out);
        at += len;
    }
    buf_add(out, span_from(text, plain));
    buf_add_byte(out, '"');
}

static void new_line(unsigned indent, unsigned level, struct buf *out)
{
    if (indent == 0)
        return;
    buf_add_byte(out, '\n');
    for (unsigned i = 0; i < indent * level; i++)
        buf_add_byte(out, ' ');
}

static void write_value(const struct json *value, unsigned indent, unsigned level, struct buf *out)
{
    switch (value->kind) {
    case JSON_NULL:
        buf_add_text(out, "null");
        return;
    case JSON_BOOL:
        buf_add_text(out, value->truth ? "true" : "false");
        return;
    case JSON_NUMBER:
        buf_add(out, value->text);
        return;
    case JSON_STRING:
        json_write_string(value->text, out);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    bool object = value->kind == JSON_OBJECT;
    buf_add_byte(out, object ? '{' : '[');
    json_each (child, value) {
        if (child != value->first)
            buf_add_byte(out, ',');
        new_line(indent, level + 1, out);
        if (object) {
            json_write_string(child->key, out);
            buf_add_text(out, indent == 0 ? ":" : ": ");
        }
        write_value(child, indent, level + 1, out);
    }
    if (value->first != NULL)
        new_line(indent, level, out);
    buf_add_byte(out, object ? '}' : ']');
}

void json_write(const struct json *value, struct buf *out)
{
    write_value(value, 0, 0, out);
}

void json_write_pretty(const struct json *value, unsigned indent, struct buf *out)
{
    write_value(value, indent, 0, out);
}
