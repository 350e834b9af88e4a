/* SPDX-License-Identifier: Apache-2.0 */
#include "json_priv.h"

#include <stdio.h>
#include <stdlib.h>

/* An object with more members than this looks for duplicates by sorting. */
#define FEW_MEMBERS 12u

struct parser {
    struct arena *arena;
    struct span text;
    size_t at;
    unsigned depth;
    unsigned max_depth;
    size_t fault; /* the byte that is wrong */
    struct why *why;
};

static enum err refuse(struct parser *p, size_t at, const char *what)
{
    p->fault = at;
    return fail(ERR_FORMAT, p->why, "%s", what);
}

static void say_where(struct span text, size_t at, struct why *why)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < at && i < text.len; i++) {
        column++;
        if (text.ptr[i] == '\n') {
            line++;
            column = 1;
        }
    }
    why_prefix(why, "line %zu, column %zu", line, column);
}

static enum err no_memory(struct parser *p)
{
    return fail(ERR_MEMORY, p->why, "the JSON text needs more memory than is allowed");
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->text.len) {
        char c = p->text.ptr[p->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        p->at++;
    }
}

static int peek(const struct parser *p)
{
    return p->at < p->text.len ? (unsigned char)p->text.ptr[p->at] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static enum err parse_number(struct parser *p, struct json *value)
{
    size_t start = p->at;
    if (peek(p) == '-')
        p->at++;
    if (!is_digit(peek(p)))
        return refuse(p, p->at, "a digit is expected");
    if (peek(p) == '0') {
        p->at++;
        if (is_digit(peek(p)))
            return refuse(p, p->at, "a number has no leading zero");
    }
    while (is_digit(peek(p)))
        p->at++;
    if (peek(p) == '.') {
        p->at++;
        if (!is_digit(peek(p)))
            return refuse(p, p->at, "a digit is expected behind the decimal point");
        while (is_digit(peek(p)))
            p->at++;
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-')
            p->at++;
        if (!is_digit(peek(p)))
            return refuse(p, p->at, "a digit is expected in the exponent");
        while (is_digit(peek(p)))
            p->at++;
    }
    value->kind = JSON_NUMBER;
    struct span literal = {p->text.ptr + start, p->at - start};
    return arena_span(p->arena, literal, &value->text) ? ERR_NONE : no_memory(p);
}

static bool hex4(const struct parser *p, size_t at, unsigned *ret_unit)
{
    unsigned unit = 0;
    if (p->text.len - at < 4)
        return false;
    for (size_t i = at; i < at + 4; i++) {
        char c = p->text.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            return false;
        unit = unit * 16 + digit;
    }
    *ret_unit = unit;
    return true;
}

static size_t put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xC0 | (code >> 6));
        to[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xE0 | (code >> 12));
        to[1] = (char)(0x80 | ((code >> 6) & 0x3F));
        to[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | (code >> 18));
    to[1] = (char)(0x80 | ((code >> 12) & 0x3F));
    to[2] = (char)(0x80 | ((code >> 6) & 0x3F));
    to[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* Decodes the escape at p->at (the backslash) to `to`; an escape is never shorter than its bytes.
 */
static enum err parse_escape(struct parser *p, char *to, size_t *ret_len)
{
    static const char from_letters[] = "\"\\/bfnrt";
    static const char to_bytes[] = "\"\\/\b\f\n\r\t";
    size_t start = p->at++;
    int letter = peek(p);
    const char *found = letter <= 0 ? NULL : strchr(from_letters, letter);
    if (found != NULL) {
        *to = to_bytes[found - from_letters];
        *ret_len = 1;
        p->at++;
        return ERR_NONE;
    }
    unsigned unit;
    if (letter != 'u' || !hex4(p, p->at + 1, &unit))
        return refuse(p, start, "this escape does not exist");
    p->at += 5;
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return refuse(p, start, "a lone low surrogate is no character");
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        unsigned low;
        bool pair = p->text.len - p->at >= 6 && p->text.ptr[p->at] == '\\' &&
                    p->text.ptr[p->at + 1] == 'u' && hex4(p, p->at + 2, &low) && low >= 0xDC00 &&
                    low <= 0xDFFF;
        if (!pair)
            return refuse(p, start, "a lone high surrogate is no character");
        p->at += 6;
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    *ret_len = put_utf8(to, unit);
    return ERR_NONE;
}

/* Reads from behind the opening quote to behind the closing one. */
static enum err parse_string(struct parser *p, struct span *ret_text)
{
    size_t start = p->at;
    size_t end = start;
    bool plain = true; /* ASCII without escapes and control characters: nearly every string */
    while (end < p->text.len && p->text.ptr[end] != '"') {
        unsigned char c = (unsigned char)p->text.ptr[end];
        plain = plain && c >= 0x20 && c < 0x80 && c != '\\';
        end += c == '\\' ? 2u : 1u;
    }
    if (end >= p->text.len)
        return refuse(p, start - 1, "the string has no end");
    if (plain) {
        p->at = end + 1;
        return arena_span(p->arena, (struct span){p->text.ptr + start, end - start}, ret_text)
                   ? ERR_NONE
                   : no_memory(p);
    }
    char *bytes = arena_alloc(p->arena, end - start + 1);
    if (bytes == NULL)
        return no_memory(p);
    size_t len = 0;
    while (p->at < end) {
        char c = p->text.ptr[p->at];
        if ((unsigned char)c < 0x20)
            return refuse(p, p->at, "a control character in a string must be escaped");
        if (c != '\\') {
            bytes[len++] = c;
            p->at++;
            continue;
        }
        size_t added = 0;
        enum err err = parse_escape(p, bytes + len, &added);
        if (err != ERR_NONE)
            return err;
        len += added;
    }
    struct span text = {bytes, len};
    if (!span_is_utf8(text))
        return refuse(p, start, "the string is not UTF-8");
    p->at = end + 1;
    *ret_text = text;
    return ERR_NONE;
}

static enum err parse_value(struct parser *p, struct json *value);

static enum err parse_word(struct parser *p, struct json *value)
{
    static const struct {
        const char *word;
        enum json_kind kind;
        bool truth;
    } words[] = {
        {"true", JSON_BOOL, true}, {"false", JSON_BOOL, false}, {"null", JSON_NULL, false}};
    struct span rest = span_from(p->text, p->at);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (span_starts(rest, span_of(words[i].word))) {
            value->kind = words[i].kind;
            value->truth = words[i].truth;
            p->at += strlen(words[i].word);
            return ERR_NONE;
        }
    }
    return refuse(p, p->at,
        p->at >= p->text.len ? "a value is expected, the text ends here" : "a value is expected");
}

