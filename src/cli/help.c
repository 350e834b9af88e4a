/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include "cli.h"
#include "commands.h"

#define NAME_WIDTH 44
#define LINE_WIDTH 96

/* ---- help ------------------------------------------------------------------------------------ */

static void pad_to(struct buf *out, size_t line_begin, size_t column)
{
    if (out->len - line_begin >= column) {
        buf_add_byte(out, '\n');
        line_begin = out->len;
    }
    while (out->len - line_begin < column && !out->failed)
        buf_add_byte(out, ' ');
}

/* Writes words into lines, each begun at the column. */
static void write_wrapped(struct buf *out, const char *text, size_t column, size_t column_now)
{
    struct span rest = span_of(text);
    struct span word;
    size_t at = column_now;
    bool fresh = true; /* no word stands on this line yet */
    for (; span_cut(&rest, ' ', &word); fresh = false) {
        if (!fresh && at + 1 + word.len > LINE_WIDTH) {
            buf_add_byte(out, '\n');
            pad_to(out, out->len, column);
            at = column;
        } else if (!fresh) {
            buf_add_byte(out, ' ');
            at++;
        }
        buf_add(out, word);
        at += word.len;
    }
    buf_add_byte(out, '\n');
}

static void write_option_names(const struct option_row *row, struct buf *out)
{
    if (row->letter != 0)
        buf_add_format(out, "-%c, ", row->letter);
    buf_add_text(out, row->name);
    if (row->alias != NULL)
        buf_add_format(out, ", %s", row->alias);
    if (row->choices != NULL) {
        struct span rest = span_of(row->choices);
        struct span word;
        for (char before = ' '; span_cut(&rest, ' ', &word); before = '|')
            buf_add_format(out, "%c%.*s", before, SPAN_ARG(word));
    } else if (row->value != NULL) {
        buf_add_format(out, " %s", row->value);
    }
}

/* Whether the option belongs to a command, or to all where that is NULL. */
static bool is_of(const struct command *command, unsigned option)
{
    return command == NULL ? option >= OPTION_FIRST_GLOBAL : command_takes(command, option);
}

static void write_options(const char *title, const struct command *command, struct buf *out)
{
    bool any = false;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (!is_of(command, i))
            continue;
        if (!any)
            buf_add_format(out, "\n%s:\n", title);
        any = true;
        size_t begin = out->len;
        buf_add_text(out, "  ");
        write_option_names(&option_rows[i], out);
        pad_to(out, begin, NAME_WIDTH);
        const char *mark = command != NULL && command_needs(command, i) ? "(needed) " : "";
        buf_add_text(out, mark);
        write_wrapped(out, option_rows[i].help, NAME_WIDTH, NAME_WIDTH + strlen(mark));
    }
}

static void write_commands(const struct command *group, struct buf *out)
{
    struct span start = group == NULL ? SPAN_NONE : span_of(group->path);
    for (size_t i = 0; i < command_count; i++) {
        const struct command *row = &command_rows[i];
        struct span path = span_of(row->path);
        bool below = start.len == 0 || (span_starts(path, start) && path.len > start.len &&
                                           path.ptr[start.len] == ' ');
        if (!below || row->run == NULL)
            continue;
        size_t begin = out->len;
        buf_add_format(out, "  %s", row->path);
        pad_to(out, begin, NAME_WIDTH);
        write_wrapped(out, row->help, NAME_WIDTH, NAME_WIDTH);
    }
}

static void write_group(const struct command *group, struct buf *out)
{
    if (group == NULL)
        buf_add_text(out, "gemel: devices, modules and their twins on a Gemel hub or an Azure IoT "
                          "Hub\n\nUse: gemel COMMAND [OPTIONS]\n\nCommands:\n");
    else
        buf_add_format(
            out, "%s\n\nUse: gemel %s COMMAND [OPTIONS]\n\nCommands:\n", group->help, group->path);
    write_commands(group, out);
    write_options("Options of all commands", NULL, out);
    buf_add_text(out, "\ngemel COMMAND --help says more about one command.\n");
}

void help_write(const struct command *command, struct buf *out)
{
    if (command == NULL || command->run == NULL) {
        write_group(command, out);
        return;
    }
    buf_add_format(out, "%s\n\nUse: gemel %s [OPTIONS]\n", command->help, command->path);
    write_options("Options", command, out);
    write_options("Options of all commands", NULL, out);
    buf_add_format(out, "\nExample:\n  %s\n", command->example);
}

/* ---- completion ------------------------------------------------------------------------------ */

static void write_words_below(const struct command *group, struct buf *out)
{
    for (size_t i = 0; i < command_count; i++) {
        if (!command_is_below(&command_rows[i], group))
            continue;
        const char *blank = strrchr(command_rows[i].path, ' ');
        buf_add_format(out, "%s ", blank == NULL ? command_rows[i].path : blank + 1);
    }
}

static void write_option_words(const struct command *command, struct buf *out)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (is_of(command, i) || is_of(NULL, i))
            buf_add_format(out, "%s ", option_rows[i].name);
}

