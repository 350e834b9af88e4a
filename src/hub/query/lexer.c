/* SPDX-License-Identifier: Apache-2.0 */
#include "query_priv.h"

#include <ctype.h>
#include <stdio.h>

static UNUSED void find_place(struct span text, size_t offset, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        bool inside = ((unsigned char)text.ptr[i] & 0xC0) == 0x80; /* of a character */
        column = text.ptr[i] == '\n' ? 1 : column + (inside ? 0 : 1);
        line += text.ptr[i] == '\n' ? 1 : 0;
    }
    *ret_line = line;
    *ret_column = column;
}

#ifndef __clang_analyzer__ /* see query_priv.h */
enum err lexer_fail(const struct lexer *lexer, size_t offset, const char *format, ...)
{
    struct why sentence;
    size_t line;
    size_t column;
    va_list arguments;
    size_t begin = lexer->begin < offset ? lexer->begin : offset;
    find_place(span_from(lexer->text, begin), offset - begin, &line, &column);
    va_start(arguments, format);
    (void)vsnprintf(sentence.text, sizeof(sentence.text), format, arguments);
    va_end(arguments);
    return fail(ERR_ARGUMENT, lexer->why, "the query, line %zu, column %zu: %s", line, column,
        sentence.text);
}
#endif

bool lexer_sees(const struct lexer *lexer, char c)
{
    return lexer->at < lexer->text.len && lexer->text.ptr[lexer->at] == c;
}

static bool is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_name_part(char c)
{
    return is_name_start(c) || isdigit((unsigned char)c);
}

static char look(const struct lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->text.len ? lexer->text.ptr[at] : '\0';
}

static void finish(struct lexer *lexer, size_t to, struct token *token)
{
    token->source = (struct span){lexer->text.ptr + token->offset, to - token->offset};
    lexer->at = to;
}

/* ---- numbers ------------------------------------------------------------------------------- */

static enum err read_hex(struct lexer *lexer, struct token *token)
{
    size_t at = lexer->at + 2;
    size_t digits = 0;
    double number = 0;
    for (; at < lexer->text.len && isxdigit((unsigned char)lexer->text.ptr[at]); at++, digits++) {
        int c = tolower((unsigned char)lexer->text.ptr[at]);
        number = number * 16 + (isdigit(c) ? c - '0' : c - 'a' + 10);
    }
    if (digits == 0 || digits > 16 || (at < lexer->text.len && is_name_part(lexer->text.ptr[at])))
        return lexer_fail(lexer, token->offset, "0x is followed by 1 to 16 hexadecimal digits");
    token->number = number;
    finish(lexer, at, token);
    return ERR_NONE;
}

static size_t skip_digits(struct span text, size_t at)
{
    while (at < text.len && isdigit((unsigned char)text.ptr[at]))
        at++;
    return at;
}

static enum err read_number(struct lexer *lexer, struct token *token)
{
    struct span text = lexer->text;
    token->kind = TOKEN_NUMBER;
    if (look(lexer, 0) == '0' && (look(lexer, 1) == 'x' || look(lexer, 1) == 'X'))
        return read_hex(lexer, token);
    size_t at = skip_digits(text, lexer->at);
    if (at < text.len && text.ptr[at] == '.')
        at = skip_digits(text, at + 1);
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        size_t sign = at + 1 < text.len && strchr("+-", text.ptr[at + 1]) != NULL ? 2 : 1;
        at = skip_digits(text, at + sign);
    }
    bool glued = at < text.len && is_name_part(text.ptr[at]);
    finish(lexer, at, token);
    /* ".5" */
    char *copy = arena_format(lexer->arena, "0%.*s", SPAN_ARG(token->source));
    if (copy == NULL)
        return ERR_MEMORY;
    if (glued || !query_value_parse_number(span_of(copy), &token->number))
        return lexer_fail(lexer, token->offset, "this is no number that a double can hold");
    return ERR_NONE;
}

/* ---- strings ------------------------------------------------------------------------------- */

static bool read_hex4(const struct lexer *lexer, size_t at, unsigned *ret_code)
{
    unsigned code = 0;
    for (size_t i = at; i < at + 4; i++) {
        int c = i < lexer->text.len ? tolower((unsigned char)lexer->text.ptr[i]) : 0;
        if (!isxdigit(c))
            return false;
        code = code << 4 | (unsigned)(isdigit(c) ? c - '0' : c - 'a' + 10);
    }
    *ret_code = code;
    return true;
}

static void add_character(struct buf *out, unsigned code)
{
    if (code < 0x80) {
        buf_add_byte(out, (char)code);
        return;
    }
    if (code < 0x800) {
        buf_add_byte(out, (char)(0xC0 | code >> 6));
    } else {
        if (code < 0x10000) {
            buf_add_byte(out, (char)(0xE0 | code >> 12));
        } else {
            buf_add_byte(out, (char)(0xF0 | code >> 18));
            buf_add_byte(out, (char)(0x80 | (code >> 12 & 0x3F)));
        }
        buf_add_byte(out, (char)(0x80 | (code >> 6 & 0x3F)));
    }
    buf_add_byte(out, (char)(0x80 | (code & 0x3F)));
}

