/* SPDX-License-Identifier: Apache-2.0 */
#include "twin_priv.h"

void render_values(const struct prop *object, struct buf *out)
{
    char before = '{';
    prop_each(child, object)
    {
        buf_add_byte(out, before);
        before = ',';
        json_write_string(child->key, out);
        buf_add_byte(out, ':');
        if (child->leaf != NULL)
            json_write(child->leaf, out);
        else
            render_values(child, out);
    }
    buf_add_text(out, before == '{' ? "{}" : "}");
}

void render_metadata(const struct prop *object, struct buf *out)
{
    char before = '{';
    if (object->updated.len > 0) {
        buf_add_text(out, "{\"$lastUpdated\":");
        json_write_string(object->updated, out);
        before = ',';
    }
    if (object->updated_version > 0) {
        buf_add_byte(out, before);
        buf_add_format(out, "\"$lastUpdatedVersion\":%lld", (long long)object->updated_version);
        before = ',';
    }
    prop_each(child, object)
    {
        buf_add_byte(out, before);
        before = ',';
        json_write_string(child->key, out);
        buf_add_byte(out, ':');
        render_metadata(child, out);
    }
    buf_add_text(out, before == '{' ? "{}" : "}");
}

/* Writes a section's values without the closing brace, ready for one more member. */
static void write_open(const struct twin_section *section, struct buf *out)
{
    must(section->values.len >= 2);
    buf_add(out, span_first(section->values, section->values.len - 1));
    if (section->values.len > 2)
        buf_add_byte(out, ',');
}

static void write_client_section(const struct twin_section *section, struct buf *out)
{
    write_open(section, out);
    buf_add_format(out, "\"$version\":%lld}", (long long)section->version);
}

void twin_write_client(const struct twin_doc *doc, struct buf *out)
{
    buf_add_text(out, "{\"desired\":");
    write_client_section(&doc->desired, out);
    buf_add_text(out, ",\"reported\":");
    write_client_section(&doc->reported, out);
    buf_add_byte(out, '}');
}

static void write_full_section(const struct twin_section *section, struct buf *out)
{
    write_open(section, out);
    buf_add_text(out, "\"$metadata\":");
    buf_add(out, section->metadata);
    buf_add_format(out, ",\"$version\":%lld}", (long long)section->version);
}

void twin_write_properties(const struct twin_doc *doc, struct buf *out)
{
    buf_add_text(out, "\"properties\":{\"desired\":");
    write_full_section(&doc->desired, out);
    buf_add_text(out, ",\"reported\":");
    write_full_section(&doc->reported, out);
    buf_add_byte(out, '}');
}

const char *twin_etag(uint64_t counter, char ret_text[TWIN_ETAG_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned i = 0; i < 10; i++)
        ret_text[i] = digits[counter >> (58 - 6 * i) & 63];
    /* Ten digits carry 60 of the 64 bits; the eleventh the last four and two zeros. */
    ret_text[10] = digits[(counter & 15) << 2];
    ret_text[11] = '=';
    ret_text[12] = '\0';
    return ret_text;
}
