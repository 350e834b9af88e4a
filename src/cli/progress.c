/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <string.h>
#include <unistd.h>

#define BAR_CELLS 30
#define BAR_EVERY_US 200000
#define LINE_EVERY_US 10000000

struct progress progress_start(const char *what, FILE *out, const struct clock *clock)
{
    int64_t now = clock_mono_us(clock);
    int file = fileno(out);
    return (struct progress){.what = what,
        .out = out,
        .clock = clock,
        .terminal = file >= 0 && isatty(file),
        .begin_us = now,
        .shown_us = now};
}

double progress_seconds(const struct progress *progress)
{
    return (double)(clock_mono_us(progress->clock) - progress->begin_us) / 1e6;
}

static void show_bar(const struct progress *progress, uint64_t part, uint64_t whole)
{
    char cells[BAR_CELLS + 1];
    unsigned full = whole == 0 ? 0 : (unsigned)((double)part / (double)whole * BAR_CELLS);
    if (full > BAR_CELLS)
        full = BAR_CELLS;
    memset(cells, ' ', BAR_CELLS);
    memset(cells, '#', full);
    cells[BAR_CELLS] = '\0';
    if (whole > 0)
        fprintf(progress->out, "[%s] %3u%%  ", cells,
            (unsigned)((double)(part < whole ? part : whole) / (double)whole * 100));
}

void progress_show(struct progress *progress, uint64_t part, uint64_t whole, uint64_t count)
{
    int64_t now = clock_mono_us(progress->clock);
    if (now - progress->shown_us < (progress->terminal ? BAR_EVERY_US : LINE_EVERY_US))
        return;
    progress->shown_us = now;
    double seconds = progress_seconds(progress);
    if (progress->terminal)
        fprintf(progress->out, "\r");
    if (progress->terminal)
        show_bar(progress, part, whole);
    fprintf(progress->out, "%llu %s, %.0f a second", (unsigned long long)count, progress->what,
        (double)count / seconds);
    if (part > 0 && part < whole)
        fprintf(progress->out, ", %.0f s to go", seconds / (double)part * (double)(whole - part));
    fprintf(progress->out, progress->terminal ? "\x1b[K" : "\n");
    fflush(progress->out);
}

void progress_end(struct progress *progress)
{
    if (progress->terminal && progress->shown_us > progress->begin_us)
        fprintf(progress->out, "\r\x1b[K");
    fflush(progress->out);
}
