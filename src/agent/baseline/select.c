/* SPDX-License-Identifier: Apache-2.0 */
#include "select_priv.h"

#include "files.h"
#include "log.h"
#include "root_priv.h"
#include "signature_priv.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define PART "baseline"
#define SUFFIX ".json"

static void free_loaded(struct loaded *file)
{
    if (file == NULL)
        return;
    arena_done(&file->arena);
    mem_free(file->name);
    mem_free(file);
}

void selection_close(struct selection *selection)
{
    for (size_t i = 0; i < selection->file_count; i++)
        free_loaded(selection->files[i]);
    mem_free(selection->checks);
    *selection = (struct selection){.file_count = 0};
}

static void refuse(struct selection *selection, const char *name, const char *reason)
{
    log_error(PART, "%s is refused: %s", name, reason);
    struct why before = selection->refusals;
    why_set(&selection->refusals, "%s%s%s: %s", before.text, selection->refused == 0 ? "" : "; ",
        name, reason);
    selection->refused++;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The bytes that are verified are those that are read: the file is not looked at twice. */
static enum err read_verified(
    const char *path, const struct trusted *trusted, struct buf *body, struct why *why)
{
    char signature_path[PATH_MAX];
    AUTO(buf_done) struct buf signature = BUF_EMPTY;
    int len = snprintf(signature_path, sizeof(signature_path), "%s.sig", path);
    if (len < 0 || (size_t)len >= sizeof(signature_path))
        return fail(ERR_ARGUMENT, why, "its path is too long");
    enum err err = files_read(path, CHECK_FILE_BYTES_MAX, body, why);
    if (err != ERR_NONE)
        return err;
    err = files_read(signature_path, SIGNATURE_FILE_MAX, &signature, why);
    if (err == ERR_NOT_FOUND)
        return fail(ERR_UNAUTHORIZED, why, "it is not signed: %s does not exist", signature_path);
    if (err != ERR_NONE)
        return err;
    return signature_check(trusted, buf_span(body), buf_span(&signature), why);
}

static enum err load(const char *dir, const char *name, const struct trusted *trusted,
    struct loaded *file, struct why *why)
{
    char path[PATH_MAX];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    int len = snprintf(path, sizeof(path), "%s/%s%s", dir, name, SUFFIX);
    if (len < 0 || (size_t)len >= sizeof(path))
        return fail(ERR_ARGUMENT, why, "its path is too long");
    enum err err = read_verified(path, trusted, &body, why);
    if (err == ERR_NONE)
        err = reader_read(&file->arena, buf_span(&body), &file->document, why);
    if (err == ERR_NONE && !span_is(file->document.name, name))
        err = fail(ERR_FORMAT, why, "its name inside is \"%.*s\"", SPAN_ARG(file->document.name));
    return err;
}

static struct loaded *find(const struct selection *selection, struct span name)
{
    for (size_t i = 0; i < selection->file_count; i++)
        if (span_is(name, selection->files[i]->name))
            return selection->files[i];
    return NULL;
}

/* Takes a file in; an operator's file stands in for the installation's of the same name. */
static enum err keep(struct selection *selection, struct loaded *file)
{
    for (size_t i = 0; i < selection->file_count; i++)
        if (strcmp(selection->files[i]->name, file->name) == 0) {
            free_loaded(selection->files[i]);
            selection->files[i] = file;
            return ERR_NONE;
        }
    if (selection->file_count == CHECK_FILES_MAX) {
        refuse(selection, file->name, "there are more than 64 check files");
        free_loaded(file);
        return ERR_NONE;
    }
    selection->files[selection->file_count++] = file;
    return ERR_NONE;
}

static enum err take_file(struct selection *selection, const char *dir, bool own, const char *name,
    const struct trusted *trusted)
{
    struct why why = {""};
    struct loaded *file = mem_alloc(sizeof(*file));
    if (file == NULL)
        return ERR_MEMORY;
    arena_init(&file->arena, DOCUMENT_ARENA_BYTES);
    file->own = own;
    file->name = mem_text((struct span){name, strlen(name) - strlen(SUFFIX)});
    enum err err = file->name == NULL ? ERR_MEMORY : load(dir, file->name, trusted, file, &why);
    if (err == ERR_NONE)
        return keep(selection, file);
    free_loaded(file);
    if (err == ERR_MEMORY)
        return err;
    refuse(selection, name, why_text(&why, err));
    return ERR_NONE;
}

static int is_check_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > strlen(SUFFIX) && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

static enum err take_directory(
    struct selection *selection, const char *dir, bool own, const struct trusted *trusted)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, is_check_file, alphasort);
    if (count < 0 && errno == ENOMEM)
        return ERR_MEMORY;
    if (count < 0) {
        refuse(selection, dir, strerror(errno));
        return ERR_NONE;
    }
    enum err err = ERR_NONE;
    for (int i = 0; i < count; i++) {
        if (err == ERR_NONE)
            err = take_file(selection, dir, own, entries[i]->d_name, trusted);
        free(entries[i]);
    }
    free(entries);
    if (err == ERR_NONE && count == 0)
        refuse(selection, dir, "there is no check file");
    return err;
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* From the basis up; 0: what it extends is not there, or in a circle. */
static size_t chain_of(
    const struct selection *selection, struct loaded *file, struct loaded *ret_chain[EXTENDS_MAX])
{
    struct loaded *backwards[EXTENDS_MAX];
    size_t count = 0;
    for (;;) {
        if (file == NULL || count == EXTENDS_MAX)
            return 0;
        backwards[count++] = file;
        if (file->document.extends.len == 0)
            break;
        file = find(selection, file->document.extends);
    }
    for (size_t i = 0; i < count; i++)
        ret_chain[i] = backwards[count - 1 - i];
    return count;
}