/* Of two members with one name the earlier comes first. */
static int by_name(const void *left, const void *right)
{
    const struct json *a = *(const struct json *const *)left;
    const struct json *b = *(const struct json *const *)right;
    int order = span_compare(a->key, b->key);
    return order != 0 ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

/* Sorting, not hashing: names chosen to collide must not make it slow. */
static enum err find_duplicate_of_many(const struct json *object, const struct json **ret_duplicate)
{
    const struct json **members = mem_alloc(object->count * sizeof(const struct json *));
    if (members == NULL)
        return ERR_MEMORY;
    size_t count = 0;
    json_each (member, object)
        members[count++] = member;
    qsort(members, count, sizeof(const struct json *), by_name);
    *ret_duplicate = NULL;
    for (size_t i = 1; i < count && *ret_duplicate == NULL; i++)
        if (span_eq(members[i - 1]->key, members[i]->key))
            *ret_duplicate = members[i];
    mem_free(members);
    return ERR_NONE;
}

/* Finds a member whose name an earlier one has; NULL: there is none. */
static enum err find_duplicate(const struct json *object, const struct json **ret_duplicate)
{
    if (object->count > FEW_MEMBERS)
        return find_duplicate_of_many(object, ret_duplicate);
    *ret_duplicate = NULL;
    json_each (a, object)
        for (const struct json *b = a->next; b != NULL; b = b->next)
            if (span_eq(a->key, b->key))
                *ret_duplicate = b;
    return ERR_NONE;
}

static enum err parse_member_name(struct parser *p, struct json *member)
{
    skip_blanks(p);
    if (peek(p) != '"')
        return refuse(p, p->at, "a member's name in double quotes is expected");
    p->at++;
    enum err err = parse_string(p, &member->key);
    if (err != ERR_NONE)
        return err;
    skip_blanks(p);
    if (peek(p) != ':')
        return refuse(p, p->at, "a colon is expected behind the name");
    p->at++;
    return ERR_NONE;
}

static enum err refuse_duplicate(struct parser *p, const struct json *object)
{
    const struct json *duplicate;
    if (find_duplicate(object, &duplicate) != ERR_NONE)
        return no_memory(p);
    if (duplicate == NULL)
        return ERR_NONE;
    char what[160];
    snprintf(what, sizeof(what), "the name \"%.*s\" stands twice in one object",
        (int)(duplicate->key.len > 80 ? 80 : duplicate->key.len), duplicate->key.ptr);
    return refuse(p, duplicate->offset, what);
}

/* Reads from behind '{' or '[' to behind its partner. */
static enum err parse_container(struct parser *p, struct json *container, char closing)
{
    skip_blanks(p);
    if (peek(p) == closing) {
        p->at++;
        return ERR_NONE;
    }
    for (;;) {
        struct json *child = arena_alloc(p->arena, sizeof(*child));
        if (child == NULL)
            return no_memory(p);
        enum err err = container->kind == JSON_OBJECT ? parse_member_name(p, child) : ERR_NONE;
        if (err == ERR_NONE)
            err = parse_value(p, child);
        if (err != ERR_NONE)
            return err;
        json_link(container, child);
        skip_blanks(p);
        int c = peek(p);
        if (c != ',' && c != closing)
            return refuse(p, p->at,
                closing == '}' ? "',' or '}' is expected here" : "',' or ']' is expected here");
        p->at++;
        if (c == closing)
            return container->kind == JSON_OBJECT ? refuse_duplicate(p, container) : ERR_NONE;
    }
}

static enum err parse_value(struct parser *p, struct json *value)
{
    skip_blanks(p);
    value->offset = p->at;
    int c = peek(p);
    if (c == '"') {
        p->at++;
        value->kind = JSON_STRING;
        return parse_string(p, &value->text);
    }
    if (c == '-' || is_digit(c))
        return parse_number(p, value);
    if (c != '{' && c != '[')
        return parse_word(p, value);
    if (p->depth >= p->max_depth) {
        char what[80];
        snprintf(what, sizeof(what), "nested deeper than %u levels", p->max_depth);
        return refuse(p, p->at, what);
    }
    p->at++;
    p->depth++;
    value->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
    enum err err = parse_container(p, value, c == '{' ? '}' : ']');
    p->depth--;
    return err;
}

static enum err parse_all(struct parser *p, struct json **ret_value)
{
    struct json *value = arena_alloc(p->arena, sizeof(*value));
    if (value == NULL)
        return no_memory(p);
    /* RFC 8259, 8.1: it must not be written; some editors do, and nobody sees it. */
    if (span_starts(p->text, SPAN_LIT("\xEF\xBB\xBF")))
        return refuse(p, 0, "the text begins with a byte order mark: save it without one");
    enum err err = parse_value(p, value);
    if (err != ERR_NONE)
        return err;
    skip_blanks(p);
    if (p->at < p->text.len)
        return refuse(p, p->at, "nothing may follow the value");
    *ret_value = value;
    return ERR_NONE;
}

enum err json_parse_located(struct arena *arena, struct span text, unsigned max_depth,
    struct json **ret_value, size_t *ret_fault, struct why *why)
{
    struct parser p = {.arena = arena,
        .text = text,
        .max_depth = max_depth == 0 ? JSON_DEPTH_DEFAULT : max_depth,
        .why = why};
    enum err err = parse_all(&p, ret_value);
    if (err == ERR_FORMAT)
        *ret_fault = p.fault;
    return err;
}

enum err json_parse(struct arena *arena, struct span text, unsigned max_depth,
    struct json **ret_value, struct why *why)
{
    size_t fault = 0;
    enum err err = json_parse_located(arena, text, max_depth, ret_value, &fault, why);
    if (err == ERR_FORMAT)
        say_where(text, fault, why);
    return err;
}
