/* SPDX-License-Identifier: Apache-2.0 */
#include "static_files.h"

#include "buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 2000u
#define BYTES_MAX (64u * 1024 * 1024)
#define DEPTH_MAX 8u
#define PATH_SIZE 512u
#define ETAG_SIZE 40u

struct content {
    struct span bytes; /* owned; none: ptr is NULL */
    char etag[ETAG_SIZE];
};

struct static_file {
    char *path; /* "/assets/x.js" */
    struct span type;
    bool unchanging;
    struct content plain;
    struct content gzip;
};

struct static_files {
    struct static_file *files; /* by path */
    size_t count;
    size_t capacity;
    size_t bytes;
    char hsts[64]; /* empty: is not sent */
    const struct static_file *page;
};

static const struct {
    const char *ending;
    struct span type;
} types[] = {
    {".html", SPAN_INIT("text/html; charset=utf-8")},
    {".js", SPAN_INIT("text/javascript; charset=utf-8")},
    {".css", SPAN_INIT("text/css; charset=utf-8")},
    {".svg", SPAN_INIT("image/svg+xml")},
    {".png", SPAN_INIT("image/png")},
    {".ico", SPAN_INIT("image/x-icon")},
    {".woff2", SPAN_INIT("font/woff2")},
    {".json", SPAN_INIT("application/json; charset=utf-8")},
    {".map", SPAN_INIT("application/json; charset=utf-8")},
    {".txt", SPAN_INIT("text/plain; charset=utf-8")},
};
static const struct span any_type = SPAN_INIT("application/octet-stream");

static const struct span no_portal_page = SPAN_INIT(
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>gemel-hub</title>"
    "</head>\n<body>\n<h1>gemel-hub</h1>\n"
    "<p>The hub runs. Its portal was not built, or is not installed where this server looks.</p>\n"
    "<p>Build it with <code>./dev build</code> in the source tree; <code>meson install</code> "
    "installs it beside the program. A portal in another folder is named by the setting "
    "<code>portal.directory</code>.</p>\n</body>\n</html>\n");

/* Of every file: they override what http_response.c says for answers that are no pages. */
static const struct {
    const char *name;
    struct span value;
} protections[] = {
    {"content-security-policy",
        SPAN_INIT("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                  "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
                  "frame-ancestors 'none'")},
    {"cross-origin-opener-policy", SPAN_INIT("same-origin")},
    {"cross-origin-resource-policy", SPAN_INIT("same-origin")},
    {"permissions-policy",
        SPAN_INIT("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), "
                  "usb=()")},
};

/* ---- reading the folder ---------------------------------------------------------------------- */

static bool ends_in(struct span text, const char *ending)
{
    size_t len = strlen(ending);
    return text.len >= len && span_is(span_from(text, text.len - len), ending);
}

static struct span type_of(struct span path)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (ends_in(path, types[i].ending))
            return types[i].type;
    return any_type;
}