/* Values: of options with choices their words, of others file names. */
static void write_values(struct buf *out)
{
    buf_add_text(out, "    case $before in\n");
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (row->value == NULL)
            continue;
        buf_add_format(out, "    %s", row->name);
        if (row->alias != NULL)
            buf_add_format(out, "|%s", row->alias);
        if (row->letter != 0)
            buf_add_format(out, "|-%c", row->letter);
        if (row->choices != NULL)
            buf_add_format(
                out, ") COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n", row->choices);
        else
            buf_add_text(out, ") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
    }
    buf_add_text(out, "    esac\n");
}

void help_write_bash(struct buf *out)
{
    buf_add_text(out, "# Completion of gemel for bash; printed by `gemel completion bash`.\n"
                      "_gemel()\n{\n"
                      "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} "
                      "path= i words\n"
                      "    COMPREPLY=()\n");
    write_values(out);
    buf_add_text(out, "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                      "        case ${COMP_WORDS[i]} in\n"
                      "        -*) break ;;\n"
                      "        *) path=\"${path:+$path }${COMP_WORDS[i]}\" ;;\n"
                      "        esac\n"
                      "    done\n"
                      "    case $path in\n"
                      "    '') words='");
    write_words_below(NULL, out);
    write_option_words(NULL, out);
    buf_add_text(out, "help' ;;\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *row = &command_rows[i];
        buf_add_format(out, "    '%s') words='", row->path);
        write_words_below(row, out);
        write_option_words(row, out);
        buf_add_text(out, "' ;;\n");
    }
    buf_add_text(out, "    esac\n"
                      "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                      "}\n"
                      "complete -F _gemel gemel\n");
}

/* ---- the manual page ------------------------------------------------------------------------- */

/* Writes text for roff: hyphens that are typed, no escapes, no line that begins a request. */
static void roff(struct buf *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\\')
            buf_add_text(out, "\\e");
        else if (*c == '-')
            buf_add_text(out, "\\-");
        else if (*c == '\'')
            buf_add_text(out, "\\(aq");
        else
            buf_add_byte(out, *c);
    }
}

static void roff_option(const struct option_row *row, struct buf *out)
{
    AUTO(buf_done) struct buf names = BUF_EMPTY;
    write_option_names(row, &names);
    buf_add_text(out, ".TP\n.B ");
    roff(out, names.ptr == NULL ? "" : names.ptr);
    buf_add_byte(out, '\n');
    roff(out, row->help);
    buf_add_text(out, ".\n");
    out->failed |= names.failed;
}

static void roff_command(const struct command *row, struct buf *out)
{
    buf_add_text(out, ".SS gemel ");
    roff(out, row->path);
    buf_add_byte(out, '\n');
    roff(out, row->help);
    buf_add_text(out, ".\n");
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (!command_takes(row, i))
            continue;
        roff_option(&option_rows[i], out);
        if (command_needs(row, i))
            buf_add_text(out, "Needed.\n");
    }
    buf_add_text(out, ".PP\nExample:\n.PP\n.nf\n.RS\n");
    roff(out, row->example);
    buf_add_text(out, "\n.RE\n.fi\n");
}

static const char manual_end[] =
    ".SH ENVIRONMENT\n"
    ".TP\n.B GEMEL_LOGIN\nThe connection string of a shared access policy, or @FILE.\n"
    ".TP\n.B GEMEL_CA\nThe certificate authority to trust, a PEM file.\n"
    ".TP\n.B GEMEL_ADMIN_USER\nThe administrator of the server (default admin).\n"
    ".TP\n.B GEMEL_ADMIN_PASSWORD\nThe administrator\\(aqs password.\n"
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nDone.\n"
    ".TP\n.B 1\nThe hub refused; its code and sentence are on standard error.\n"
    ".TP\n.B 2\nThe command line is wrong.\n"
    ".TP\n.B 3\nNo hub was reached.\n"
    ".SH SEE ALSO\n"
    ".BR gemel\\-hub (1),\n.BR gemel\\-agent (1)\n";

void help_write_manual(struct buf *out)
{
    buf_add_text(out, ".\\\" Printed by `gemel manual` from the table of commands; do not edit.\n"
                      ".TH GEMEL 1 \"\" \"gemel " GEMEL_VERSION "\" \"User Commands\"\n"
                      ".SH NAME\ngemel \\- devices, modules and their twins on an IoT hub\n"
                      ".SH SYNOPSIS\n.B gemel\n.I COMMAND\n.RI [ OPTIONS ]\n"
                      ".SH DESCRIPTION\n"
                      "gemel manages the devices and modules of a Gemel hub, or of an Azure IoT "
                      "Hub, with the words of\n.BR \"az iot hub\" :\n"
                      "it registers them, shows and changes their twins, prints the messages they "
                      "send, and administers the hubs of a server.\n"
                      "Results are the hub\\(aqs own JSON documents, or tables.\n"
                      ".SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++)
        if (command_rows[i].run != NULL)
            roff_command(&command_rows[i], out);
    buf_add_text(out, ".SH OPTIONS OF ALL COMMANDS\n");
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (is_of(NULL, i))
            roff_option(&option_rows[i], out);
    buf_add_text(out, manual_end);
}

static int print(struct cli *cli, void (*write)(struct buf *out))
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    write(&out);
    if (out.failed)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    fwrite(out.ptr, 1, out.len, cli->out);
    return EXIT_DONE;
}

int completion_bash(struct cli *cli)
{
    return print(cli, help_write_bash);
}

int manual(struct cli *cli)
{
    return print(cli, help_write_manual);
}
