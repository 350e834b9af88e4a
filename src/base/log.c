/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"error", "warn", "info", "debug"};

/* Those of syslog(3), as the journal takes them from a line's begin. */
static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
static bool to_journal;

static void to_stderr(
    void *self UNUSED, enum log_level level, const char *part, const char *sentence)
{
    const char *priority = to_journal ? priorities[level] : "";
    fprintf(stderr, "%s%s %s: %s\n", priority, names[level], part, sentence);
}

static enum log_level threshold = LOG_LEVEL_INFO;
static log_writer *current_writer = to_stderr;
static void *current_self;
static log_listener *_Atomic current_listener;
static _Atomic enum log_level listener_threshold;

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_set_writer(log_writer *writer, void *self)
{
    current_writer = writer == NULL ? to_stderr : writer;
    current_self = self;
}

void log_use_journal(const char *stream, uint64_t device, uint64_t inode)
{
    uint64_t its_device;
    uint64_t its_inode;
    to_journal = stream != NULL &&
                 sscanf(stream, "%" SCNu64 ":%" SCNu64, &its_device, &its_inode) == 2 &&
                 its_device == device && its_inode == inode;
}

void log_set_listener(log_listener *listener, enum log_level level)
{
    listener_threshold = level;
    current_listener = listener;
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return names[level];
}

void log_record(enum log_level level, const char *part, const char *filename, unsigned line,
    const char *format, ...)
{
    log_listener *listener = level <= listener_threshold ? current_listener : NULL;
    if (level > threshold && listener == NULL)
        return;
    char sentence[1024];
    va_list list;
    va_start(list, format);
    int len = vsnprintf(sentence, sizeof(sentence), format, list);
    va_end(list);
    if (len >= (int)sizeof(sentence))
        memcpy(sentence + sizeof(sentence) - 4, "...", 4);
    for (char *c = sentence; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = ' ';
    if (level <= threshold)
        current_writer(current_self, level, part, sentence);
    if (listener != NULL)
        listener(&(struct log_entry){level, part, sentence, filename, line});
}
