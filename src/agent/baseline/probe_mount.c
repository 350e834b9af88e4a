/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "mount": whether a path is a mount point, and with which options. The table of process 1 is read:
 * that of this process may have been made narrower to protect the machine from it.
 */
#include "probe_priv.h"

#include <stdio.h>

struct mount {
    bool found;
    char options[LINE_BYTES_MAX];
    char super[LINE_BYTES_MAX];
};

/* Undoes "\040" and the like, in place; the kernel writes blanks so. */
static size_t unescape(char *text, size_t len)
{
    size_t to = 0;
    for (size_t from = 0; from < len; from++) {
        if (text[from] == '\\' && from + 3 < len) {
            unsigned value = 0;
            for (size_t i = 1; i <= 3; i++)
                value = 8 * value + (unsigned)(text[from + i] - '0');
            text[to++] = (char)value;
            from += 3;
        } else {
            text[to++] = text[from];
        }
    }
    return to;
}

/* ID PARENT MAJOR:MINOR ROOT PATH OPTIONS [FIELD…] - TYPE SOURCE SUPER-OPTIONS (proc(5)) */
static void read_line(struct span line, const char *path, struct mount *mount)
{
    struct span word, place, options, type;
    struct span rest = line;
    char text[LINE_BYTES_MAX];
    for (size_t i = 0; i < 4; i++)
        if (!next_word(&rest, &word))
            return;
    if (!next_word(&rest, &place) || !next_word(&rest, &options))
        return;
    if (!span_copy(place, text, sizeof(text)) ||
        !span_is((struct span){text, unescape(text, place.len)}, path))
        return;
    while (next_word(&rest, &word) && !span_is(word, "-"))
        ;
    if (!next_word(&rest, &type) || span_is(type, "autofs"))
        return; /* what is not mounted before somebody looks */
    (void)next_word(&rest, &word);
    (void)next_word(&rest, &word);
    /* The last one lies on top. */
    mount->found = span_copy(options, mount->options, sizeof(mount->options)) &&
                   span_copy(word, mount->super, sizeof(mount->super));
}

static bool has_option(const char *options, const char *wanted)
{
    struct span rest = span_of(options), option;
    while (span_cut(&rest, ',', &option))
        if (span_is(option, wanted))
            return true;
    return false;
}

static enum looked open_table(struct context *context, struct lines *lines, struct why *why)
{
    enum looked looked = lines_open(&context->root, "/proc/1/mountinfo", lines, why);
    return looked == LOOKED_FOUND ? looked
                                  : lines_open(&context->root, "/proc/self/mountinfo", lines, why);
}

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    const char *path = arg_text(args, "path");
    const char *option = arg_text(args, "option");
    struct mount *mount = arena_alloc(&context->scratch, sizeof(*mount));
    struct lines lines;
    struct span line;
    if (mount == NULL)
        return no_memory(why);
    if (open_table(context, &lines, why) != LOOKED_FOUND)
        return BASELINE_ERROR;
    while (lines_next(&lines, &line))
        read_line(line, path, mount);
    bool whole = lines_check(&lines, "/proc/1/mountinfo", why);
    lines_close(&lines);
    if (!whole)
        return BASELINE_ERROR;
    if (!mount->found) {
        why_set(why, "%s is no file system of its own", path);
        return BASELINE_FAIL;
    }
    if (option == NULL) {
        why_set(why, "%s is a file system of its own", path);
        return BASELINE_PASS;
    }
    bool has = has_option(mount->options, option) || has_option(mount->super, option);
    why_set(why, "%s is mounted with%s %s", path, has ? "" : "out", option);
    return pass_if(has);
}

static const struct probe_arg args_table[] = {
    {.name = "path", .kind = ARG_PATH, .required = true},
    {.name = "option", .kind = ARG_WORD},
    {.name = NULL},
};

const struct probe mount_probe = {.name = "mount", .args = args_table, .run = run};
