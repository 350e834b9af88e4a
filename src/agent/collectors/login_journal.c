/* SPDX-License-Identifier: Apache-2.0 */
#include "login_journal.h"

#include "mem.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>

/* Of sd-journal(3); its numbers are fixed, as is its library's name. */
#define LIBRARY "libsystemd.so.0"
#define LOCAL_ONLY (1 << 0)
#define SYSTEM (1 << 2)
#define OS_ROOT (1 << 4)
#define DATA_MAX 16384u

struct sd_journal;

/* The functions that are used: FUNCTION(result, name, parameters). */
#define FUNCTIONS                                                                                  \
    FUNCTION(int, open, (struct sd_journal * *ret, int flags))                                     \
    FUNCTION(int, open_directory, (struct sd_journal * *ret, const char *path, int flags))         \
    FUNCTION(void, close, (struct sd_journal * journal))                                           \
    FUNCTION(int, add_match, (struct sd_journal * journal, const void *data, size_t size))         \
    FUNCTION(int, seek_head, (struct sd_journal * journal))                                        \
    FUNCTION(int, seek_tail, (struct sd_journal * journal))                                        \
    FUNCTION(int, seek_cursor, (struct sd_journal * journal, const char *cursor))                  \
    FUNCTION(int, test_cursor, (struct sd_journal * journal, const char *cursor))                  \
    FUNCTION(int, get_cursor, (struct sd_journal * journal, char **ret_cursor))                    \
    FUNCTION(int, next, (struct sd_journal * journal))                                             \
    FUNCTION(int, previous, (struct sd_journal * journal))                                         \
    FUNCTION(int, previous_skip, (struct sd_journal * journal, uint64_t skip))                     \
    FUNCTION(int, get_realtime_usec, (struct sd_journal * journal, uint64_t * ret_us))             \
    FUNCTION(int, get_data,                                                                        \
        (struct sd_journal * journal, const char *field, const void **ret_data, size_t *ret_len))  \
    FUNCTION(int, set_data_threshold, (struct sd_journal * journal, size_t size))                  \
    FUNCTION(int, get_fd, (struct sd_journal * journal))                                           \
    FUNCTION(int, process, (struct sd_journal * journal))

struct login_journal {
    void *library;
#define FUNCTION(result, name, parameters) result(*name) parameters;
    FUNCTIONS
#undef FUNCTION
    struct sd_journal *journal;
    size_t cursor_len;
    char cursor[LOGIN_CURSOR_MAX + 1];
};

static bool find_function(void *library, const char *name, void *ret_function, size_t size)
{
    /* POSIX lets a pointer to data hold one to a function; C does not, so its bytes are copied. */
    void *found = dlsym(library, name);
    must(size == sizeof(found));
    memcpy(ret_function, &found, size);
    return found != NULL;
}

static bool load(struct login_journal *journal)
{
    journal->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool done = journal->library != NULL;
#define FUNCTION(result, name, parameters)                                                         \
    done = done && find_function(journal->library, "sd_journal_" #name, &journal->name,            \
                       sizeof(journal->name));
    FUNCTIONS
#undef FUNCTION
    return done;
}

/* Matches of one field are alternatives; of different fields, all must hold. */
static const char *const matches[] = {"_UID=0", "_COMM=sshd", "_COMM=sshd-session",
    "_COMM=sshd-auth", "_COMM=login", "_COMM=gdm-session-wor", "_COMM=lightdm", "_COMM=sddm-helper",
    "_COMM=xdm"};

static int set_up(struct login_journal *journal, const char *root_dir)
{
    int result = root_dir[0] == '\0'
                     ? journal->open(&journal->journal, LOCAL_ONLY | SYSTEM)
                     : journal->open_directory(&journal->journal, root_dir, OS_ROOT);
    if (result < 0) {
        journal->journal = NULL;
        return result;
    }
    for (size_t i = 0; result >= 0 && i < COUNT_OF(matches); i++)
        result = journal->add_match(journal->journal, matches[i], strlen(matches[i]));
    if (result >= 0)
        result = journal->set_data_threshold(journal->journal, DATA_MAX);
    if (result >= 0)
        result = journal->get_fd(journal->journal); /* from now on it notices new files */
    return result;
}