static bool has_word(const char *words, struct span wanted)
{
    struct span rest = span_of(words), word;
    while (next_word(&rest, &word))
        if (span_eq(word, wanted))
            return true;
    return false;
}

/* How well a file fits; negative: not at all. */
static int fit_of(const struct baseline_options *options, const struct document *document)
{
    int fit = 0;
    if (document->applies_id.len > 0) {
        if (span_is(document->applies_id, options->distribution))
            fit = 4;
        else if (has_word(options->like, document->applies_id))
            fit = 2;
        else
            return -1;
    }
    if (document->applies_version.len > 0) {
        if (!span_is(document->applies_version, options->version))
            return -1;
        fit++;
    }
    return fit;
}

static size_t choose(const struct baseline_options *options, struct selection *selection,
    struct loaded *ret_chain[EXTENDS_MAX])
{
    size_t best_count = 0;
    int best_fit = -1;
    for (size_t i = 0; i < selection->file_count; i++) {
        struct loaded *file = selection->files[i];
        struct loaded *chain[EXTENDS_MAX];
        int fit = fit_of(options, &file->document);
        if (fit < 0)
            continue;
        size_t count = chain_of(selection, file, chain);
        if (count == 0) {
            struct why why = {""};
            why_set(&why, "it extends %.*s, which is not there", SPAN_ARG(file->document.extends));
            refuse(selection, file->name, why.text);
            continue;
        }
        if (fit < best_fit || (fit == best_fit && count <= best_count))
            continue;
        best_fit = fit;
        best_count = count;
        memcpy(ret_chain, chain, count * sizeof(*chain));
    }
    return best_count;
}

/* ---- laying over ----------------------------------------------------------------------------- */

static void remove_checks(struct selection *selection, const struct json *ids)
{
    if (ids == NULL)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < selection->check_count; i++) {
        bool removed = false;
        json_each (id, ids)
            removed = removed || span_eq(id->text, selection->checks[i]->id);
        if (!removed)
            selection->checks[kept++] = selection->checks[i];
    }
    selection->check_count = kept;
}

static void put_check(struct selection *selection, const struct check *check)
{
    for (size_t i = 0; i < selection->check_count; i++)
        if (span_eq(selection->checks[i]->id, check->id)) {
            selection->checks[i] = check;
            return;
        }
    selection->checks[selection->check_count++] = check;
}

static enum err lay_over(struct selection *selection, struct loaded *const *chain, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++)
        most += chain[i]->document.count;
    selection->checks = mem_alloc((most + 1) * sizeof(*selection->checks));
    if (selection->checks == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct document *document = &chain[i]->document;
        remove_checks(selection, document->remove);
        for (size_t j = 0; j < document->count; j++)
            put_check(selection, &document->checks[j]);
    }
    return ERR_NONE;
}

/* Lets go of the files that are not in the chain. */
static void drop_others(struct selection *selection, struct loaded *const *chain, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < selection->file_count; i++) {
        bool used = false;
        for (size_t j = 0; j < count; j++)
            used = used || chain[j] == selection->files[i];
        if (used)
            selection->files[kept++] = selection->files[i];
        else
            free_loaded(selection->files[i]);
    }
    selection->file_count = kept;
}

enum err selection_open(
    const struct baseline_options *options, struct selection *ret_selection, struct why *why)
{
    struct trusted trusted;
    struct why reason = {""};
    *ret_selection = (struct selection){.file_count = 0};
    enum err err = trusted_open(options->keys_path, &trusted, &reason);
    if (err != ERR_NONE && err != ERR_MEMORY)
        refuse(ret_selection, "baseline_keys.pem", why_text(&reason, err));
    if (err != ERR_MEMORY)
        err = take_directory(ret_selection, options->checks_dir, false, &trusted);
    if (err == ERR_NONE && options->own_checks_dir != NULL)
        err = take_directory(ret_selection, options->own_checks_dir, true, &trusted);
    trusted_close(&trusted);
    struct loaded *chain[EXTENDS_MAX];
    size_t count = 0;
    if (err == ERR_NONE) {
        count = choose(options, ret_selection, chain);
        err = lay_over(ret_selection, chain, count);
    }
    if (err != ERR_NONE) {
        selection_close(ret_selection);
        return fail(err, why, "%s", err_row(err)->text);
    }
    drop_others(ret_selection, chain, count);
    return ERR_NONE;
}