/* "\uXXXX", or two of them for a character beyond the first 65,536. */
static enum err read_unicode(struct lexer *lexer, size_t *at, struct buf *out)
{
    static const char said[] = "\\u is followed by 4 hexadecimal digits, and they name a character";
    unsigned code;
    unsigned low;
    size_t begin = *at;
    if (!read_hex4(lexer, begin + 2, &code) || (code >= 0xDC00 && code < 0xE000))
        return lexer_fail(lexer, begin, "%s", said);
    *at += 6;
    if (code >= 0xD800 && code < 0xDC00) {
        if (!span_starts(span_from(lexer->text, *at), SPAN_LIT("\\u")) ||
            !read_hex4(lexer, *at + 2, &low) || low < 0xDC00 || low > 0xDFFF)
            return lexer_fail(lexer, begin, "%s", said);
        code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
        *at += 6;
    }
    add_character(out, code);
    return ERR_NONE;
}

static enum err read_escape(struct lexer *lexer, size_t *at, struct buf *out)
{
    static const char names[] = "'\"\\/bfnrt";
    static const char meant[] = "'\"\\/\b\f\n\r\t";
    char c = *at + 1 < lexer->text.len ? lexer->text.ptr[*at + 1] : '\0';
    const char *found = c == '\0' ? NULL : strchr(names, c);
    if (c == 'u')
        return read_unicode(lexer, at, out);
    if (found == NULL)
        return lexer_fail(
            lexer, *at, "a backslash is followed by one of ' \" \\ / b f n r t or uXXXX");
    buf_add_byte(out, meant[found - names]);
    *at += 2;
    return ERR_NONE;
}

static enum err read_string(struct lexer *lexer, struct token *token)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    struct span text = lexer->text;
    size_t at = lexer->at + 1;
    char quote = look(lexer, 0);
    token->kind = TOKEN_STRING;
    while (at < text.len) {
        if (text.ptr[at] == '\\') {
            enum err err = read_escape(lexer, &at, &out);
            if (err != ERR_NONE)
                return err;
            continue;
        }
        if (text.ptr[at] == quote) {
            if (at + 1 >= text.len || text.ptr[at + 1] != quote)
                break;
            at++; /* a quote said twice */
        }
        buf_add_byte(&out, text.ptr[at++]);
    }
    if (at >= text.len)
        return lexer_fail(lexer, token->offset, "this string has no end");
    if (out.failed || !arena_span(lexer->arena, buf_span(&out), &token->text))
        return ERR_MEMORY;
    finish(lexer, at + 1, token);
    return ERR_NONE;
}

/* ---- the rest ------------------------------------------------------------------------------ */

enum err lexer_bracketed(struct lexer *lexer, size_t offset, struct span *ret_name)
{
    struct span rest = span_from(lexer->text, lexer->at);
    for (size_t i = 0; i + 1 < rest.len; i++) {
        if (rest.ptr[i] != ']' || rest.ptr[i + 1] != ']')
            continue;
        /* A name may end in "]": the last two are the end. */
        while (i + 2 < rest.len && rest.ptr[i + 2] == ']')
            i++;
        if (i == 0)
            return lexer_fail(lexer, offset, "there is no name between [[ and ]]");
        *ret_name = span_first(rest, i);
        lexer->at += i + 2;
        return ERR_NONE;
    }
    return lexer_fail(lexer, offset, "[[ has no ]] behind it");
}

static enum err read_mark(struct lexer *lexer, struct token *token)
{
    static const char *const marks[] = {"!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]",
        ",", ".", "+", "-", "*", "/", "%"};
    struct span rest = span_from(lexer->text, lexer->at);
    token->kind = TOKEN_MARK;
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        if (!span_starts(rest, span_of(marks[i])))
            continue;
        finish(lexer, lexer->at + strlen(marks[i]), token);
        return ERR_NONE;
    }
    unsigned char c = (unsigned char)rest.ptr[0];
    if (c > 0x20 && c < 0x7F)
        return lexer_fail(lexer, token->offset, "\"%c\" has no meaning here", c);
    return lexer_fail(lexer, token->offset, "a byte of value %u has no meaning here", c);
}

enum err lexer_next(struct lexer *lexer, struct token *ret_token)
{
    struct token token = {.kind = TOKEN_END};
    enum err err = ERR_NONE;
    while (lexer->at < lexer->text.len && isspace((unsigned char)lexer->text.ptr[lexer->at]))
        lexer->at++;
    token.offset = lexer->at;
    char c = look(lexer, 0);
    if (lexer->at == lexer->text.len) {
        token.source = SPAN_NONE;
    } else if (is_name_start(c)) {
        size_t at = lexer->at;
        while (at < lexer->text.len && is_name_part(lexer->text.ptr[at]))
            at++;
        token.kind = TOKEN_NAME;
        finish(lexer, at, &token);
    } else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)look(lexer, 1)))) {
        err = read_number(lexer, &token);
    } else if (c == '\'' || c == '"') {
        err = read_string(lexer, &token);
    } else {
        err = read_mark(lexer, &token);
    }
    if (err == ERR_NONE)
        *ret_token = token;
    return err;
}
