/* SPDX-License-Identifier: Apache-2.0 */
#include "offline.h"
#include "certificates.h"
#include "data_directory.h"
#include "hub_config.h"
#include "store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Prints the outcome of a command and returns its exit status. */
static int conclude(const char *command, enum err err, const struct why *why)
{
    if (err != ERR_NONE)
        fprintf(stderr, "gemel-hub %s: %s\n", command, why_text(why, err));
    return err == ERR_NONE ? 0 : err == ERR_ARGUMENT ? 2 : 1;
}

/* ---- check-config ---------------------------------------------------------------------------- */

static int print_page(void (*write_page)(struct buf *out))
{
    AUTO(buf_done) struct buf page = BUF_EMPTY;
    write_page(&page);
    bool written = !page.failed && fwrite(page.ptr, 1, page.len, stdout) == page.len;
    return written && fflush(stdout) == 0 ? 0 : 1;
}

static void print_complaint(void *self UNUSED, const struct why *why)
{
    fprintf(stderr, "gemel-hub check-config: %s\n", why->text);
}

int hub_check_config(
    const char *file, const char *const *sets, size_t set_count, enum check_config_output output)
{
    if (output == CHECK_CONFIG_REFERENCE)
        return print_page(hub_config_write_reference);
    if (output == CHECK_CONFIG_EXAMPLE)
        return print_page(hub_config_write_example);
    /* Unlike a wrong flag, a wrong file is what this command is there to find: 1, not 2. */
    if (hub_config_check(file, sets, set_count, print_complaint, NULL) != ERR_NONE)
        return 1;
    printf("The configuration is good.\n");
    return 0;
}

/* ---- backup and restore ---------------------------------------------------------------------- */

static void wipe_and_free(struct buf *bytes)
{
    mem_wipe(bytes->ptr, bytes->len);
    buf_done(bytes);
}

static enum err copy_file(const char *from, const char *to, const char *name, struct why *why)
{
    AUTO(wipe_and_free) struct buf bytes = BUF_EMPTY;
    enum err err = data_file_read(from, name, &bytes, why);
    return err == ERR_NONE ? data_file_write(to, name, buf_span(&bytes), why) : err;
}

#define PATH_SIZE (DATA_DIRECTORY_PATH_SIZE + sizeof("/" STORE_SQLITE_FILE))

static enum err write_database_path(
    const char *directory, char ret_path[PATH_SIZE], struct why *why)
{
    int length = snprintf(ret_path, PATH_SIZE, "%s/" STORE_SQLITE_FILE, directory);
    if (length >= 0 && (size_t)length < PATH_SIZE)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why, "the path %.200s is too long", directory);
}

/* Before anything is made: what SQLite and OpenSSL say of a wrong place names none. */
static enum err check_source(const char *from, struct why *why)
{
    char path[PATH_SIZE];
    enum err err = write_database_path(from, path, why);
    if (err != ERR_NONE)
        return err;
    if (access(path, R_OK) != 0)
        return fail(errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, why,
            "%s: %s (a data directory, or a backup of one, has this file)", path, strerror(errno));
    return certificates_check(from, why);
}

static enum err copy_data(const char *from, const char *to, struct why *why)
{
    static const struct {
        const char *name;
        bool optional; /* a server whose certificates come from elsewhere has no CA key */
    } files[] = {
        {CERTIFICATES_CA_FILE, true},
        {CERTIFICATES_CA_KEY_FILE, true},
        {CERTIFICATES_SERVER_FILE, false},
        {CERTIFICATES_SERVER_KEY_FILE, false},
    };
    AUTO(data_directory_done) struct data_directory directory = {0};
    enum err err = check_source(from, why);
    if (err == ERR_NONE)
        err = data_directory_begin(to, &directory, why);
    char database[PATH_SIZE];
    if (err == ERR_NONE)
        err = write_database_path(directory.building, database, why);
    if (err == ERR_NONE)
        err = store_sqlite_copy(from, database, why);
    for (size_t i = 0; i < COUNT_OF(files) && err == ERR_NONE; i++) {
        err = copy_file(from, directory.building, files[i].name, why);
        if (err == ERR_NOT_FOUND && files[i].optional)
            err = ERR_NONE;
    }
    return err == ERR_NONE ? data_directory_finish(&directory, why) : err;
}

int hub_backup(const char *data_dir, const char *backup_dir)
{
    struct why why = {0};
    enum err err = copy_data(data_dir, backup_dir, &why);
    if (err == ERR_NONE)
        printf("%s holds a copy. It holds all keys too: keep it as safe as the server itself.\n",
            backup_dir);
    return conclude("backup", err, &why);
}

int hub_restore(const char *data_dir, const char *backup_dir)
{
    struct why why = {0};
    enum err err = copy_data(backup_dir, data_dir, &why);
    if (err == ERR_NONE)
        printf(
            "%s is restored. Start it with: gemel-hub serve --data-dir %s\n", data_dir, data_dir);
    return conclude("restore", err, &why);
}

/* ---- migrate --------------------------------------------------------------------------------- */

int hub_migrate(const char *data_dir)
{
    struct why why = {0};
    struct sqlite_options options = sqlite_options_default;
    options.directory = data_dir;
    struct store *store = NULL;
    enum err err = store_open_sqlite(&options, &store, &why);
    store_close(store);
    if (err == ERR_NONE)
        printf("The store in %s is up to date: schema %d.\n", data_dir, store_sqlite_schema());
    return conclude("migrate", err, &why);
}