static bool write_etag(struct span bytes, char ret_etag[ETAG_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char hex[33];
    if (EVP_Digest(bytes.ptr, bytes.len, digest, &size, EVP_sha256(), NULL) != 1 || size < 16)
        return false;
    for (size_t i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(ret_etag, ETAG_SIZE, "\"%s\"", hex);
    return true;
}

static enum err read_bytes(int fd, char *to, size_t size, const char *path, struct why *why)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = read(fd, to + at, size - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail(ERR_IO, why, "%s: %s", path, got < 0 ? strerror(errno) : "it shrank");
        at += (size_t)got;
    }
    return ERR_NONE;
}

static enum err read_content(struct static_files *files, int fd, size_t size, const char *path,
    struct content *ret_content, struct why *why)
{
    if (size > BYTES_MAX - files->bytes)
        return fail(ERR_TOO_LARGE, why, "the files are larger than %u bytes together", BYTES_MAX);
    char *bytes = mem_alloc(size + 1);
    if (bytes == NULL)
        return fail(ERR_MEMORY, why, "no memory for %s", path);
    ret_content->bytes = (struct span){bytes, size};
    files->bytes += size;
    enum err err = read_bytes(fd, bytes, size, path, why);
    if (err == ERR_NONE && !write_etag(ret_content->bytes, ret_content->etag))
        err = fail(ERR_SERVER, why, "%s cannot be hashed", path);
    return err;
}

static struct static_file *add_file(struct static_files *files, struct span path)
{
    if (files->count == files->capacity) {
        size_t capacity = files->capacity == 0 ? 64 : files->capacity * 2;
        struct static_file *grown = mem_resize(files->files, capacity * sizeof(struct static_file));
        if (grown == NULL)
            return NULL;
        files->files = grown;
        files->capacity = capacity;
    }
    char *copy = mem_text(path);
    if (copy == NULL)
        return NULL;
    struct static_file *file = &files->files[files->count++];
    *file = (struct static_file){
        .path = copy,
        .type = type_of(path),
        .unchanging = span_starts(path, SPAN_LIT("/assets/")),
    };
    return file;
}

static enum err read_file(
    struct static_files *files, int fd, size_t size, const char *path, struct why *why)
{
    if (files->count == FILES_MAX)
        return fail(ERR_TOO_LARGE, why, "there are more than %u files", FILES_MAX);
    struct static_file *file = add_file(files, span_of(path));
    if (file == NULL)
        return fail(ERR_MEMORY, why, "no memory for %s", path);
    return read_content(files, fd, size, path, &file->plain, why);
}

static enum err read_directory(
    struct static_files *files, int fd, const char *path, unsigned depth, struct why *why);

/* Takes the entry's descriptor. */
static enum err read_opened(
    struct static_files *files, int fd, const char *path, unsigned depth, struct why *why)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        close(fd);
        return fail(ERR_IO, why, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(status.st_mode) && depth < DEPTH_MAX)
        return read_directory(files, fd, path, depth + 1, why);
    enum err err = ERR_NONE;
    if (S_ISREG(status.st_mode))
        err = read_file(files, fd, (size_t)status.st_size, path, why);
    close(fd);
    return err;
}

static enum err read_entry(struct static_files *files, int directory, const char *path,
    const char *name, unsigned depth, struct why *why)
{
    char full[PATH_SIZE];
    int len = snprintf(full, sizeof full, "%s/%s", path, name);
    if (name[0] == '.' || len < 0 || (size_t)len >= sizeof full)
        return ERR_NONE;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        return ERR_NONE;
    if (fd < 0)
        return fail(ERR_IO, why, "%s: %s", full, strerror(errno));
    return read_opened(files, fd, full, depth, why);
}

/* Takes the descriptor. */
static enum err read_directory(
    struct static_files *files, int fd, const char *path, unsigned depth, struct why *why)
{
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        close(fd);
        return fail(ERR_IO, why, "%s/: %s", path, strerror(errno));
    }
    enum err err = ERR_NONE;
    for (const struct dirent *entry; err == ERR_NONE && (entry = readdir(directory)) != NULL;)
        err = read_entry(files, fd, path, entry->d_name, depth, why);
    closedir(directory);
    return err;
}

/* ---- the table ------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct static_file *)a)->path, ((const struct static_file *)b)->path);
}

static struct static_file *find(const struct static_files *files, struct span path)
{
    size_t low = 0;
    size_t high = files->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = span_compare(span_of(files->files[middle].path), path);
        if (order == 0)
            return &files->files[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* "x.gz" beside "x" is its other form, and no file of its own. */
static void pair_compressed(struct static_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        struct static_file *file = &files->files[i];
        struct span path = span_of(file->path);
        if (!ends_in(path, ".gz"))
            continue;
        struct static_file *plain = find(files, span_first(path, path.len - 3));
        if (plain == NULL)
            continue;
        plain->gzip = file->plain;
        file->plain = (struct content){0};
    }
    size_t kept = 0;
    for (size_t i = 0; i < files->count; i++) {
        if (files->files[i].plain.bytes.ptr == NULL)
            mem_free(files->files[i].path);
        else
            files->files[kept++] = files->files[i];
    }
    files->count = kept;
}

enum err static_files_open(
    const char *directory, unsigned hsts_seconds, struct static_files **ret_files, struct why *why)
{
    struct static_files *files = mem_alloc(sizeof *files);
    if (files == NULL)
        return fail(ERR_MEMORY, why, "no memory for the portal's files");
    if (hsts_seconds > 0)
        snprintf(files->hsts, sizeof files->hsts, "max-age=%u", hsts_seconds);
    int fd = directory == NULL ? -1 : open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = ERR_NONE;
    if (fd >= 0)
        err = read_directory(files, fd, "", 0, why);
    else if (directory != NULL)
        err = fail(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, why, "%s", strerror(errno));
    if (err != ERR_NONE) {
        why_prefix(why, "the portal's folder %s", directory);
        static_files_close(files);
        return err;
    }
    if (files->count > 0)
        qsort(files->files, files->count, sizeof files->files[0], by_path);
    pair_compressed(files);
    files->page = find(files, SPAN_LIT("/index.html"));
    *ret_files = files;
    return ERR_NONE;
}