enum err login_journal_open(
    const char *root_dir, struct login_journal **ret_journal, struct why *why)
{
    struct login_journal *journal = mem_alloc(sizeof(*journal));
    if (journal == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    enum err err = ERR_NONE;
    int result = 0;
    if (!load(journal))
        err = fail(ERR_UNAVAILABLE, why, "there is no " LIBRARY " to read the journal with");
    else if ((result = set_up(journal, root_dir)) < 0)
        err = fail(ERR_UNAVAILABLE, why, "the journal cannot be opened: %s", strerror(-result));
    if (err != ERR_NONE) {
        login_journal_close(journal);
        return err;
    }
    *ret_journal = journal;
    return ERR_NONE;
}

void login_journal_close(struct login_journal *journal)
{
    if (journal == NULL)
        return;
    if (journal->journal != NULL)
        journal->close(journal->journal);
    if (journal->library != NULL)
        dlclose(journal->library);
    mem_free(journal);
}

static void note_cursor(struct login_journal *journal)
{
    char *cursor = NULL;
    if (journal->get_cursor(journal->journal, &cursor) < 0 || cursor == NULL)
        return;
    size_t len = strlen(cursor);
    if (len <= LOGIN_CURSOR_MAX) {
        memcpy(journal->cursor, cursor, len + 1);
        journal->cursor_len = len;
    }
    free(cursor); /* the library's own allocation */
}

void login_journal_begin_at_end(struct login_journal *journal)
{
    if (journal->seek_tail(journal->journal) >= 0 && journal->previous(journal->journal) > 0)
        note_cursor(journal);
}

/* The value of a field of the entry; empty if it has none. */
static struct span field(struct login_journal *journal, const char *name)
{
    const void *data;
    size_t len, skip = strlen(name) + 1;
    if (journal->get_data(journal->journal, name, &data, &len) < 0 || len < skip)
        return SPAN_NONE;
    return (struct span){(const char *)data + skip, len - skip};
}

static void tell(struct login_journal *journal,
    void (*take)(void *self, const struct login_journal_entry *entry), void *self)
{
    uint64_t time_us, process_id = 0;
    char program[32];
    note_cursor(journal);
    if (journal->get_realtime_usec(journal->journal, &time_us) < 0)
        return;
    /* A field is borrowed only until the next one is asked for. */
    struct span comm = span_first(field(journal, "_COMM"), sizeof(program));
    if (comm.len > 0)
        memcpy(program, comm.ptr, comm.len);
    (void)span_u64(field(journal, "_PID"), INT32_MAX, &process_id);
    const struct login_journal_entry entry = {.time_us = (int64_t)time_us,
        .process_id = (uint32_t)process_id,
        .program = {program, comm.len},
        .message = field(journal, "MESSAGE"),
        .cursor = login_journal_cursor(journal)};
    take(self, &entry);
}

bool login_journal_begin_at(struct login_journal *journal, struct span cursor, unsigned back,
    void (*take)(void *self, const struct login_journal_entry *entry), void *self)
{
    char text[LOGIN_CURSOR_MAX + 1];
    if (cursor.len == 0 || !span_copy(cursor, text, sizeof(text)) ||
        journal->seek_cursor(journal->journal, text) < 0 || journal->next(journal->journal) <= 0 ||
        journal->test_cursor(journal->journal, text) <= 0) {
        (void)journal->seek_head(journal->journal);
        return cursor.len == 0;
    }
    (void)journal->previous_skip(journal->journal, back);
    for (unsigned i = 0; i <= back; i++) {
        tell(journal, take, self);
        if (journal->test_cursor(journal->journal, text) > 0 ||
            journal->next(journal->journal) <= 0)
            break;
    }
    return true;
}

bool login_journal_run(struct login_journal *journal, unsigned most,
    void (*take)(void *self, const struct login_journal_entry *entry), void *self)
{
    (void)journal->process(journal->journal);
    for (unsigned i = 0; i < most; i++) {
        if (journal->next(journal->journal) <= 0)
            return false;
        tell(journal, take, self);
    }
    return true;
}

struct span login_journal_cursor(const struct login_journal *journal)
{
    return (struct span){journal->cursor, journal->cursor_len};
}