void static_files_close(struct static_files *files)
{
    if (files == NULL)
        return;
    for (size_t i = 0; i < files->count; i++) {
        mem_free(files->files[i].path);
        mem_free((char *)files->files[i].plain.bytes.ptr);
        mem_free((char *)files->files[i].gzip.bytes.ptr);
    }
    mem_free(files->files);
    mem_free(files);
}

bool static_files_has_page(const struct static_files *files)
{
    return files->page != NULL;
}

/* ---- what a client says ---------------------------------------------------------------------- */

/* Whether a list names it ("text/html;q=0.9, gzip"), and not with a quality of 0. */
static bool names(struct span list, const char *name)
{
    struct span item;
    while (span_cut(&list, ',', &item)) {
        struct span word;
        struct span rest = item;
        if (!span_cut(&rest, ';', &word) || !span_eq_nocase(span_trim(word), span_of(name)))
            continue;
        struct span quality = span_trim(rest);
        bool refused = span_starts(quality, SPAN_LIT("q=0"));
        for (size_t i = 3; refused && i < quality.len; i++)
            refused = quality.ptr[i] == '0' || quality.ptr[i] == '.';
        return !refused;
    }
    return false;
}

static bool knows(struct span if_none_match, const char *etag)
{
    struct span item;
    while (span_cut(&if_none_match, ',', &item)) {
        item = span_trim(item);
        if (span_starts(item, SPAN_LIT("W/")))
            item = span_from(item, 2);
        if (span_is(item, etag) || span_is(item, "*"))
            return true;
    }
    return false;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void add_header(struct rest_call *response, const char *name, struct span value)
{
    must(response->header_count < REST_MAX_RESPONSE_HEADERS);
    response->headers[response->header_count++] = (struct rest_header){name, value};
}

static void add_protections(const struct static_files *files, struct rest_call *response)
{
    for (size_t i = 0; i < COUNT_OF(protections); i++)
        add_header(response, protections[i].name, protections[i].value);
    if (files->hsts[0] != '\0')
        add_header(response, "strict-transport-security", span_of(files->hsts));
}

static void answer_file(const struct static_files *files, const struct static_file *file,
    const struct static_request *request, struct rest_call *response)
{
    bool compressed = file->gzip.bytes.ptr != NULL && names(request->accept_encoding, "gzip");
    const struct content *content = compressed ? &file->gzip : &file->plain;
    response->status = 200;
    response->header_count = 0;
    add_protections(files, response);
    add_header(response, "etag", span_of(content->etag));
    add_header(response, "cache-control",
        file->unchanging ? SPAN_LIT("public, max-age=31536000, immutable") : SPAN_LIT("no-cache"));
    if (file->gzip.bytes.ptr != NULL)
        add_header(response, "vary", SPAN_LIT("accept-encoding"));
    if (knows(request->if_none_match, content->etag)) {
        response->status = 304;
        return;
    }
    if (compressed)
        add_header(response, "content-encoding", SPAN_LIT("gzip"));
    response->content_type_out = file->type;
    response->body_out = content->bytes;
}

static void answer_no_portal(const struct static_files *files, struct rest_call *response)
{
    response->status = 200;
    response->header_count = 0;
    add_protections(files, response);
    response->content_type_out = types[0].type;
    response->body_out = no_portal_page;
}

bool static_files_answer(const struct static_files *files, const struct static_request *request,
    struct rest_call *response)
{
    const struct static_file *file = find(files, request->path);
    bool is_root = span_is(request->path, "/");
    if (file == NULL && !is_root && (request->is_api || !names(request->accept, "text/html")))
        return false;
    /* What begins so is a file that an older page still asks for: the page is no answer to that. */
    if (file == NULL && span_starts(request->path, SPAN_LIT("/assets/")))
        return false;
    if (file == NULL)
        file = files->page;
    if (file != NULL)
        answer_file(files, file, request, response);
    else
        answer_no_portal(files, response);
    return true;
}
